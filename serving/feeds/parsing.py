"""How reader is made to fetch and parse feeds here.

reader has a public interface for everything but this: retrievers and parsers are mounted on `reader._parser`, as its
page "Internal API" describes. All that depends on that stands in this module, and the version is pinned.

What reader drops and what is needed here, a date with its zone only where the feed names one, and the language, is kept
as one more content of the entry, of the type MARKS: so it is stored with the entry or not at all.
"""

from __future__ import annotations

import io
import json
import logging
import os
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import IO, Any

# reader carries a copy of feedparser that wants a module which feedparser itself has replaced (sgmllib3k); with this
# variable, which is reader's own, it takes the feedparser that is installed.
os.environ.setdefault("READER_NO_VENDORED_FEEDPARSER", "1")

import feedparser
from reader import ParseError, Reader
from reader._parser import HTTPInfo, NotModified, RetrievedFeed, RetrieveError
from reader._parser.feedparser import FeedparserParser, _process_feed
from reader._parser.jsonfeed import JSONFeedParser
from reader._types import EntryData, FeedData
from reader.types import Content

from serving.feeds.fetching import Answer, Fetcher
from serving.feeds.troubles import FetchError

MARKS = "application/x.stance-marks+json"
"""Type of the content that holds what a feed says of an entry and reader has no place for."""

MOST_FEED = 4 * 2**20
"""Bytes of a feed, uncompressed."""

_DATES = ("published", "updated")
"""Kinds of dates that entries bear, the one that counts first."""

ACCEPT = "application/atom+xml, application/rss+xml, application/feed+json, application/xml;q=0.9, */*;q=0.5"

# Types of no registry, so that none of reader's own parsers stands before the ones from here.
_JSON, _XML = "application/x.stance-feed+json", "application/x.stance-feed+xml"
_SPACE = b"\xef\xbb\xbf \t\r\n"
_ENCODING = re.compile(rb"<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([\w.:-]{1,40})[\"']", re.IGNORECASE)
_LONG_TAG = re.compile(rb"<[A-Za-z][^<>]{65536}")
_EBCDIC = b"\x4c\x6f\xa7\x94"
_ENTITY = re.compile(rb"<!ENTITY\s+(?!%)\S+\s+(?:\"([^\"]*)\"|'([^']*)')", re.IGNORECASE)
# Atomic, as many comments could else be taken together in very many ways.
_HTML = re.compile(
    rb"(?>\s*(?:<\?.*?\?>|<!--.*?-->))*+\s*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL
)
# The zones that feedparser knows (RFC 822 and some more); a time in another it takes for UTC.
_ZONE = re.compile(
    r"\d:\d\d.*?(?:[+-]\d\d:?\d\d|\b(?:Z|UTC?|GMT|[AECMP][DS]?T|MES?T))\s*(?:\([^)]*\))?$|\dZ$", re.IGNORECASE
)


class PoliteRetriever:
    """Gives reader what a Fetcher finds.

    Attributes:
        unconditional: feeds to ask for without conditions: some servers keep an ETag after a change.
        answers: the last answer for each feed.
    """

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher
        self.unconditional: set[str] = set()
        self.answers: dict[str, Answer] = {}

    @contextmanager
    def __call__(self, url: str, caching_info: Any, accept: str | None) -> Iterator[RetrievedFeed[IO[bytes]]]:
        headers = {"Accept": ACCEPT}
        if caching_info and url not in self.unconditional:
            conditions = {"If-None-Match": "etag", "If-Modified-Since": "last-modified"}
            headers |= {name: caching_info[key] for name, key in conditions.items() if caching_info.get(key)}
        try:
            answer = self._fetcher.ask(url, limit=MOST_FEED, feed=url, headers=headers)
        except FetchError as error:
            raise RetrieveError(url, message=error.reason) from error
        self.answers[url] = answer
        if answer.status == 304:
            raise NotModified(url)
        seen: dict[str, Any] = {key: answer.headers[key] for key in ("etag", "last-modified") if key in answer.headers}
        # feedparser decides by the header what encoding a document has, and undoes a compression that it names.
        told = {key: answer.headers[key] for key in ("content-type", "content-language") if key in answer.headers}
        kind = _JSON if answer.body.lstrip(_SPACE)[:1] in (b"{", b"[") else _XML
        info = HTTPInfo(answer.status, {**told, "content-location": answer.url})
        yield RetrievedFeed(io.BytesIO(answer.body), kind, seen or None, info)

    def validate_url(self, url: str) -> None:
        """Nothing more: whoever adds a feed has checked its URL."""


class MarkedFeedparser(FeedparserParser):
    """RSS and Atom, with marks; says in plain words what is wrong with a document."""

    # Parsing holds the interpreter anyway, and feedparser promises nothing about threads.
    _one_at_a_time = threading.Lock()

    def __call__(
        self, url: str, resource: IO[bytes], headers: Mapping[str, str] | None = None
    ) -> tuple[FeedData, list[EntryData]]:
        body = resource.read()
        if reason := not_a_feed(body, (headers or {}).get("content-type", "")):
            raise ParseError(url, message=reason)
        with self._one_at_a_time:
            result = feedparser.parse(
                io.BytesIO(body), resolve_relative_uris=True, sanitize_html=True, response_headers=dict(headers or {})
            )
        # An entry needs an id; its link serves where it has none, and one with neither is left out.
        for entry in result.entries:
            if not entry.get("id") and entry.get("link"):
                entry["id"] = entry["link"]
        given, result.entries = result.entries, [entry for entry in result.entries if entry.get("id")]
        try:
            feed, entries = _process_feed(url, result)
        except ParseError as error:
            raise ParseError(url, message=_xml_reason(error, body)) from error
        if given and not entries:
            raise ParseError(url, message="none of its entries has an id or a link")
        # feedparser falls back from one date to the other by itself, and warns of it; `in` does not.
        dates = {e["id"]: {kind: str(e[kind]) for kind in _DATES if kind in e} for e in result.entries}
        languages = {entry["id"]: _language(entry, result.feed) for entry in result.entries}
        return feed, [_marked(entry, dates[entry.id], languages[entry.id]) for entry in _once(entries)]


class MarkedJSONFeed(JSONFeedParser):
    """JSON Feed, with marks; leaves out items without an id, as its specification wants."""

    def __call__(
        self, url: str, resource: IO[bytes], headers: Mapping[str, str] | None = None
    ) -> tuple[FeedData, list[EntryData]]:
        try:
            # Half of a surrogate pair is no character, and no database takes it.
            given = json.loads(json.dumps(json.loads(resource.read()), ensure_ascii=False).encode("utf8", "replace"))
        except (ValueError, RecursionError) as error:
            raise ParseError(url, message=f"is broken JSON: {str(error)[:120]}") from error
        if not isinstance(given, dict) or "jsonfeed.org/version/" not in str(given.get("version")):
            raise ParseError(url, message="is JSON, but not a JSON Feed")
        items = given.get("items")
        if not isinstance(items, list):
            raise ParseError(url, message="is a JSON Feed without items")
        kept = [item for item in items if isinstance(item, dict) and _item_id(item)]
        if items and not kept:
            raise ParseError(url, message="none of its items has an id")
        document = json.dumps({**given, "items": kept}).encode()
        feed, entries = super().__call__(url, io.BytesIO(document), headers)
        of = {_item_id(item): item for item in reversed(kept)}
        dates = {
            key: {"published": item.get("date_published"), "updated": item.get("date_modified")}
            for key, item in of.items()
        }
        languages = {key: item.get("language") or given.get("language") for key, item in of.items()}
        return feed, [_marked(entry, dates[entry.id], languages[entry.id]) for entry in _once(entries)]


def mount(reader: Reader, retriever: PoliteRetriever) -> None:
    """Have reader fetch with `retriever` and parse with marks."""
    # It logs each failure with its traceback; here, failures are reported as troubles of their feeds.
    logging.getLogger("reader").setLevel(logging.CRITICAL)
    # reader runs what is added last first, and its own defaults would then take these places: they come first.
    reader._parser.do_lazy_init()
    for scheme in ("http://", "https://"):
        reader._parser.mount_retriever(scheme, retriever)
    reader._parser.mount_parser_by_mime_type(MarkedJSONFeed(), _JSON)
    reader._parser.mount_parser_by_mime_type(MarkedFeedparser(), _XML)


def marks_in(contents: Iterable[Content]) -> dict[str, Any]:
    """The marks among the contents of an entry: `date` in ISO 8601, and `language`; either may be None."""
    for content in contents:
        if content.type == MARKS:
            marks: dict[str, Any] = json.loads(content.value)
            return marks
    return {}


def not_a_feed(body: bytes, content_type: str = "") -> str | None:
    """What a document plainly is instead of a feed, or carries that no feed needs; None for what may be a feed.

    Args:
        content_type: as the header says; it may name an encoding.
    """
    if not body.strip(_SPACE):
        return "is empty"
    if _HTML.match(body[: 64 * 1024].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe")):
        return "is a web page, not a feed"
    for reading in _readings(body, content_type):
        # feedparser's time grows with the square of these.
        comments = sum(reading.count(sign) for sign in (b"<!--", b"&lt;!--")) - sum(
            reading.count(sign) for sign in (b"-->", b"--&gt;")
        )
        if comments > 1000 or _LONG_TAG.search(reading):
            return "has a tag or unclosed comments of a size that no feed needs"
        # An entity of entities, or a long one, has one use: to grow without end in whoever reads it.
        values = (value for pair in _ENTITY.findall(reading) for value in pair)
        if any(b"&" in value.replace(b"&#", b"") or len(value) > 100 for value in values):
            return "declares entities that grow when they are read (an entity bomb)"
    return None


def _readings(body: bytes, content_type: str) -> Iterator[bytes]:
    """A document in each encoding that it, or its header, may be read in: some hide a declaration from a search."""
    yield body.replace(b"\0", b"")
    names = {name.decode() for name in _ENCODING.findall(body[:1024])}
    names |= set(re.findall(r"charset\s*=\s*[\"']?([\w.:-]{1,40})", content_type, re.IGNORECASE))
    names |= {"cp037"} if body.startswith(_EBCDIC) else set()
    for name in names:
        with suppress(LookupError, ValueError):
            yield body.decode(name, "ignore").encode("utf8", "ignore")


def has_zone(date: str) -> bool:
    """Whether a date as feeds write it (RFC 822, ISO 8601) names a zone that is known."""
    date = date.strip()
    return len(date) <= 100 and _ZONE.search(date) is not None


def _xml_reason(error: ParseError, body: bytes) -> str:
    cause = error.__cause__
    if cause is None:
        return "is not a feed of any known kind" if error.message == "unknown feed type" else error.message
    line = getattr(cause, "getLineNumber", lambda: None)()
    if line and not body.lstrip(_SPACE).startswith(b"<?xml"):
        line -= 1  # feedparser puts a declaration before it.
    where = f" at line {line}" if line else ""
    what = getattr(cause, "getMessage", lambda: str(cause))()
    return f"its XML is broken{where}: {what}"


def _language(entry: Any, feed: Any) -> Any:
    details = [*entry.get("content", ()), entry.get("summary_detail"), entry.get("title_detail")]
    languages = [detail.get("language") for detail in details if detail]
    return next((language for language in languages if language), None) or feed.get("language")


def _item_id(item: Mapping[str, Any]) -> str:
    given = item.get("id")
    return str(given).strip() if isinstance(given, str | int | float) else ""


def _marked(entry: EntryData, dates: Mapping[str, Any], language: Any) -> EntryData:
    """An entry with its marks.

    Args:
        dates: of _DATES, as the feed writes them.
    """
    date = next((found for kind in _DATES if (found := _date(getattr(entry, kind), dates.get(kind)))), None)
    marks = {
        "date": date.isoformat() if date else None,
        "language": language if isinstance(language, str) and language else None,
    }
    return replace(entry, content=(*entry.content, Content(json.dumps(marks), MARKS)))


def _date(parsed: datetime | None, text: Any) -> datetime | None:
    """A date with its zone only where the text names it.

    Args:
        parsed: by reader, which takes a date without a zone for UTC, or for none at all.
    """
    if not isinstance(text, str):
        return parsed
    if parsed is not None:
        return parsed if has_zone(text) else parsed.replace(tzinfo=None)
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        with suppress(ValueError, TypeError, OverflowError):
            return read(text.strip()[:100])
    return None


def _once(entries: Iterable[EntryData]) -> list[EntryData]:
    """The first of the entries with one id: what a feed gives twice is one entry."""
    return list({entry.id: entry for entry in reversed(list(entries))}.values())[::-1]

"""Reading RSS, Atom and JSON Feed with reader's own parsers, with marks; what cannot be read is said in plain words.

Runs in a process of its own, see `parsing_process`: what a hostile feed can take is known only there.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import IO, Any

import feedparser
from reader import ParseError
from reader._parser.feedparser import FeedparserParser, _process_feed
from reader._parser.jsonfeed import JSONFeedParser
from reader._types import EntryData, FeedData

import serving.feeds.installed_feedparser  # noqa: F401  # before reader parses
from serving.feeds.marks import DATES, marked

_SPACE = b"\xef\xbb\xbf \t\r\n"
_ENCODING = re.compile(rb"<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([\w.:-]{1,40})[\"']", re.IGNORECASE)
_LONG_TAG = re.compile(rb"<[A-Za-z][^<>]{65536}")
_EBCDIC = b"\x4c\x6f\xa7\x94"
_ENTITY = re.compile(rb"<!ENTITY\s+(?!%)\S+\s+(?:\"([^\"]*)\"|'([^']*)')", re.IGNORECASE)
# Atomic, as many comments could else be taken together in very many ways.
_HTML = re.compile(
    rb"(?>\s*(?:<\?.*?\?>|<!--.*?-->))*+\s*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL
)


def read_feed(url: str, body: bytes, headers: Mapping[str, str]) -> tuple[FeedData, list[EntryData]]:
    """What a feed of any kind says of itself and its entries.

    Args:
        headers: with names in small letters; `content-location` is where it was found, after redirects.

    Raises:
        ParseError: it is no feed, or one that is refused; with the reason.
    """
    parser = MarkedJSONFeed() if body.lstrip(_SPACE)[:1] in (b"{", b"[") else MarkedFeedparser()
    return parser(url, io.BytesIO(body), headers)


class MarkedFeedparser(FeedparserParser):
    """RSS and Atom, with marks; says in plain words what is wrong with a document."""

    def __call__(
        self, url: str, resource: IO[bytes], headers: Mapping[str, str] | None = None
    ) -> tuple[FeedData, list[EntryData]]:
        body = resource.read()
        if reason := not_a_feed(body, (headers or {}).get("content-type", "")):
            raise ParseError(url, message=reason)
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
        dates = {e["id"]: {kind: str(e[kind]) for kind in DATES if kind in e} for e in result.entries}
        languages = {entry["id"]: _language(entry, result.feed) for entry in result.entries}
        return feed, [marked(entry, dates[entry.id], languages[entry.id]) for entry in _once(entries)]


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
        return feed, [marked(entry, dates[entry.id], languages[entry.id]) for entry in _once(entries)]


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


def _once(entries: Iterable[EntryData]) -> list[EntryData]:
    """The first of the entries with one id: what a feed gives twice is one entry."""
    return list({entry.id: entry for entry in reversed(list(entries))}.values())[::-1]

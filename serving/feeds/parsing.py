"""How reader is made to fetch and parse feeds here.

reader has a public interface for everything but this: retrievers and parsers are mounted on `reader._parser`, as its
page "Internal API" describes. All that depends on that stands here, in `feed_parsers` and in `parsing_process`, and the
version is pinned.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

from reader import Reader
from reader._parser import HTTPInfo, NotModified, RetrievedFeed, RetrieveError
from reader._types import EntryData, FeedData

import serving.feeds.installed_feedparser  # noqa: F401  # before reader parses
from serving.feeds.fetching import Answer, Fetcher
from serving.feeds.parsing_process import ParsingProcess
from serving.feeds.troubles import FetchError

MOST_FEED = 4 * 2**20
"""Bytes of a feed, uncompressed."""

ACCEPT = "application/atom+xml, application/rss+xml, application/feed+json, application/xml;q=0.9, */*;q=0.5"

_KIND = "application/x.stance-feed"
"""Of no registry, so that none of reader's own parsers stands before the one from here."""


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
        info = HTTPInfo(answer.status, {**told, "content-location": answer.url})
        yield RetrievedFeed(io.BytesIO(answer.body), _KIND, seen or None, info)

    def validate_url(self, url: str) -> None:
        """Nothing more: whoever adds a feed has checked its URL."""


class ParserElsewhere:
    """Has a process of its own parse what reader wants parsed."""

    http_accept = ACCEPT

    def __init__(self, process: ParsingProcess) -> None:
        self._process = process

    def __call__(
        self, url: str, resource: IO[bytes], headers: Mapping[str, str] | None = None
    ) -> tuple[FeedData, list[EntryData]]:
        return self._process.parse(url, resource.read(), headers or {})


def mount(reader: Reader, retriever: PoliteRetriever, process: ParsingProcess) -> None:
    """Have reader fetch with `retriever` and parse in `process`."""
    # It logs each failure with its traceback; here, failures are reported as troubles of their feeds.
    logging.getLogger("reader").setLevel(logging.CRITICAL)
    # reader runs what is added last first, and its own defaults would then take these places: they come first.
    reader._parser.do_lazy_init()
    for scheme in ("http://", "https://"):
        reader._parser.mount_retriever(scheme, retriever)
    reader._parser.mount_parser_by_mime_type(ParserElsewhere(process), _KIND)

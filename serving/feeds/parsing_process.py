"""Feeds are parsed in a process of their own, which can be ended: `python -m serving.feeds.parsing_process`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from reader import ParseError
from reader._types import EntryData, FeedData
from reader.types import Author, Content, Enclosure, EntrySource

from serving.feeds.limited_process import LimitedProcess, answer_questions
from serving.feeds.troubles import FetchError

LONGEST = 10.0
"""Seconds of processor time for one feed. The largest that is fetched (4 MiB) takes two or three, if it is sound."""


class ParsingProcess:
    """The process, from this side; may be used from several threads, and does one feed after the other.

    Args:
        stopped: whether to break off.
        longest: seconds of processor time for one feed.
    """

    def __init__(self, stopped: Callable[[], bool], longest: float = LONGEST) -> None:
        self._process = LimitedProcess("serving.feeds.parsing_process", longest, stopped)

    def parse(self, url: str, body: bytes, headers: Mapping[str, str]) -> tuple[FeedData, list[EntryData]]:
        """What `read_feed` gives.

        Raises:
            ParseError: it cannot be read, takes too long or too much memory, or this was stopped.
        """
        try:
            answer = self._process.ask({"url": url, "headers": dict(headers)}, body)
        except FetchError as error:
            raise ParseError(url, message=error.reason) from error
        return _feed(answer["feed"]), [_entry(entry) for entry in answer["entries"]]

    def close(self) -> None:
        """End the process; the next feed starts another."""
        self._process.close()


def _feed(given: dict[str, Any]) -> FeedData:
    return FeedData(**_with_dates(given))


def _entry(given: dict[str, Any]) -> EntryData:
    source = given["source"]
    made = {
        "content": tuple(Content(**content) for content in given["content"]),
        "enclosures": tuple(Enclosure(**enclosure) for enclosure in given["enclosures"]),
        "source": EntrySource(**_with_dates(source)) if source else None,
    }
    return EntryData(**{**_with_dates(given), **made})


def _with_dates(given: dict[str, Any]) -> dict[str, Any]:
    dates = {name: datetime.fromisoformat(given[name]) for name in ("updated", "published") if given.get(name)}
    return {**given, **dates, "authors": tuple(Author(**author) for author in given["authors"])}


def _serve() -> None:
    from serving.feeds.feed_parsers import read_feed

    def answer(question: dict[str, Any], body: bytes) -> Any:
        try:
            feed, entries = read_feed(question["url"], body, question["headers"])
        except ParseError as error:
            raise FetchError(error.message) from error
        return {"feed": asdict(feed), "entries": [asdict(entry) for entry in entries]}

    answer_questions(answer)


if __name__ == "__main__":
    _serve()

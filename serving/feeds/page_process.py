"""Pages of articles are read in a process of their own, which can be ended: `python -m serving.feeds.page_process`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from serving.feeds.limited_process import LimitedProcess, answer_questions
from serving.feeds.page import FetchedPage, PageReading, read_page

LONGEST = 10.0
"""Seconds of processor time for one page. The largest that is fetched (5 MB) takes about five, if it is sound."""


class PageProcess:
    """The process, from this side; does one page after the other."""

    def __init__(self) -> None:
        self._process = LimitedProcess("serving.feeds.page_process", LONGEST)

    def begin(self) -> None:
        """Start it, since a page is on its way: its libraries take a second."""
        self._process.begin()

    def read(self, page: FetchedPage) -> PageReading | None:
        """What `read_page` gives.

        Raises:
            FetchError: it takes too long or too much memory.
        """
        question = {"url": page.url, "charset": page.charset, "content_type": page.content_type}
        found = self._process.ask(question, page.body)["page"]
        if found is None:
            return None
        published = found["published"] and datetime.fromisoformat(found["published"])
        return PageReading(**{**found, "published": published})

    def close(self) -> None:
        """End the process; the next page starts another."""
        self._process.close()


@dataclass(frozen=True)
class _Page:
    url: str
    body: bytes
    charset: str | None
    content_type: str | None


def _answer(question: Mapping[str, Any], body: bytes) -> Any:
    read = read_page(_Page(body=body, **question))
    return {"page": read and asdict(read)}


if __name__ == "__main__":
    import trafilatura  # noqa: F401  # before the first page comes

    answer_questions(_answer)

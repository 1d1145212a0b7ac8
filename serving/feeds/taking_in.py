"""From the entries that wait to articles in the state."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Protocol

from sqlalchemy import Engine

from serving.feeds.admission import Near, Stories, admit, set_aside
from serving.feeds.article import Article, NoArticle
from serving.feeds.batches import SCORED_LANGUAGE
from serving.feeds.entry import Entry
from serving.feeds.fetching import Page
from serving.feeds.troubles import FetchError, NotYetError, StoppedError
from training.outcomes import Progress

AT_ONCE = 50
"""Entries a transaction."""

PAGES_AT_ONCE = 8
"""Of different hosts; a host is asked for one at a time."""

_logger = logging.getLogger("stance.feeds")


@dataclass(frozen=True)
class AddressTrouble:
    """What went wrong at the address of a feed or an article, in words."""

    url: str
    reason: str


class FeedTrouble(Protocol):
    """A feed that could not be read, and why."""

    @property
    def feed(self) -> str: ...
    @property
    def reason(self) -> str: ...


class Polled(Protocol):
    """What asking the feeds came to."""

    @property
    def feeds(self) -> int: ...
    @property
    def new(self) -> int: ...
    @property
    def troubles(self) -> Sequence[FeedTrouble]: ...


class Subscriptions(Protocol):
    """Where entries come from; see `serving.feeds.subscriptions`."""

    def poll(self, now: datetime, progress: Progress | None, stop: Callable[[], bool]) -> Polled: ...
    def waiting(self) -> Iterator[Entry]: ...
    def taken(self, entries: Iterable[Entry]) -> None: ...


@dataclass(frozen=True)
class Reading:
    """How an entry becomes an article.

    Attributes:
        article_of: makes it of an entry and its page; FetchError where the page takes too long.
        signature: of its text.
        near: whether two signatures are of nearly one text.
        page: fetches the page of an entry, where it needs one.
    """

    article_of: Callable[[Entry, Page | None, datetime], Article | NoArticle]
    signature: Callable[[str], bytes]
    near: Near
    page: Callable[[Entry], Page | None]


@dataclass
class Taken:
    """What became of entries.

    Attributes:
        counts: by `Verdict`; "other language" of new articles and versions, and "unread".
        troubles: pages that could not be fetched, and entries of which no article could be made.
    """

    counts: Counter[str] = field(default_factory=Counter)
    troubles: list[AddressTrouble] = field(default_factory=list)


def take_in(
    subscriptions: Subscriptions,
    reading: Reading,
    engine: Engine,
    stories: Stories,
    now: datetime,
    progress: Progress,
    stop: Callable[[], bool],
) -> Taken:
    """Enter all entries that wait; they are called taken only once they are in the state.

    Who is killed in between finds them waiting again, and known. Entries whose host is to be left alone wait on.
    """
    taken = Taken()
    waiting = subscriptions.waiting()
    with ThreadPoolExecutor(PAGES_AT_ONCE, "page") as pool:
        number = 0
        while not stop() and (entries := list(islice(waiting, AT_ONCE))):
            pages = pool.map(lambda entry: _page(entry, reading, stop), entries)
            read = [
                (entry, _read(entry, page, reading, now, taken.troubles))
                for entry, page in zip(entries, pages, strict=True)
                if not isinstance(page, _Later)
            ]
            _enter(read, reading, engine, stories, now, taken.counts)
            subscriptions.taken([entry for entry, _ in read])
            number += len(entries)
            progress("articles", number, number)
    return taken


class _Later:
    """In place of a page that cannot be asked for now."""


def _page(entry: Entry, reading: Reading, stop: Callable[[], bool]) -> Page | FetchError | _Later | None:
    if stop():
        return _Later()
    try:
        return reading.page(entry)
    except (NotYetError, StoppedError):
        return _Later()
    except FetchError as error:
        return error


def _read(
    entry: Entry, page: Page | FetchError | None, reading: Reading, now: datetime, troubles: list[AddressTrouble]
) -> Article | NoArticle:
    place = entry.url or entry.feed
    if isinstance(page, FetchError):
        # The summary is read instead.
        troubles.append(AddressTrouble(place, page.reason))
        page = None
    try:
        article = _article(entry, page, place, reading, now, troubles)
    except ImportError:
        raise  # No fault of the page: a package is missing.
    except Exception as error:
        # One page that a parser stumbles over must not stop all others.
        _logger.exception("%s cannot be read", place)
        article = NoArticle(f"cannot be read: {type(error).__name__}")
    if isinstance(article, NoArticle):
        troubles.append(AddressTrouble(place, article.reason))
    return article


def _article(
    entry: Entry, page: Page | None, place: str, reading: Reading, now: datetime, troubles: list[AddressTrouble]
) -> Article | NoArticle:
    try:
        return reading.article_of(entry, page, now)
    except FetchError as error:
        troubles.append(AddressTrouble(place, error.reason))
        return reading.article_of(entry, None, now)


def _enter(
    read: Sequence[tuple[Entry, Article | NoArticle]],
    reading: Reading,
    engine: Engine,
    stories: Stories,
    now: datetime,
    counts: Counter[str],
) -> None:
    with engine.begin() as db:
        for entry, article in read:
            if isinstance(article, NoArticle):
                set_aside(db, entry, article, now)
                counts["unread"] += 1
                continue
            verdict = admit(db, entry, article, reading.signature(article.text), stories, reading.near, now)
            counts[verdict] += 1
            if verdict in ("new", "version") and article.language != SCORED_LANGUAGE:
                counts["other language"] += 1

"""The feeds that are subscribed to, and their entries that wait to be taken: reader's database and what it lacks.

reader stores feeds, entries and what conditional requests need. How a feed fares (when it was tried, what is wrong,
when to try again) stands in a tag of the feed, in the same database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import httpx
import reader
from reader import Reader, make_reader

from labels.errors import StanceError
from serving.feeds.addresses import checked_url, is_public, refuse_private, resolve
from serving.feeds.entry import Entry
from serving.feeds.fetching import Fetcher, Limits
from serving.feeds.health import KeptHealth, Schedule
from serving.feeds.opml import Outline, read_opml
from serving.feeds.politeness import Manners
from serving.feeds.rounds import HOSTS_AT_ONCE, Polled, Rounds
from serving.feeds.stored_entries import StoredEntries
from serving.feeds.troubles import FetchError, Trouble
from training.outcomes import Progress

DATABASE = "subscriptions.sqlite"
_LOOKUP = 5.0
"""Seconds for looking up the host of a feed that is added."""


@dataclass(frozen=True)
class Subscription:
    """A feed and how it fares.

    Attributes:
        private: whether it was added as one whose own host may be private.
        moved: where it has moved for good, as its server says; it is still asked for at `url`.
        waiting: entries that nobody has taken yet.
    """

    url: str
    title: str | None
    added: datetime
    private: bool
    last_try: datetime | None
    last_success: datetime | None
    next_try: datetime | None
    trouble: Trouble | None
    moved: str | None
    waiting: int


@dataclass(frozen=True)
class Imported:
    """Feeds of a list: those that were not known, and those that were."""

    new: int
    known: int


@contextmanager
def open_subscriptions(
    folder: Path,
    *,
    allow_private: bool = False,
    limits: Limits | None = None,
    manners: Manners | None = None,
    schedule: Schedule | None = None,
) -> Iterator[Subscriptions]:
    """The subscriptions of a folder, which is made if need be.

    Args:
        allow_private: whether private addresses may be asked while it is open; a feed that is added meanwhile may be
            at a private host for good.

    Raises:
        StanceError: the folder or its database cannot be used.
    """
    path = folder / DATABASE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # No plugins: reader's own may ask with another User-Agent than ours.
        opened = make_reader(str(path), plugins=(), search_enabled=None)
    except (OSError, reader.StorageError) as error:
        raise StanceError(f"the subscriptions cannot be opened: {error}", path=path) from error
    fetcher = Fetcher(limits, manners, allow_private=allow_private)
    try:
        with opened:
            yield Subscriptions(opened, fetcher, schedule or Schedule())
    except reader.StorageError as error:
        raise StanceError(f"the subscriptions cannot be read or written: {error}", path=path) from error


class Subscriptions:
    """Feeds, and their entries that wait; made by `open_subscriptions`.

    Attributes:
        fetcher: what feeds are fetched with; article pages go through it, too, so that a host is asked by one only.
    """

    def __init__(self, opened: Reader, fetcher: Fetcher, schedule: Schedule) -> None:
        self.fetcher = fetcher
        self._reader = opened
        self._health = KeptHealth(opened)
        self._entries = StoredEntries(opened)
        self._rounds = Rounds(opened, fetcher, schedule, self._entries)
        fetcher.private_feeds |= {feed.url for feed in opened.get_feeds() if self._health.of(feed.url).private}

    def add(self, url: str) -> bool:
        """Subscribe to a feed; it is asked for in the next round.

        Returns:
            Whether it was not known.

        Raises:
            StanceError: the URL is none, or leads to a private address, which is not allowed.
        """
        try:
            checked, private = self.check(url)
        except FetchError as error:
            raise StanceError(f"{url}: {error.reason}") from None
        return self._add({checked: private}) == 1

    def import_opml(self, path: Path) -> Imported:
        """Subscribe to all feeds of a list, or to none.

        Raises:
            StanceError: the list, or a feed in it, cannot be used; with the line.
        """

        def checked(outline: Outline) -> tuple[str, bool]:
            try:
                return self.check(outline.url)
            except FetchError as error:
                raise StanceError(f"{outline.url}: {error.reason}", path=path, line=outline.line) from None

        outlines = read_opml(path)
        with ThreadPoolExecutor(HOSTS_AT_ONCE) as pool:
            feeds = dict(pool.map(checked, outlines))
        new = self._add(feeds)
        return Imported(new, len(feeds) - new)

    def check(self, url: str) -> tuple[str, bool]:
        """A feed's URL as it is kept, and whether it leads to a private address.

        A name that cannot be looked up now is let pass: the next round will say so.

        Raises:
            RefusedError: it is no URL of a feed, or leads to a private address, which is not allowed.
        """
        checked = _feed_url(url)
        try:
            addresses = resolve(checked.host, checked.port or 443, _LOOKUP)
        except FetchError:
            return str(checked), False
        if not self.fetcher.allow_private:
            refuse_private(checked.host, addresses)
        return str(checked), not all(map(is_public, addresses))

    def remove(self, url: str) -> None:
        """Forget a feed, and its entries that wait.

        Raises:
            StanceError: there is none of this URL.
        """
        try:
            known = str(_feed_url(url))
            self._reader.delete_feed(known)
        except (FetchError, reader.FeedNotFoundError):
            raise StanceError(f"no feed is subscribed to at {url}", hint="`stance feeds list` shows all.") from None
        self.fetcher.private_feeds.discard(known)

    def list(self) -> list[Subscription]:
        """All feeds, by URL."""
        return sorted(map(self._subscription, self._reader.get_feeds()), key=lambda feed: feed.url)

    def poll(self, now: datetime, progress: Progress | None, stop: Callable[[], bool]) -> Polled:
        """One round; see `Rounds.poll`."""
        return self._rounds.poll(now, progress, stop)

    def waiting(self) -> Iterator[Entry]:
        """Entries that nobody has taken yet; see `StoredEntries.waiting`."""
        return self._entries.waiting()

    def taken(self, entries: Iterable[Entry]) -> None:
        """Have entries wait no longer; see `StoredEntries.taken`."""
        self._entries.taken(entries)

    def _add(self, checked: dict[str, bool]) -> int:
        new: list[str] = []
        try:
            for url, private in checked.items():
                with suppress(reader.FeedExistsError):
                    self._reader.add_feed(url)
                    new.append(url)
                if private:
                    self._health.keep(url, self._health.of(url).allowed())
                    self.fetcher.private_feeds.add(url)
        except BaseException:
            for url in new:
                self._reader.delete_feed(url, missing_ok=True)
            raise
        return len(new)

    def _subscription(self, feed: reader.Feed) -> Subscription:
        health = self._health.of(feed.url)
        waiting = self._reader.get_entry_counts(feed=feed.url, read=False).total or 0
        return Subscription(
            feed.url,
            feed.resolved_title,
            feed.added,
            health.private,
            health.tried,
            health.succeeded,
            health.next_try,
            health.trouble(feed.url),
            health.moved,
            waiting,
        )


def _feed_url(text: str) -> httpx.URL:
    # What browsers and other readers hand on: feed://host/path, feed:https://host/path.
    return checked_url(text.strip().replace("feed://", "http://", 1).removeprefix("feed:"))

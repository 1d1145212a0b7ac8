"""The feeds that are subscribed to, and their entries that wait to be taken: reader's database and what it lacks.

reader stores feeds, entries and what conditional requests need. How a feed fares (when it was tried, what is wrong,
when to try again) stands in a tag of the feed, in the same database.
"""

from __future__ import annotations

import html
import re
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import httpx
import reader
from reader import Reader, make_reader

from labels.errors import StanceError
from serving.feeds.addresses import checked_url, is_public, resolve
from serving.feeds.entry import Entry
from serving.feeds.fetching import Fetcher, Limits
from serving.feeds.health import Health, Schedule
from serving.feeds.opml import Outline, read_opml
from serving.feeds.parsing import MARKS, PoliteRetriever, marks_in, mount
from serving.feeds.politeness import Manners
from serving.feeds.troubles import FetchError, NotYetError, RefusedError, StoppedError, Trouble
from training.outcomes import Progress

DATABASE = "subscriptions.sqlite"
HOSTS_AT_ONCE = 4
"""How many hosts are asked side by side; of one host, one feed after the other."""

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


@dataclass(frozen=True)
class Polled:
    """What a round brought.

    Attributes:
        feeds: how many were asked for.
        new: entries that were not known.
        troubles: of the feeds that were asked for in vain.
        resting: feeds that were not asked for, because it is too early.
    """

    feeds: int
    new: int
    troubles: tuple[Trouble, ...]
    resting: int = 0


@dataclass
class _Round:
    """What a round has brought so far; the lock is for its threads."""

    now: datetime
    stop: Callable[[], bool]
    total: int
    progress: Progress | None
    asked: int = 0
    new: int = 0
    troubles: list[Trouble] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


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
        self._reader, self._schedule = opened, schedule
        self._retriever = PoliteRetriever(fetcher)
        self._tag = opened.make_plugin_reserved_name("stance")
        mount(opened, self._retriever)
        fetcher.private_feeds |= {feed.url for feed in opened.get_feeds() if self._health(feed.url).private}

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
        private = [address for address in addresses if not is_public(address)]
        if private and not self.fetcher.allow_private:
            raise RefusedError(
                f"{checked.host} leads to {private[0]}, which is not a public address (--allow-private allows it)"
            )
        return str(checked), bool(private)

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
        """Ask for each feed whose time has come; a feed in trouble never stops the others.

        Args:
            now: with its zone.
            stop: asked again and again; True ends the round between feeds, and what waits or reads at once.
        """
        self.fetcher.stopped.clear()
        feeds = [feed.url for feed in self._reader.get_feeds()]
        due = [url for url in feeds if self._schedule.due(self._health(url), now)]
        hosts: dict[str, list[str]] = defaultdict(list)
        for url in due:
            hosts[checked_url(url).host].append(url)
        round_ = _Round(now, stop, len(due), progress)
        with ThreadPoolExecutor(HOSTS_AT_ONCE, thread_name_prefix="feeds") as pool:
            running = [pool.submit(self._poll_host, urls, round_) for urls in hosts.values()]
            self._watch(running, stop)
        for done in running:
            done.result()
        return Polled(round_.asked, round_.new, tuple(round_.troubles), len(feeds) - len(due))

    def waiting(self) -> Iterator[Entry]:
        """Entries that nobody has taken yet, oldest first; those that come meanwhile wait for the next call."""
        # Only what orders them is kept: with their contents, many would not fit into memory.
        order = sorted(
            (entry.published or entry.updated or entry.added, entry.feed_url, entry.id)
            for entry in self._reader.get_entries(read=False)
        )
        for _, feed, guid in order:
            with suppress(reader.EntryNotFoundError):
                yield _entry(self._reader.get_entry((feed, guid)))

    def taken(self, entries: Iterable[Entry]) -> None:
        """Have entries wait no longer, once they are safely stored; repeating it is harmless."""
        for entry in entries:
            with suppress(reader.EntryNotFoundError):
                self._reader.mark_entry_as_read((entry.feed, entry.guid))

    def _add(self, checked: dict[str, bool]) -> int:
        new: list[str] = []
        try:
            for url, private in checked.items():
                with suppress(reader.FeedExistsError):
                    self._reader.add_feed(url)
                    new.append(url)
                if private:
                    self._keep(url, self._health(url).allowed())
                    self.fetcher.private_feeds.add(url)
        except BaseException:
            for url in new:
                self._reader.delete_feed(url, missing_ok=True)
            raise
        return len(new)

    def _watch(self, running: Sequence[Future[None]], stop: Callable[[], bool]) -> None:
        try:
            while wait(running, timeout=0.1).not_done:
                if stop():
                    self.fetcher.stopped.set()
        except BaseException:
            self.fetcher.stopped.set()
            raise

    def _poll_host(self, urls: Sequence[str], round_: _Round) -> None:
        with self._reader:
            for url in urls:
                if self.fetcher.stopped.is_set() or round_.stop():
                    return
                self._poll_feed(url, round_)

    def _poll_feed(self, url: str, round_: _Round) -> None:
        health, now = self._health(url), round_.now
        if self._schedule.unconditional(health, now):
            self._retriever.unconditional.add(url)
        new = 0
        try:
            updated = self._reader.update_feed(url)
            new = updated.new if updated else 0
            health = self._schedule.success(health, now, self._retriever.answers.pop(url))
        except reader.FeedNotFoundError:
            return  # It was removed meanwhile.
        except reader.StorageError:
            raise
        except Exception as error:  # Whatever it is about this feed, it must not stop the others.
            cause = error.__cause__
            if isinstance(cause, StoppedError):
                return
            if isinstance(cause, NotYetError):
                health = self._schedule.put_off(health, now, cause)
            else:
                failure = cause if isinstance(cause, FetchError) else FetchError(_reason(error))
                health = self._schedule.failure(health, now, failure)
        finally:
            self._retriever.unconditional.discard(url)
        # What its host's robots.txt asks for between two requests holds between two rounds, too.
        health = health.not_before(now + self.fetcher.politeness.delay(checked_url(url)))
        with suppress(reader.FeedNotFoundError):
            self._keep(url, health)
        self._count(url, health, new, round_)

    def _count(self, url: str, health: Health, new: int, round_: _Round) -> None:
        with round_.lock:
            round_.asked += 1
            round_.new += new
            if trouble := health.trouble(url):
                round_.troubles.append(trouble)
            if round_.progress:
                round_.progress("feeds", round_.asked, round_.total)

    def _health(self, url: str) -> Health:
        return Health.of(self._reader.get_tag(url, self._tag, None))

    def _keep(self, url: str, health: Health) -> None:
        self._reader.set_tag(url, self._tag, health.as_json())

    def _subscription(self, feed: reader.Feed) -> Subscription:
        health = self._health(feed.url)
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


def _reason(error: Exception) -> str:
    """What reader has to say of a feed that was fetched and cannot be parsed or stored."""
    if isinstance(error, reader.ParseError) and not error.message.startswith("unexpected"):
        return error.message
    return f"cannot be read: {type(error.__cause__ or error).__name__}"


def _entry(entry: reader.Entry) -> Entry:
    marks = marks_in(entry.content)
    contents = [content for content in entry.content if content.type != MARKS and content.value.strip()]
    fullest = max(contents, key=lambda content: (content.is_html, len(content.value)), default=None)
    summary = entry.summary if entry.summary and entry.summary.strip() else None
    text = summary
    if fullest is not None:
        text = fullest.value if fullest.is_html else _paragraphs(fullest.value)
    date = marks.get("date")
    return Entry(
        feed=entry.feed_url,
        guid=entry.id,
        url=entry.link,
        title=entry.title,
        author=entry.authors_str,
        outlet=entry.feed.resolved_title or checked_url(entry.feed_url).host,
        published=datetime.fromisoformat(date) if date else None,
        html=text,
        full=fullest is not None,
        language=marks.get("language"),
    )


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{html.escape(part)}</p>" for part in re.split(r"\n\s*\n", text) if part.strip())

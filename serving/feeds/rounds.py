"""A round: every feed whose time has come is asked for, several hosts side by side."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import datetime

import reader
from reader import Reader

from serving.feeds.addresses import checked_url
from serving.feeds.fetching import Fetcher
from serving.feeds.health import Health, KeptHealth, Schedule
from serving.feeds.parsing import PoliteRetriever, mount
from serving.feeds.parsing_process import ParsingProcess
from serving.feeds.stored_entries import StoredEntries
from serving.feeds.troubles import FetchError, NotYetError, StoppedError, Trouble
from training.outcomes import Progress

HOSTS_AT_ONCE = 4
"""How many hosts are asked side by side; of one host, one feed after the other."""


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

    def count(self, new: int, trouble: Trouble | None) -> None:
        """Another feed was asked for."""
        with self.lock:
            self.asked += 1
            self.new += new
            if trouble:
                self.troubles.append(trouble)
            if self.progress:
                self.progress("feeds", self.asked, self.total)


class Rounds:
    """Asks for feeds, and has reader store what they bring."""

    def __init__(self, opened: Reader, fetcher: Fetcher, schedule: Schedule, entries: StoredEntries) -> None:
        self._reader, self._fetcher, self._schedule, self._entries = opened, fetcher, schedule, entries
        self._health = KeptHealth(opened)
        self._retriever = PoliteRetriever(fetcher)
        self._parsing = ParsingProcess(fetcher.stopped.is_set)
        mount(opened, self._retriever, self._parsing)

    def poll(self, now: datetime, progress: Progress | None, stop: Callable[[], bool]) -> Polled:
        """Ask for each feed whose time has come; a feed in trouble never stops the others.

        Args:
            now: with its zone.
            stop: asked again and again; True ends the round between feeds, and what waits or reads at once.
        """
        self._fetcher.stopped.clear()
        feeds = [feed.url for feed in self._reader.get_feeds()]
        due = [url for url in feeds if self._schedule.due(self._health.of(url), now)]
        hosts: dict[str, list[str]] = defaultdict(list)
        for url in due:
            hosts[checked_url(url).host].append(url)
        round_ = _Round(now, stop, len(due), progress)
        with (
            closing(self._parsing),
            ThreadPoolExecutor(HOSTS_AT_ONCE, thread_name_prefix="feeds") as pool,
        ):
            running = [pool.submit(self._poll_host, urls, round_) for urls in hosts.values()]
            self._watch(running, stop)
        for done in running:
            done.result()
        self._entries.forget_old(now)
        return Polled(round_.asked, round_.new, tuple(round_.troubles), len(feeds) - len(due))

    def _watch(self, running: Sequence[Future[None]], stop: Callable[[], bool]) -> None:
        try:
            while wait(running, timeout=0.1).not_done:
                if stop():
                    self._fetcher.stopped.set()
        except BaseException:
            self._fetcher.stopped.set()
            raise

    def _poll_host(self, urls: Sequence[str], round_: _Round) -> None:
        with self._reader:
            for url in urls:
                if self._fetcher.stopped.is_set() or round_.stop():
                    return
                # A feed may be removed meanwhile.
                with suppress(reader.FeedNotFoundError):
                    self._poll_feed(url, round_)

    def _poll_feed(self, url: str, round_: _Round) -> None:
        health, now = self._health.of(url), round_.now
        if health.asking:
            self._entries.note_edits(url)
        self._health.keep(url, health.while_asking())
        if self._schedule.unconditional(health, now):
            self._retriever.unconditional.add(url)
        new = 0
        try:
            updated = self._reader.update_feed(url)
            new = updated.new if updated else 0
            health = self._schedule.success(health, now, self._retriever.answers.pop(url))
        except (reader.FeedNotFoundError, reader.StorageError):
            raise
        except Exception as error:  # Whatever it is about this feed, it must not stop the others.
            if isinstance(error.__cause__, StoppedError):
                return
            health = self._failed(health, now, error)
        finally:
            self._retriever.unconditional.discard(url)
        # What its host's robots.txt asks for between two requests holds between two rounds, too.
        health = health.not_before(now + self._fetcher.politeness.delay(checked_url(url)))
        self._health.keep(url, health)
        round_.count(new, health.trouble(url))

    def _failed(self, health: Health, now: datetime, error: Exception) -> Health:
        cause = error.__cause__
        if isinstance(cause, NotYetError):
            return self._schedule.put_off(health, now, cause)
        return self._schedule.failure(
            health, now, cause if isinstance(cause, FetchError) else FetchError(_reason(error))
        )


def _reason(error: Exception) -> str:
    """What reader has to say of a feed that was fetched and cannot be parsed or stored."""
    if isinstance(error, reader.ParseError) and not error.message.startswith("unexpected"):
        return error.message
    return f"cannot be read: {type(error.__cause__ or error).__name__}"

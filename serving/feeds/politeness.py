"""How sites are asked: one connection at a time, not too often, and as their robots.txt and Retry-After say."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx
from protego import Protego

from serving.feeds.troubles import FetchError, NotYetError, RefusedError, StoppedError

ROBOTS_NAME = "stance"
"""What a robots.txt calls this project."""

LONGEST_ASKED = timedelta(days=7)
"""Of a Retry-After that asks for more, as much is granted."""


@dataclass(frozen=True)
class Manners:
    """How a host is treated.

    Attributes:
        interval: seconds between two requests to one host of the open internet. A private host, which somebody has
            allowed by hand, is asked as fast as it answers, still one request at a time.
        longest_wait: seconds that a request waits for its turn; what would wait longer is put off.
        robots_kept: seconds that a robots.txt holds (RFC 9309: at most a day).
        robots_failure_kept: seconds until a robots.txt that could not be had is asked for again.
    """

    interval: float = 1.0
    longest_wait: float = 30.0
    robots_kept: float = 24 * 3600
    robots_failure_kept: float = 600


@dataclass
class Turn:
    """One request's turn at a host.

    Attributes:
        private: set where the host turned out to be a private one.
        counts: whether the delay that its robots.txt asks for begins again after it.
    """

    private: bool = False
    counts: bool = True


@dataclass
class _Host:
    turn: threading.Lock = field(default_factory=threading.Lock)
    free_at: float = 0.0
    delay: float = 0.0


@dataclass(frozen=True)
class _Robots:
    rules: Protego | None
    failure: FetchError | None
    until: float


class Politeness:
    """Whose turn it is at each host; may be used from several threads.

    Args:
        clock: seconds, never going back.
        wait: waits so many seconds; True if it was stopped meanwhile.
    """

    def __init__(
        self,
        manners: Manners,
        *,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], bool],
    ) -> None:
        self._manners, self._clock, self._wait = manners, clock, wait
        self._hosts: dict[str, _Host] = {}
        self._robots: dict[str, _Robots] = {}

    @contextmanager
    def turn(self, url: httpx.URL) -> Iterator[Turn]:
        """Wait for the host's turn, and hold it while the block runs.

        Raises:
            NotYetError: the wait would be too long.
            StoppedError: the wait was broken off.
        """
        place = self._host(url)
        with place.turn:
            wait = place.free_at - self._clock()
            if wait > self._manners.longest_wait:
                raise NotYetError(f"its host is left alone for {spoken(wait)}", wait=timedelta(seconds=wait))
            if wait > 0 and self._wait(wait):
                raise StoppedError("was stopped")
            turn = Turn()
            try:
                yield turn
            finally:
                pause = max(self._manners.interval, place.delay if turn.counts else 0.0)
                place.free_at = max(place.free_at, self._clock() + (0.0 if turn.private else pause))

    def leave_alone(self, url: httpx.URL, wait: timedelta) -> None:
        """Ask nothing more of a host for a time: it said so."""
        place = self._host(url)
        place.free_at = max(place.free_at, self._clock() + wait.total_seconds())

    def delay(self, url: httpx.URL) -> timedelta:
        """What the host's robots.txt asks for between two requests, as far as it is known."""
        return timedelta(seconds=self._host(url).delay)

    def check_robots(self, url: httpx.URL, ask: Callable[[httpx.URL], str | None]) -> None:
        """Refuse what a site's robots.txt forbids (RFC 9309).

        Args:
            ask: fetches a robots.txt; None where there is none. Its FetchError holds for all of the site.

        Raises:
            RefusedError: it is forbidden.
            FetchError: of `ask`, now or a short time ago.
        """
        root = url.copy_with(path="/robots.txt", query=None, fragment=None)
        known = self._robots.get(str(root))
        if known is None or known.until <= self._clock():
            known = self._robots[str(root)] = self._ask_robots(root, ask)
        if known.failure is not None:
            raise known.failure
        if known.rules is not None and not known.rules.can_fetch(str(url), ROBOTS_NAME):
            raise RefusedError("its site's robots.txt forbids it")

    def _ask_robots(self, root: httpx.URL, ask: Callable[[httpx.URL], str | None]) -> _Robots:
        try:
            text = ask(root)
        except (NotYetError, StoppedError):
            raise
        except FetchError as failure:
            return _Robots(None, failure, self._clock() + self._manners.robots_failure_kept)
        rules = None if text is None else Protego.parse(text)
        self._host(root).delay = (rules and rules.crawl_delay(ROBOTS_NAME)) or 0.0
        return _Robots(rules, None, self._clock() + self._manners.robots_kept)

    def _host(self, url: httpx.URL) -> _Host:
        return self._hosts.setdefault(url.host.rstrip("."), _Host())


def retry_after(header: str | None, now: datetime) -> timedelta | None:
    """How long a server asks to be left alone (RFC 9110, 10.2.3): seconds, or a date.

    Args:
        now: with its zone.
    """
    if not header:
        return None
    try:
        if header.strip().isdecimal():
            wait = timedelta(seconds=min(int(header.strip()[:12]), LONGEST_ASKED.total_seconds()))
        else:
            date = parsedate_to_datetime(header)
            wait = (date if date.tzinfo else date.replace(tzinfo=UTC)) - now
    except (ValueError, OverflowError, TypeError):
        return None
    return min(max(wait, timedelta(0)), LONGEST_ASKED)


def spoken(seconds: float) -> str:
    """A time for people, in its largest unit: "40 seconds", "3 hours"."""
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= 2 * length:
            return f"{round(seconds / length)} {unit}s"
    return f"{max(1, round(seconds))} seconds"

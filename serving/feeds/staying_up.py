"""Doing something again and again until one is asked to stop."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


_LOOK = 0.25
"""Seconds between two looks whether to stop."""


def seconds_of(text: str) -> int:
    """Seconds of "90s", "15m", "2h" or "1d".

    Raises:
        ValueError: it is nothing of the kind, or no time at all.
    """
    found = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if not found or not int(found[1]):
        raise ValueError(f"'{text}' is not a time: write 90s, 15m, 2h or 1d")
    return int(found[1]) * _UNITS[found[2]]


@contextmanager
def asked_to_stop() -> Iterator[Callable[[], bool]]:
    """Whether SIGTERM or SIGINT has come; the same signal once more does what it always does."""
    heard: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def hear(number: int, frame: FrameType | None) -> None:
        heard.append(number)
        signal.signal(number, before[signal.Signals(number)])

    try:
        for number in before:
            signal.signal(number, hear)
        yield lambda: bool(heard)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def again_and_again(what: Callable[[], None], seconds: float, stop: Callable[[], bool]) -> None:
    """Do it now and every so many seconds, counted from beginning to beginning; never twice at once."""
    while not stop():
        due = time.monotonic() + seconds
        what()
        # Not an event to wait for: a signal that sets one while it is being waited for can lock up.
        while not stop() and (left := due - time.monotonic()) > 0:
            time.sleep(min(_LOOK, left))

"""Where the time of one long run goes: whole functions are timed, each without those that are timed within it."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

Place = tuple[Any, str]
"""A module or class, and the name of a function in it."""


class Stages:
    """Seconds by stage, of one thread."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.seconds: dict[str, float] = {}
        self._clock = clock
        self._thread = threading.get_ident()
        self._within: list[float] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block; what is timed within it counts there only."""
        if threading.get_ident() != self._thread:
            yield
            return
        began = self._clock()
        self._within.append(0.0)
        try:
            yield
        finally:
            taken = self._clock() - began
            inner = self._within.pop()
            self.seconds[name] = self.seconds.get(name, 0.0) + taken - inner
            if self._within:
                self._within[-1] += taken

    @contextmanager
    def timing(self, places: Mapping[str, Sequence[Place]]) -> Iterator[None]:
        """Time every call of these functions while the block runs, by stage."""
        kept = [(owner, name, getattr(owner, name)) for of in places.values() for owner, name in of]
        try:
            for stage, of in places.items():
                for owner, name in of:
                    setattr(owner, name, self._timed(stage, getattr(owner, name)))
            yield
        finally:
            for owner, name, function in kept:
                setattr(owner, name, function)

    def _timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def timed(*given: Any, **named: Any) -> Any:
            with self.stage(stage):
                return function(*given, **named)

        return timed

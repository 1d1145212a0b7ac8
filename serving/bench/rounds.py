"""Ways to do the same work, timed in turns, so that whatever else the machine does meanwhile falls on all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median

import numpy as np

Work = Callable[[], object]
"""What is timed; all that need not be was done before. What it gives is let go."""

Prepare = Callable[[Sequence[str]], Work]
"""Makes the work of one turn from its texts."""


@dataclass(frozen=True)
class Spread:
    """A figure of several turns.

    Attributes:
        median: the middle one.
        low: the lowest.
        high: the highest.
    """

    median: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


def spread(values: Sequence[float], decimals: int = 3) -> Spread:
    """Of at least one value."""
    return Spread(*(round(float(value), decimals) for value in (median(values), min(values), max(values))))


def ratios(values: Sequence[float], to: Sequence[float]) -> Spread:
    """Turn by turn: both had the same texts, one shortly after the other."""
    return spread([value / other for value, other in zip(values, to, strict=True)])


def seconds_of(work: Work) -> float:
    """How long a piece of work takes, in seconds of the clock."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def take_turns(ways: Mapping[str, Prepare], texts: Sequence[str], number: int) -> dict[str, float]:
    """Seconds that each way takes for these texts.

    Args:
        ways: by name.
        texts: what each of them gets.
        number: of the round: another way begins in each.
    """
    names = list(ways)
    begins = number % len(names)
    return {name: seconds_of(ways[name](texts)) for name in names[begins:] + names[:begins]}


def percentiles(milliseconds: Sequence[float]) -> dict[str, float]:
    """p50, p95 and p99."""
    return {f"p{share}": round(float(np.percentile(milliseconds, share)), 3) for share in (50, 95, 99)}

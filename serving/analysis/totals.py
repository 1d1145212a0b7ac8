"""What scores of sentences add up to: a weighed mean with its interval, its count and its evidence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from training.resampling import draws

Voice = Literal["author", "others", "nobody"]
"""Who says it: the text itself, somebody whom it quotes or reports, or nobody (what it tells as a fact)."""

VOICES: tuple[Voice, ...] = ("author", "others", "nobody")
FEWEST = 3
"""Sentences below which there is no interval: fewer say too little about how much they scatter."""

EVIDENCE = 5
"""Sentences that a total names, at most."""

_RESAMPLES = 1000


@dataclass(frozen=True)
class Point:
    """What one sentence says about one target; there is none where it does not touch it.

    Attributes:
        sentence: its number in the document.
        toward: calibrated probability that it is on the conciliatory side.
        against: likewise, on the other side.
        weight: how sure its label is, in (0, 1].
        abstained: not sure enough for the error rate that the model states.
    """

    sentence: int
    toward: float
    against: float
    weight: float
    abstained: bool = False

    @property
    def score(self) -> float:
        """In [−1, 1]."""
        return self.toward - self.against


@dataclass(frozen=True)
class Total:
    """What sentences say about one target, taken together.

    Attributes:
        score: mean of their scores, each weighed by how sure it is; in [−1, 1].
        low: of the 95% interval; None below `FEWEST` sentences.
        high: likewise.
        sentences: how many touch the target.
        unsure: how many of them are not sure enough by themselves.
        evidence: those that moved the total most, by number, most first; `EVIDENCE` of them at most.
    """

    score: float
    low: float | None
    high: float | None
    sentences: int
    unsure: int
    evidence: tuple[int, ...]


def total(points: Sequence[Point]) -> Total | None:
    """The total of some sentences; None where there are none.

    The interval is that of a percentile bootstrap of the sentences (Efron & Tibshirani 1993, ch. 13), in which each
    sentence that is drawn takes a side by its calibrated probabilities: without that it would say nothing of how far
    the model may be wrong, and held the labels' total in about half of the documents only.
    """
    if not points:
        return None
    score, weight = np.array([[point.score, point.weight] for point in points]).T
    low, high = _interval(points) if len(points) >= FEWEST else (None, None)
    order = np.argsort(-np.abs(score * weight), kind="stable")[:EVIDENCE]
    return Total(
        score=float(score @ weight / weight.sum()),
        low=low,
        high=high,
        sentences=len(points),
        unsure=sum(point.abstained for point in points),
        evidence=tuple(points[place].sentence for place in order.tolist()),
    )


def _interval(points: Sequence[Point]) -> tuple[float, float]:
    drawn = draws(len(points), resamples=_RESAMPLES, seed=0)
    toward, against, weight = np.array([[point.toward, point.against, point.weight] for point in points]).T
    chance = np.random.default_rng(1).random(drawn.shape)
    sides = (chance < toward).astype(float) - (chance > 1 - against)
    low, high = np.percentile((drawn * sides) @ weight / (drawn @ weight), [2.5, 97.5])
    return float(low), float(high)


def totals_by(points: Mapping[str, Sequence[Point]], keys: Sequence[str | None]) -> dict[str, dict[str, Total]]:
    """Totals apart by some key of the sentences.

    Args:
        points: by target.
        keys: of each sentence; those with None are left out.

    Returns:
        key → target → total, where there is one; keys in the order in which they come up first.
    """
    found: dict[str, dict[str, Total]] = {key: {} for key in _once(keys)}
    for target, said in points.items():
        parts: dict[str, list[Point]] = {}
        for point in said:
            key = keys[point.sentence]
            if key is not None:
                parts.setdefault(key, []).append(point)
        for key, part in parts.items():
            summed = total(part)
            assert summed is not None
            found[key][target] = summed
    return found


def _once(keys: Iterable[str | None]) -> Iterable[str]:
    return dict.fromkeys(key for key in keys if key is not None)

"""Groups drawn with replacement: where all intervals come from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Figure = Mapping[str, float | None]
"""`value`, and `low` and `high` of the 95% interval; None where undefined."""

RESAMPLES = 1000

TOO_FEW_GROUPS = 20
"""Intervals from fewer groups come out too narrow (Cameron, Gelbach & Miller 2008 find it with five to thirty)."""


def draws(groups: int, *, resamples: int, seed: int) -> NDArray[np.int64]:
    """How often each group is drawn in each resample; shape (resamples, groups).

    Percentile intervals come from resampling whole groups with replacement (Efron & Tibshirani 1993, ch. 13):
    sentences of one document resemble each other, and one by one the intervals would be too narrow.
    """
    random = np.random.default_rng(seed)
    return random.multinomial(groups, np.full(groups, 1 / groups), size=resamples)


@dataclass(frozen=True)
class Resampling:
    """The same draws for all figures that are made from it, so that they can be compared pair by pair.

    Attributes:
        group: shape (sentences,): number of each sentence's group.
        drawn: shape (resamples, groups).
    """

    group: NDArray[np.intp]
    drawn: NDArray[np.int64]

    @classmethod
    def of(cls, units: Sequence[str], *, seed: int = 0, resamples: int = RESAMPLES) -> Self:
        names, group = np.unique(np.asarray(units), return_inverse=True)
        return cls(group, draws(len(names), resamples=resamples, seed=seed))

    @property
    def groups(self) -> int:
        return int(self.drawn.shape[1])

    def rows(self, chosen: NDArray[Any]) -> Resampling:
        """Of some of the sentences (mask or indices), with the same draws."""
        return Resampling(self.group[chosen], self.drawn)

    def sums(self, values: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Sums over sentences: shape (sentences, …) becomes (…), and (resamples, …) of the resamples."""
        table = np.zeros((self.groups, *values.shape[1:]))
        np.add.at(table, self.group, values)
        drawn = self.drawn.astype(float) @ table.reshape(self.groups, -1)
        return np.asarray(table.sum(axis=0)), drawn.reshape(len(self.drawn), *values.shape[1:])

    def ratio(self, part: NDArray[Any], whole: NDArray[Any]) -> Figure:
        """Sum of one value of the sentences over the sum of another, both of shape (sentences,)."""
        point, drawn = self.sums(np.stack([part, whole], axis=-1).astype(float))
        with np.errstate(invalid="ignore", divide="ignore"):
            # A single group says nothing about other groups.
            sample = drawn[:, 0] / drawn[:, 1] if len(set(self.group.tolist())) > 1 else np.full(len(drawn), np.nan)
            return figure(point[0] / point[1], sample)


def figure(value: Any, sample: NDArray[np.float64]) -> Figure:
    """A figure with its percentile interval; resamples in which it is undefined (not finite) are left out."""
    known = sample[np.isfinite(sample)]
    low, high = np.percentile(known, [2.5, 97.5]) if len(known) else (math.nan, math.nan)
    return {"value": number(value), "low": number(low), "high": number(high)}


def number(value: Any) -> float | None:
    """Four digits; None for what is not a number."""
    return round(float(value), 4) if math.isfinite(value) else None

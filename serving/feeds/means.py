"""Mean scores of groups of articles, with intervals from drawing whole articles anew."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from training.resampling import RESAMPLES, draws, figure

FEW = 5
"""Of fewer articles no interval is given: drawing so few anew says too little about others."""

MANY = 10_000
"""Of more articles the interval comes from their variance, which comes to the same and takes no time."""

_CELLS = 4_000_000
"""Most numbers that are drawn at once: memory stays small, however many articles there are."""


@dataclass(frozen=True)
class Mean:
    """Mean score of the sentences that touch a target and are answered surely.

    Attributes:
        value: in [−1, 1]; None where there is no such sentence.
        low: of the 95% interval; None of fewer than `FEW` articles.
        high: likewise.
        sentences: how many; each counts once.
        articles: that they stand in.
    """

    value: float | None
    low: float | None
    high: float | None
    sentences: int
    articles: int

    @property
    def few(self) -> bool:
        return self.articles < FEW

    @property
    def excludes_zero(self) -> bool:
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)

    def as_dict(self) -> dict[str, float | int | None]:
        return asdict(self)


def means(totals: NDArray[np.float64], counts: NDArray[np.int64]) -> list[Mean]:
    """A mean a target: the ratio of both sums over articles.

    Percentile intervals from resamples of whole articles (Efron & Tibshirani 1993, ch. 13), the same for all targets.

    Args:
        totals: sums of scores, shape (articles, targets).
        counts: sentences that were summed, same shape.
    """
    articles = (counts > 0).sum(axis=0)
    sums, numbers = totals.sum(axis=0), counts.sum(axis=0)
    drawn = _drawn(totals, counts)
    return [_mean(float(sums[t]), int(numbers[t]), int(articles[t]), drawn[:, t]) for t in range(totals.shape[1])]


def differences(
    later: tuple[NDArray[np.float64], NDArray[np.int64]], earlier: tuple[NDArray[np.float64], NDArray[np.int64]]
) -> list[Mean]:
    """Mean of some articles minus that of others, each drawn anew by itself; each is totals and counts of `means`.

    Returns:
        one a target; `sentences` and `articles` are those of the later. No value where one of both has none, no
        interval where one of both has few articles.
    """
    found = []
    drawn = _drawn(*later) - _drawn(*earlier, seed=1)
    for t, (new, old) in enumerate(zip(means(*later), means(*earlier), strict=True)):
        value = None if new.value is None or old.value is None else new.value - old.value
        given = figure(math.nan if value is None else value, drawn[:, t])
        shown = value is not None and not new.few and not old.few
        low, high = (given["low"], given["high"]) if shown else (None, None)
        found.append(Mean(given["value"], low, high, new.sentences, new.articles))
    return found


def _mean(total: float, sentences: int, articles: int, drawn: NDArray[np.float64]) -> Mean:
    given = figure(total / sentences if sentences else math.nan, drawn)
    low, high = (given["low"], given["high"]) if articles >= FEW else (None, None)
    return Mean(given["value"], low, high, sentences, articles)


def _drawn(totals: NDArray[np.float64], counts: NDArray[np.int64], seed: int = 0) -> NDArray[np.float64]:
    """Means of the resamples, shape (resamples, targets); not a number where no sentence was drawn."""
    touching = counts.any(axis=1)
    totals, counts = totals[touching], counts[touching]
    articles, targets = totals.shape
    if articles < FEW:
        return np.full((RESAMPLES, targets), np.nan)
    if articles > MANY:
        return _normal(totals, counts, seed)
    both = np.concatenate([totals, counts.astype(float)], axis=1)
    block = max(1, min(RESAMPLES, _CELLS // articles))
    parts: Sequence[NDArray[np.float64]] = [
        draws(articles, resamples=min(block, RESAMPLES - first), seed=seed + 2 * first).astype(float) @ both
        for first in range(0, RESAMPLES, block)
    ]
    sums = np.concatenate(parts)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(sums[:, :targets] / sums[:, targets:])


def _normal(totals: NDArray[np.float64], counts: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
    """As if drawn from many articles: normal, with the variance of a ratio of sums (Cochran 1977, ch. 6)."""
    numbers = counts.sum(axis=0).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = totals.sum(axis=0) / numbers
        spread = np.sqrt(((totals - ratio * counts) ** 2).sum(axis=0)) / numbers
    return np.asarray(ratio + spread * np.random.default_rng(seed).standard_normal((RESAMPLES, 1)))

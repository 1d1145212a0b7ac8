"""Chance-corrected agreement: of one sample by the usual libraries, of many resamples at once from tables of counts."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Literal

import krippendorff
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import cohen_kappa_score

from training.outcomes import NOT_READ

Level = Literal["nominal", "ordinal"]
Readings = NDArray[np.int8]
"""Shape (annotators, sentences): the outcome that each annotator gave, or NOT_READ."""

Table = NDArray[Any]
"""Shape (…, width, width): counts, or sums of shares of counts."""

Figures = NDArray[np.float64]
"""Shape (…): NaN where undefined, as where nobody used a second value."""


def cohens_kappa(first: NDArray[np.integer], second: NDArray[np.integer]) -> float:
    """Kappa of two annotators on the sentences that both read (Cohen 1960), by scikit-learn; NaN where undefined."""
    both = (first != NOT_READ) & (second != NOT_READ)
    if not both.any():
        return float("nan")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where it answers NaN
        return float(cohen_kappa_score(first[both], second[both]))


def krippendorffs_alpha(readings: Readings, width: int, level: Level = "nominal") -> float:
    """Alpha with missing values (Krippendorff 2011), by the library `krippendorff`; NaN where undefined.

    Args:
        width: number of values; their order is that of their numbers.
    """
    counts = value_counts(readings, width)
    if (counts.sum(axis=0) > 0).sum() < 2 or (counts.sum(axis=1) < 2).all():
        return float("nan")
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(krippendorff.alpha(value_counts=counts, level_of_measurement=level))


def value_counts(readings: Readings, width: int) -> NDArray[np.int64]:
    """How many annotators gave each value, shape (sentences, width)."""
    return np.asarray((readings[:, :, None] == np.arange(width)).sum(axis=0), np.int64)


def coincidences(readings: Readings, width: int, units: Sequence[str]) -> Table:
    """Krippendorff's coincidence matrices by group, shape (groups, width, width), groups in sorted order.

    Every ordered pair of readings of a sentence counts 1 ÷ (readings of it − 1). They add up over groups, so that
    resampled groups need no look at the sentences.
    """
    names, group = np.unique(np.asarray(units), return_inverse=True)
    counts = value_counts(readings, width)
    pairs = counts[:, :, None] * counts[:, None, :] - counts[:, :, None] * np.eye(width, dtype=int)
    table = np.zeros((len(names), width, width))
    np.add.at(table, group, pairs / np.maximum(counts.sum(axis=1) - 1, 1)[:, None, None])
    return table


def agreement_of(table: Table) -> Figures:
    """Share of pairs of readings that are the same."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.trace(table, axis1=-2, axis2=-1) / table.sum(axis=(-2, -1)))


def kappa_of(table: Table) -> Figures:
    """Cohen's kappa of confusion matrices; `cohens_kappa` of one sample."""
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = table / table.sum(axis=(-2, -1), keepdims=True)
        chance = (shares.sum(axis=-1) * shares.sum(axis=-2)).sum(axis=-1)
        kappa = (np.trace(shares, axis1=-2, axis2=-1) - chance) / (1 - chance)
    return _unless_certain(kappa, table.sum(axis=-1) + table.sum(axis=-2))


def alpha_of(table: Table, level: Level = "nominal") -> Figures:
    """Krippendorff's alpha of coincidence matrices; `krippendorffs_alpha` of one sample."""
    marginal = table.sum(axis=-1)
    if level == "nominal":
        distance = 1 - np.eye(table.shape[-1])
    else:
        # Krippendorff's ordinal difference, (n_c/2 + n between + n_k/2)², is the squared distance of mid-ranks.
        middle = marginal.cumsum(axis=-1) - marginal / 2
        distance = (middle[..., :, None] - middle[..., None, :]) ** 2
    observed = (table * distance).sum(axis=(-2, -1))
    expected = (marginal[..., :, None] * marginal[..., None, :] * distance).sum(axis=(-2, -1))
    with np.errstate(invalid="ignore", divide="ignore"):
        alpha = 1 - (marginal.sum(axis=-1) - 1) * observed / expected
    return _unless_certain(alpha, marginal)


def _unless_certain(figures: Figures, marginal: Table) -> Figures:
    # Where only one value was used 0 ÷ 0 is what remains, and rounding may make it look like a number.
    return np.asarray(np.where((marginal > 0).sum(axis=-1) > 1, figures, np.nan))

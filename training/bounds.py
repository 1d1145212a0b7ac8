"""Bounds of a share that was seen in sentences of documents."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def upper_bound(wrong: NDArray[np.bool_], groups: NDArray[np.intp], delta: float) -> float:
    """The share of `wrong` that is not exceeded with confidence 1 − delta; 1 where nothing was seen.

    The exact binomial bound (Clopper & Pearson 1934) at an effective sample size: sentences of a document resemble
    each other, so n is divided by the design effect, the variance of the share between groups over that of
    independent sentences, never below 1 (Korn & Graubard 1998, "Confidence intervals for proportions with small
    expected number of positive counts estimated from survey data"). Approximate where groups are few.

    Args:
        wrong: shape (sentences,).
        groups: the group of each sentence as a number from 0.
        delta: one-sided probability of being wrong.
    """
    from scipy.special import betaincinv  # what serves needs none of it

    if not len(wrong):
        return 1.0
    share, n = float(wrong.mean()), len(wrong)
    effective = n / _design_effect(wrong, groups)
    return float(betaincinv(share * effective + 1, (1 - share) * effective, 1 - delta)) if share < 1 else 1.0


def lower_bound(right: NDArray[np.bool_], groups: NDArray[np.intp], delta: float) -> float:
    """The share of `right` that is reached with confidence 1 − delta; 0 where nothing was seen. See `upper_bound`."""
    return 1 - upper_bound(~right, groups, delta)


def _design_effect(values: NDArray[np.bool_], groups: NDArray[np.intp]) -> float:
    share = values.mean()
    independent = share * (1 - share) * len(values)
    if independent == 0:
        return 1.0
    between = np.square(np.bincount(groups, weights=values - share)).sum()
    return max(1.0, float(between / independent))

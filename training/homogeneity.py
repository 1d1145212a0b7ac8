"""Whether two sets of counts are of one distribution, where texts of one document are alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import f, fisher_exact

Floats = NDArray[np.float64]
Places = NDArray[np.intp]
"""Shape (cells,): which cell each of the cells is thrown into."""

FEWEST = 10
"""Expected in a cell, so that the distribution of the statistic holds; twice what is usual for independent texts."""

_SMOOTHING = 0.5


@dataclass(frozen=True)
class DesignEffect:
    """How much more counts vary than those of independent texts.

    Attributes:
        mean: of the generalised design effects, the eigenvalues of the covariance of the counts relative to that of
            independent texts; never below 1.
        spread: squared coefficient of variation of these eigenvalues.
        group: texts in a group, as the average text finds it; were all texts of a group the same, so large would be
            the design effect.
    """

    mean: float
    spread: float
    group: float


def pooled(expected: Floats, *, ordered: bool) -> Places:
    """Throw cells together until each has `FEWEST` expected; two are left in any case.

    Args:
        expected: by cell; must not be made of what is tested, or the test would be biased.
        ordered: only neighbours come together; otherwise the two smallest do.
    """
    return _neighbours(expected) if ordered else _smallest(expected)


def _neighbours(expected: Floats) -> Places:
    places, current, held = np.zeros(len(expected), np.intp), 0, 0.0
    for cell, here in enumerate(expected):
        if held >= FEWEST:
            current, held = current + 1, 0.0
        places[cell] = current
        held += here
    if held < FEWEST and current:
        places[places == current] = current - 1
    if places.any():
        return places
    below = np.cumsum(expected)[:-1]
    cut = int(np.minimum(below, expected.sum() - below).argmax())
    return (np.arange(len(expected)) > cut).astype(np.intp)


def _smallest(expected: Floats) -> Places:
    places = np.arange(len(expected))
    while True:
        sums = np.bincount(places, weights=expected)
        if len(sums) == 2 or sums.min() >= FEWEST:
            return places
        one, other = np.sort(np.argsort(sums, kind="stable")[:2])
        places[places == other] = one
        places = np.unique(places, return_inverse=True)[1]


def design_effect(table: Floats, places: Places) -> DesignEffect:
    """Of counts by group, estimated from how the groups differ (Rao & Scott 1981).

    Args:
        table: counts of groups of texts, shape (groups, cells); empty groups are left out.
        places: see `pooled`.
    """
    cells = int(places.max()) + 1
    counts = table[table.sum(axis=1) > 0] @ np.eye(cells)[places]
    groups, sizes = len(counts), counts.sum(axis=1)
    shares = counts.sum(axis=0) / sizes.sum() if groups else np.zeros(cells)
    here, group = shares > 0, float(np.square(sizes).sum() / sizes.sum()) if groups else 1.0
    if groups < 2 or here.sum() < cells:
        # What does not vary says nothing of how it varies: as if all texts of a group were one.
        return DesignEffect(group, 0.0, group)
    residuals = counts - sizes[:, None] * shares
    relative = residuals.T @ residuals * groups / (groups - 1) / (sizes.sum() * shares)[:, None]
    mean = float(np.trace(relative)) / (cells - 1)
    spread = float(np.trace(relative @ relative)) / ((cells - 1) * mean**2) - 1 if mean > 0 else 0.0
    return DesignEffect(max(1.0, mean), max(0.0, spread), group)


def homogeneity_p(first: Floats, second: Floats, effect: DesignEffect) -> float:
    """Probability that counts of one distribution differ as much, or more.

    The chi-squared test of homogeneity with the second-order correction of Rao & Scott (1981): the statistic is
    divided by the mean design effect, and its spread takes degrees of freedom. It is compared with F rather than with
    chi-squared, because the smaller sample is of few groups (Thomas & Rao 1987). With two cells of which one is rare
    it is Fisher's exact test, as if all texts of a group were one: a single document about something rare must not
    give an alarm, and how rare answers cluster cannot be learnt from a few.

    Args:
        first: counts by cell, pooled; none of the two may be empty.
        second: likewise.
        effect: design effect of both.
    """
    both, sizes = first + second, np.array([first.sum(), second.sum()])
    expected, observed = np.outer(sizes, both) / both.sum(), np.stack([first, second])
    if len(first) == 2 and expected.min() < FEWEST:
        return float(fisher_exact(np.rint(observed / max(effect.mean, effect.group)).astype(int)).pvalue)
    seen = both > 0
    statistic = float((np.square(observed - expected)[:, seen] / expected[:, seen]).sum())
    cells = max(int(seen.sum()) - 1, 1)
    freedom, groups = cells / (1 + effect.spread), sizes.min() / effect.group
    return float(f.sf(statistic / (effect.mean * cells), freedom, freedom * max(groups - 1, 1)))


def stability_index(first: Floats, second: Floats) -> float:
    """The population stability index Σ (q − p) ln(q / p) of counts by cell; 0 where shares are equal.

    Half a text is added to every cell, so that an empty one has a logarithm (Siddiqi 2006, "Credit risk scorecards";
    statistical properties in Yurdakul & Naranjo 2020, "Statistical properties of the population stability index").
    """
    p, q = ((counts + _SMOOTHING) / (counts + _SMOOTHING).sum() for counts in (first, second))
    return float(((q - p) * np.log(q / p)).sum())

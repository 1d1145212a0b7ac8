"""Figures of quality, all computed from confusion matrices, with intervals by resampling groups."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labels.taxonomy import Taxonomy
from training.outcomes import NOT_READ, Outcomes
from training.resampling import RESAMPLES, draws

Confusion = NDArray[np.int64]
"""Shape (groups, targets, width, width): counts of gold × predicted outcome."""


def confusion(gold: Outcomes, predicted: NDArray[np.integer], units: Sequence[str], width: int) -> Confusion:
    """Confusion matrices by group; sentences that were not read for a target are not counted for it.

    Args:
        gold: shape (sentences, targets).
        predicted: same shape; NOT_READ there counts as not read too.
        units: the group of each sentence.
        width: number of outcomes.
    """
    names, group = np.unique(np.asarray(units), return_inverse=True)
    table = np.zeros((len(names), gold.shape[1], width, width), np.int64)
    row, target = np.nonzero((gold != NOT_READ) & (predicted != NOT_READ))
    np.add.at(table, (group[row], target, gold[row, target], predicted[row, target]), 1)
    return table


@dataclass(frozen=True)
class Scores:
    """What confusion matrices say; each array may have leading axes (resamples).

    NaN stands where a figure is undefined: a class that neither stands in the labels nor was predicted has no F1,
    and means leave it out.

    Attributes:
        precision, recall, f1: shape (…, targets, width).
        macro_f1: mean F1 over all outcomes of a target, "unrelated" included; shape (…, targets).
        pole_f1: mean F1 of the two poles (F_avg of SemEval-2016 task 6, Mohammad et al. 2016); (…, targets).
        mean_macro_f1: mean of `macro_f1` over targets; (…).
        issue_pole_f1: mean of `pole_f1` over issues; (…).
        issue_side_f1: micro-F1 of (sentence, issue, side) where a side is one of the two poles; (…).
        pooled_pole_f1: mean of the F1 of the one pole and of the other, each counted over all targets together, as
            SemEval-2016 task 6 ranked by; (…).
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]
    macro_f1: NDArray[np.float64]
    pole_f1: NDArray[np.float64]
    mean_macro_f1: NDArray[np.float64]
    issue_pole_f1: NDArray[np.float64]
    issue_side_f1: NDArray[np.float64]
    pooled_pole_f1: NDArray[np.float64]


def scores(table: NDArray[np.integer] | NDArray[np.floating], taxonomy: Taxonomy) -> Scores:
    """Figures of confusion matrices of shape (…, targets, width, width)."""
    hit = np.diagonal(table, axis1=-2, axis2=-1).astype(float)
    predicted, gold = table.sum(axis=-2).astype(float), table.sum(axis=-1).astype(float)
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # means of nothing are NaN, which is what is wanted
        precision, recall = hit / predicted, hit / gold
        f1 = 2 * hit / (predicted + gold)
        macro = np.stack(
            [np.nanmean(f1[..., t, : len(target.outcomes)], axis=-1) for t, target in enumerate(taxonomy)],
            axis=-1,
        )
        sides = [[target.outcome(target.conciliatory), target.outcome(target.other)] for target in taxonomy]
        pole = np.stack([np.nanmean(f1[..., t, side], axis=-1) for t, side in enumerate(sides)], axis=-1)
        by_side = [sum(of[..., t, side] for t, side in enumerate(sides)) for of in (hit, predicted + gold)]
        issues = [t for t, target in enumerate(taxonomy) if target.scope == "issue"]
        pair_hit = sum((hit[..., t, sides[t]].sum(axis=-1) for t in issues), np.zeros(hit.shape[:-2]))
        pair_all = sum(((predicted + gold)[..., t, sides[t]].sum(axis=-1) for t in issues), np.zeros(hit.shape[:-2]))
        return Scores(
            precision=precision,
            recall=recall,
            f1=f1,
            macro_f1=macro,
            pole_f1=pole,
            mean_macro_f1=np.nanmean(macro, axis=-1),
            issue_pole_f1=np.nanmean(pole[..., issues], axis=-1) if issues else np.full(macro.shape[:-1], np.nan),
            issue_side_f1=2 * pair_hit / pair_all,
            pooled_pole_f1=np.nanmean(2 * by_side[0] / by_side[1], axis=-1),
        )


@dataclass(frozen=True)
class Interval:
    """Bounds of the 95% interval of each figure in `Scores`."""

    low: Scores
    high: Scores


def bootstrap(table: Confusion, taxonomy: Taxonomy, *, resamples: int = RESAMPLES, seed: int = 0) -> Interval:
    """Percentile intervals from resampling whole groups, see `training.resampling.draws`."""
    drawn = resampled(table, resamples=resamples, seed=seed)
    sampled = scores(drawn, taxonomy)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        low, high = (
            Scores(**{f.name: np.nanpercentile(getattr(sampled, f.name), q, axis=0) for f in fields(Scores)})
            for q in (2.5, 97.5)
        )
    return Interval(low, high)


def resampled(table: NDArray[Any], *, resamples: int, seed: int) -> NDArray[Any]:
    """Sums of the tables of resampled groups: shape (groups, …) becomes (resamples, …)."""
    groups = len(table)
    flat: NDArray[Any] = draws(groups, resamples=resamples, seed=seed) @ table.reshape(groups, -1)
    return flat.reshape(resamples, *table.shape[1:])

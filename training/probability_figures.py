"""How far probabilities can be taken at their word: calibration, Brier score, and risk against coverage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labels.taxonomy import Taxonomy
from training.outcomes import NOT_READ, Outcomes, Probabilities
from training.resampling import RESAMPLES, Resampling, figure, number

BINS = 15
COVERAGES = np.arange(1, 101) / 100
HISTOGRAM = np.linspace(0, 1, 21)

Floats = NDArray[np.float64]
Sampled = tuple[Any, Floats]
"""A figure, and the same of each resample."""


def probability_figures(
    probabilities: Probabilities,
    gold: Outcomes,
    units: Sequence[str],
    taxonomy: Taxonomy,
    *,
    outcomes: NDArray[np.integer] | None = None,
    before: Probabilities | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """Figures of probabilities, fit for JSON; docs/report.md describes them.

    Calibration is that of the most probable outcome. Risk and coverage are of what is answered, by the probability of
    that; once for all answers, and once for those alone that say that the sentence touches the target.

    Args:
        probabilities: shape (sentences, targets, width).
        gold: shape (sentences, targets); what was not read is left out.
        units: the group of each sentence; intervals resample groups.
        outcomes: what is answered, shape (sentences, targets), where it is not the most probable outcome.
        before: probabilities before they were calibrated, of the same shape.
    """
    resampling = Resampling.of(units, seed=seed, resamples=resamples)
    answered = probabilities.argmax(axis=2) if outcomes is None else outcomes
    confidence = np.take_along_axis(probabilities, answered[:, :, None], axis=2)[:, :, 0]

    def curves(asked: Outcomes) -> dict[str, Any]:
        """Of the answers to what is not NOT_READ, targets together."""
        by_scope = {}
        for name, scope in (("all", answered >= 0), ("touched", answered != 0)):
            row, target = np.nonzero((asked != NOT_READ) & scope)
            wrong = answered[row, target] != asked[row, target]
            by_scope[name] = risk_coverage(wrong, confidence[row, target], resampling.rows(row))
        return by_scope

    figures, sampled = _of_all(probabilities, gold, taxonomy, resampling)
    figures["overall"]["risk_coverage"] = curves(gold)
    if before is not None:
        figures["before"], earlier = _of_all(before, gold, taxonomy, resampling)
        figures["after_minus_before"] = _minus(sampled, earlier)
    for t, target in enumerate(taxonomy):
        column = np.full_like(gold, NOT_READ)
        column[:, t] = gold[:, t]
        figures["targets"][target.id]["risk_coverage"] = curves(column)
    return figures


def calibration_side_by_side(
    first: Probabilities,
    second: Probabilities,
    gold: Outcomes,
    units: Sequence[str],
    taxonomy: Taxonomy,
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """Expected calibration error and Brier score, means over targets, of two models on the same sentences.

    Returns:
        `a`, `b` and `a_minus_b`, each with `ece` and `brier`; intervals resample the same groups for both.
    """
    resampling = Resampling.of(units, seed=seed)
    (of_first, drawn_first), (of_second, drawn_second) = (
        _of_all(given, gold, taxonomy, resampling) for given in (first, second)
    )
    return {
        "a": of_first["overall"],
        "b": of_second["overall"],
        "a_minus_b": _minus(drawn_first, drawn_second),
    }


def _minus(first: Mapping[str, Sampled], second: Mapping[str, Sampled]) -> dict[str, Any]:
    """Differences of figures that were sampled with the same draws."""
    return {name: figure(of[0] - second[name][0], of[1] - second[name][1]) for name, of in first.items()}


def abstention_figures(
    outcomes: NDArray[np.integer],
    abstained: NDArray[np.bool_],
    gold: Outcomes,
    units: Sequence[str],
    taxonomy: Taxonomy,
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """Of each target and kind of answer: how many there are, how many are sure enough, and the share of wrong ones.

    Args:
        outcomes: what is answered, shape (sentences, targets).
        abstained: which of it is marked as not sure enough, of the same shape.
        gold: what was labelled; what was not read is left out.
        units: the group of each sentence.
    """
    resampling = Resampling.of(units, seed=seed)
    figures: dict[str, Any] = {}
    for t, target in enumerate(taxonomy):
        read, touched = gold[:, t] != NOT_READ, outcomes[:, t] != 0
        figures[target.id] = {}
        for kind, asked in (("unrelated", read & ~touched), ("touched", read & touched)):
            sure = np.flatnonzero(asked & ~abstained[:, t])
            wrong = outcomes[sure, t] != gold[sure, t]
            figures[target.id][kind] = {
                "answers": int(asked.sum()),
                "sure": len(sure),
                "wrong": resampling.rows(sure).ratio(wrong, np.ones(len(sure))),
            }
    return figures


def _of_all(
    probabilities: Probabilities, gold: Outcomes, taxonomy: Taxonomy, resampling: Resampling
) -> tuple[dict[str, Any], dict[str, Sampled]]:
    """Calibration and Brier score of every target, and their means over targets."""
    targets: dict[str, Any] = {}
    found: dict[str, list[Sampled]] = {"ece": [], "brier": []}
    for t, target in enumerate(taxonomy):
        read = np.flatnonzero(gold[:, t] != NOT_READ)
        given, true, here = probabilities[read, t], gold[read, t], resampling.rows(read)
        answer, confidence = given.argmax(axis=1), given.max(axis=1)
        ece, bins = calibration_error(answer == true, confidence, here)
        brier = brier_score(given, true, here)
        found["ece"].append(ece)
        found["brier"].append(brier)
        targets[target.id] = {
            "answers": len(read),
            "ece": figure(*ece),
            "brier": figure(*brier),
            "bins": bins,
            "histogram": {
                name: np.histogram(confidence[chosen], HISTOGRAM)[0].tolist()
                for name, chosen in (("unrelated", answer == 0), ("touched", answer != 0))
            },
        }
    # A target that nobody read has no figure, and the mean leaves it out.
    means = {
        name: (
            _mean_of_known([given[0] for given in all_targets]),
            _mean_of_known([given[1] for given in all_targets]),
        )
        for name, all_targets in found.items()
    }
    overall = {name: figure(*mean) for name, mean in means.items()}
    return {"overall": overall, "targets": targets}, means


def _mean_of_known(values: Sequence[Any]) -> Any:
    table = np.array(values, float)
    known = np.isfinite(table)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(known, table, 0).sum(axis=0) / known.sum(axis=0)


def calibration_error(
    right: NDArray[np.bool_], confidence: Floats, resampling: Resampling, bins: int = BINS
) -> tuple[Sampled, list[dict[str, Any]]]:
    """Expected calibration error of the answers (Naeini et al. 2015) over bins of equal mass (Nguyen & O'Connor 2015).

    Resamples keep the bins of the whole. Differences are taken without their sign, so that resampling adds a little
    to the error: intervals lie on the high side.

    Returns:
        the error and that of each resample; and of each bin its count, mean confidence and share of right answers.
    """
    undefined: Floats = np.full(len(resampling.drawn), np.nan)
    if len(right) == 0:
        return (np.nan, undefined), []
    edges = np.unique(np.quantile(confidence, np.linspace(0, 1, bins + 1)))
    # Equal confidences fall into one bin, so that there may be fewer of them.
    place = np.searchsorted(edges[1:-1], confidence, side="left") if len(edges) > 2 else np.zeros(len(right), int)
    _, place = np.unique(place, return_inverse=True)
    one_hot = np.eye(place.max() + 1)[place]
    values = np.stack([np.ones(len(right)), confidence, right.astype(float)], axis=-1)
    point, drawn = resampling.sums(one_hot[:, :, None] * values[:, None, :])

    def error(table: Floats) -> Any:
        with np.errstate(invalid="ignore"):
            return np.abs(table[..., 2] - table[..., 1]).sum(axis=-1) / table[..., 0].sum(axis=-1)

    about = []
    for k, (count, confident, correct) in enumerate(point):
        with np.errstate(invalid="ignore"):
            share = figure(correct / count, drawn[:, k, 2] / drawn[:, k, 0])
        about.append({"count": int(count), "confidence": number(confident / count), "right": share})
    return (error(point), error(drawn)), about


def brier_score(given: Floats, true: NDArray[np.integer], resampling: Resampling) -> Sampled:
    """Mean over sentences of the squared distance to the label, summed over outcomes: 0 to 2 (Brier 1950)."""
    squared = ((given - np.eye(given.shape[1])[true]) ** 2).sum(axis=1)
    point, drawn = resampling.sums(np.stack([squared, np.ones(len(true))], axis=-1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return point[0] / point[1], drawn[:, 0] / drawn[:, 1]


def risk_coverage(wrong: NDArray[np.bool_], confidence: Floats, resampling: Resampling) -> dict[str, Any]:
    """Share of wrong answers among the most confident ones, by how many are kept (Geifman & El-Yaniv 2017).

    Among equal confidences the order is nobody's: the curve takes what a random one would give on average.

    Returns:
        `answers`; `risk` of all; `area`: mean of the risk at coverages of 1%, 2%, …, 100%; `points` every 5%.
    """
    if len(wrong) == 0:
        nothing = figure(np.nan, np.array([]))
        return {"answers": 0, "risk": nothing, "area": nothing, "points": []}
    order = np.argsort(-confidence, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(confidence[order])), len(order) - 1)
    group, error = resampling.group[order], wrong[order].astype(float)

    def curve(weights: Floats) -> Floats:
        kept = np.concatenate([[0.0], np.cumsum(weights)[ends]])
        errors = np.concatenate([[0.0], np.cumsum(weights * error)[ends]])
        if kept[-1] == 0:
            return np.full(len(COVERAGES), np.nan)
        # Where a resample lacks an answer, steps of no width would make the curve ambiguous.
        steps = np.append(True, np.diff(kept) > 0)
        wanted = COVERAGES * kept[-1]
        return np.asarray(np.interp(wanted, kept[steps], errors[steps]) / wanted)

    point = curve(np.ones(len(order)))
    drawn = np.array([curve(times[group].astype(float)) for times in resampling.drawn])
    every_fifth = range(4, 100, 5)
    return {
        "answers": len(order),
        "risk": figure(point[-1], drawn[:, -1]),
        "area": figure(point.mean(), drawn.mean(axis=1)),
        "points": [{"coverage": number(COVERAGES[k]), **figure(point[k], drawn[:, k])} for k in every_fifth],
    }

"""Decisions: how calibrated probabilities become a label, per target, chosen on sentences that were held out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labels.taxonomy import Target, Taxonomy
from training.bounds import lower_bound
from training.calibration import Given, Gold
from training.held_out import Fold
from training.metrics import scores
from training.recipes import DecisionSettings

_GRID = [step / 5 for step in range(-10, 11)]
_BIASES = sorted(product(_GRID, _GRID), key=lambda pair: abs(pair[0]) + abs(pair[1]))
_THRESHOLDS = np.round(np.arange(0.05, 1, 0.01), 2)
DELTA = 0.1
"""Probability at which a stated precision is not reached although its bound says so."""

FEW = 30
"""A pole of fewer held-out sentences is judged by the share itself: no bound could be met."""

_FEWEST_ANSWERS = 5


@dataclass(frozen=True)
class Biased:
    """The most probable outcome, after biases were added to log-probabilities.

    Two numbers, whatever the number of classes: one a class follows the accidents of rare classes.

    Attributes:
        poles: added for both poles.
        unrelated: added for "unrelated".
    """

    poles: float = 0.0
    unrelated: float = 0.0

    def labels(self, given: Given, target: Target) -> NDArray[np.intp]:
        """Index of the outcome that each row of probabilities is answered with."""
        weights = np.ones(given.shape[1])
        weights[target.outcome(None)] = math.exp(self.unrelated)
        weights[list(_poles(target))] = math.exp(self.poles)
        return np.asarray((given * weights).argmax(axis=1))

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


@dataclass(frozen=True)
class PoleThresholds:
    """The more probable pole where its probability reaches its threshold, else the most probable other outcome.

    Attributes:
        conciliatory, other: None where the pole is never answered.
    """

    conciliatory: float | None
    other: float | None

    def labels(self, given: Given, target: Target) -> NDArray[np.intp]:
        """See `Biased.labels`."""
        poles = list(_poles(target))
        least = np.array([math.inf if value is None else value for value in (self.conciliatory, self.other)])
        sides, rest = given[:, poles], given.copy()
        rest[:, poles] = -1.0
        likelier = sides.argmax(axis=1)
        reached = sides[np.arange(len(given)), likelier] >= least[likelier]
        return np.asarray(np.where(reached, np.array(poles)[likelier], rest.argmax(axis=1)))

    def as_dict(self) -> dict[str, float | None]:
        return asdict(self)


Decision = Biased | PoleThresholds


def decision_from(stored: Mapping[str, Any]) -> Decision:
    """What `as_dict` gave."""
    return Biased(**stored) if "poles" in stored else PoleThresholds(**stored)


@dataclass(frozen=True)
class Decided:
    """A decision and what it does to sentences that it was not chosen on.

    Attributes:
        decision: chosen on all sentences.
        labels: cross-fitted: each answered by what other groups say.
        figures: fit for JSON.
    """

    decision: Decision
    labels: NDArray[np.intp]
    figures: Mapping[str, Any]


def decide(
    settings: DecisionSettings, given: Given, gold: Gold, units: Sequence[str], folds: Sequence[Fold], target: Target
) -> Decided:
    """The decision that a recipe asks for.

    Args:
        settings: the objective.
        given: calibrated held-out probabilities.
        gold: their labels.
        units: their groups.
        folds: see `cross_fit_folds`; where there are none, the most probable outcome is answered, or with a stated
            precision no pole at all.
        target: whose outcomes they are.
    """
    groups = np.unique(np.asarray(units), return_inverse=True)[1]
    if settings.precision is not None:
        return _for_precision(settings.precision, given, gold, groups, folds, target)
    return _for_f1(given, gold, folds, target)


def _for_f1(given: Given, gold: Gold, folds: Sequence[Fold], target: Target) -> Decided:
    """The biases of the best `f1_objective`, kept only where cross-fitted they beat the most probable outcome."""
    plain = Biased().labels(given, target)
    without = float(f1_objective(_table(plain, gold, target), target))
    figures: dict[str, Any] = {"objective": "f1", "most_probable": round(without, 4)}
    if not folds:
        return Decided(Biased(), plain, {**figures, "kept": False, "bias": Biased().as_dict()})
    rules = [Biased(*pair) for pair in _BIASES]
    tables = np.zeros((len(rules), len(folds), len(target.outcomes), len(target.outcomes)), np.int64)
    for r, rule in enumerate(rules):
        answered = rule.labels(given, target)
        for f, (_, checked) in enumerate(folds):
            tables[r, f] = _table(answered[checked], gold[checked], target)
    every = tables.sum(axis=1)
    labels = np.zeros(len(gold), np.intp)
    for f, (_, checked) in enumerate(folds):
        best = rules[int(f1_objective(every - tables[:, f], target).argmax())]
        labels[checked] = best.labels(given[checked], target)
    crossed = float(f1_objective(_table(labels, gold, target), target))
    kept = crossed > without
    chosen = rules[int(f1_objective(every, target).argmax())] if kept else Biased()
    figures |= {"biased": round(crossed, 4), "kept": kept, "bias": chosen.as_dict()}
    return Decided(chosen, labels if kept else plain, figures)


def f1_objective(table: NDArray[np.integer], target: Target) -> NDArray[np.float64]:
    """Macro-F1 over a target's outcomes; for an issue its mean with the micro-F1 of the two poles.

    Args:
        table: confusion matrices of the target, shape (…, outcomes, outcomes).
        target: whose they are.

    Returns:
        shape (…); 0 where nothing is defined.
    """
    found = scores(table[..., None, :, :], Taxonomy((target,)))
    macro = found.macro_f1[..., 0]
    return np.nan_to_num((macro + found.issue_side_f1) / 2 if target.scope == "issue" else macro)


def _table(labels: NDArray[np.intp], gold: Gold, target: Target) -> NDArray[np.intp]:
    width = len(target.outcomes)
    return np.bincount(gold.astype(np.intp) * width + labels, minlength=width * width).reshape(width, width)


def _for_precision(
    precision: float, given: Given, gold: Gold, groups: NDArray[np.intp], folds: Sequence[Fold], target: Target
) -> Decided:
    """For each pole the lowest threshold at which its precision is at least what is asked.

    The lower bound of one-sided 90% confidence decides (Clopper & Pearson 1934, at the effective sample size of
    `training.bounds`); for a pole of fewer than 30 held-out sentences the share itself, of at least five answers.
    A pole that reaches it nowhere is never answered.
    """

    def best(rows: NDArray[np.intp]) -> PoleThresholds:
        sides = [_lowest(precision, given[rows], gold[rows], groups[rows], pole, target) for pole in _poles(target)]
        return PoleThresholds(*sides)

    chosen = best(np.arange(len(gold))) if folds else PoleThresholds(None, None)
    labels = chosen.labels(given, target)
    for fitted, checked in folds:
        labels[checked] = best(fitted).labels(given[checked], target)
    poles: dict[str, Any] = {}
    for pole, threshold in zip(_poles(target), (chosen.conciliatory, chosen.other), strict=True):
        answered = labels == pole
        poles[target.outcomes[pole]] = {
            "threshold": threshold,
            "judged_by": "lower bound" if (gold == pole).sum() >= FEW else "share, for want of sentences",
            "answered": int(answered.sum()),
            "precision": round(float((gold[answered] == pole).mean()), 4) if answered.any() else None,
        }
    return Decided(chosen, labels, {"objective": "precision", "asked": precision, "poles": poles})


def _lowest(
    precision: float, given: Given, gold: Gold, groups: NDArray[np.intp], pole: int, target: Target
) -> float | None:
    likelier = given[:, pole] >= given[:, list(_poles(target))].max(axis=1)
    few = (gold == pole).sum() < FEW
    for threshold in _THRESHOLDS.tolist():
        answered = likelier & (given[:, pole] >= threshold)
        right = gold[answered] == pole
        if len(right) < _FEWEST_ANSWERS:
            return None
        if (right.mean() if few else lower_bound(right, groups[answered], DELTA)) >= precision:
            return float(threshold)
    return None


def _poles(target: Target) -> tuple[int, int]:
    return target.outcome(target.conciliatory), target.outcome(target.other)

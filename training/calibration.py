"""Calibration: probabilities that mean what they say, fitted per target on sentences that were held out.

What is stored of it are plain numbers, and applying it needs numpy only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labels.taxonomy import Target
from training.held_out import Fold

Given = NDArray[np.float64]
"""Probabilities of one target's outcomes: shape (sentences, outcomes)."""

Gold = NDArray[np.integer]
"""Shape (sentences,): index into the target's outcomes."""

FLOOR = 1e-6
"""Of the probability that a label got: so that one sentence cannot decide a mean log loss."""

_LEAST = 1e-12
"""Of probabilities whose logarithm is scaled; a classifier that is far too sure gives very small ones."""

BINS = 15
ISOTONIC_FROM = 1000
"""Sentences from which on isotonic regression is tried (Niculescu-Mizil & Caruana 2005: it overfits below)."""

_MOST_LOG_TEMPERATURE = np.log(20.0)
_BIAS_DEVIATION = 1.0


@dataclass(frozen=True)
class Scaling:
    """softmax(log p / temperature + bias); without either, the probabilities as they were given.

    Attributes:
        temperature: above 1, the classifier was too sure (Guo et al. 2017, "On Calibration of Modern Neural Networks").
        bias: one for each outcome, or empty.
    """

    temperature: float = 1.0
    bias: tuple[float, ...] = ()

    def apply(self, given: Given) -> Given:
        """Calibrated probabilities; an outcome of probability 0 is one that cannot be answered, and stays so."""
        logits = np.log(np.maximum(given, _LEAST)) / self.temperature + (np.array(self.bias) if self.bias else 0.0)
        odds = np.where(given > 0, np.exp(logits - logits.max(axis=1, keepdims=True)), 0.0)
        return np.asarray(odds / odds.sum(axis=1, keepdims=True))

    def as_dict(self) -> dict[str, Any]:
        return {"temperature": self.temperature, "bias": list(self.bias)}


@dataclass(frozen=True)
class Isotonic:
    """A rising step curve an outcome, against all others, renormalised.

    Zadrozny & Elkan 2002, "Transforming Classifier Scores into Accurate Multiclass Probability Estimates".

    Attributes:
        knots: for each outcome, given probabilities (rising) and calibrated ones, straight lines between them.
    """

    knots: tuple[tuple[tuple[float, ...], tuple[float, ...]], ...]

    def apply(self, given: Given) -> Given:
        """See `Scaling.apply`."""
        curves = [np.interp(column, x, y) for column, (x, y) in zip(given.T, self.knots, strict=True)]
        odds = np.where(given > 0, np.stack(curves, axis=1), 0.0)
        return np.asarray(odds / odds.sum(axis=1, keepdims=True))

    def as_dict(self) -> dict[str, Any]:
        return {"knots": [[list(x), list(y)] for x, y in self.knots]}


Calibration = Scaling | Isotonic


def calibration_from(stored: Mapping[str, Any]) -> Calibration:
    """What `as_dict` gave."""
    if "knots" in stored:
        return Isotonic(tuple((tuple(x), tuple(y)) for x, y in stored["knots"]))
    return Scaling(float(stored["temperature"]), tuple(stored["bias"]))


@dataclass(frozen=True)
class Calibrated:
    """A calibration and what it does to sentences that it was not fitted on.

    Attributes:
        calibration: fitted on all sentences.
        given: cross-fitted probabilities, each calibrated by what other groups say.
        figures: fit for JSON: the method chosen, mean log loss of every candidate, `figures_of` before and after.
    """

    calibration: Calibration
    given: Given
    figures: Mapping[str, Any]


def calibrate(given: Given, gold: Gold, units: Sequence[str], folds: Sequence[Fold], target: Target) -> Calibrated:
    """The calibration of the least mean log loss on groups that it was not fitted on.

    Candidates, the simplest first: none, a temperature, a temperature and a bias per outcome (drawn towards zero by
    a normal prior), isotonic regression. One is taken only where it beats the simpler one by more than a standard
    error of the difference between groups (the rule of Breiman et al. 1984, "Classification and Regression Trees",
    section 3.4.3). The choice saw the folds that the figures come from; among four candidates that flatters little.

    Args:
        given: held-out probabilities, none of them NaN.
        gold: their labels.
        units: their groups.
        folds: see `cross_fit_folds`; where there are none, nothing is fitted.
        target: whose outcomes they are.
    """
    groups = np.unique(np.asarray(units), return_inverse=True)[1]
    method, chosen, loss = "none", Scaling().apply(given), log_losses(Scaling().apply(given), gold)
    losses = {"none": float(loss.mean())} if len(loss) else {}
    for name, fit in _candidates(len(gold)) if folds else ():
        crossed = np.empty_like(given)
        for fitted, checked in folds:
            crossed[checked] = fit(given[fitted], gold[fitted]).apply(given[checked])
        found = log_losses(crossed, gold)
        losses[name] = float(found.mean())
        if (loss - found).mean() > _standard_error(loss - found, groups):
            method, chosen, loss = name, crossed, found
    return Calibrated(
        calibration=dict(_candidates(len(gold)))[method](given, gold) if method != "none" else Scaling(),
        given=chosen,
        figures={
            "method": method,
            "sentences": len(gold),
            "mean_log_loss": {name: round(value, 5) for name, value in losses.items()},
            "before": figures_of(given, gold, target),
            "after": figures_of(chosen, gold, target),
        },
    )


def _candidates(sentences: int) -> list[tuple[str, Callable[[Given, Gold], Calibration]]]:
    found: list[tuple[str, Callable[[Given, Gold], Calibration]]] = [
        ("temperature", fit_temperature),
        ("temperature and bias", fit_temperature_and_bias),
    ]
    return [*found, ("isotonic", fit_isotonic)] if sentences >= ISOTONIC_FROM else found


def _standard_error(difference: NDArray[np.float64], groups: NDArray[np.intp]) -> float:
    """Of the mean, where sentences of a group go together."""
    sums = np.bincount(groups, weights=difference - difference.mean())
    return float(np.sqrt(np.square(sums).sum()) / len(difference))


def fit_temperature(given: Given, gold: Gold) -> Scaling:
    """The temperature of the least log loss."""
    return _fit_scaling(given, gold, with_bias=False)


def fit_temperature_and_bias(given: Given, gold: Gold) -> Scaling:
    """Temperature and biases of the least log loss, the biases with a standard normal prior."""
    return _fit_scaling(given, gold, with_bias=True)


def _fit_scaling(given: Given, gold: Gold, *, with_bias: bool) -> Scaling:
    from scipy.optimize import minimize  # what serves needs none of it

    # Where a fold had no example of an outcome it says 0 of it, which no scaling mends.
    kept = given[np.arange(len(gold)), gold] > 0
    given, gold = given[kept], gold[kept]
    outcomes = given.shape[1]
    logs = np.where(given > 0, np.log(np.maximum(given, _LEAST)), -1e4)
    truth = np.eye(outcomes)[gold]

    def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scaled = logs / np.exp(parameters[0])
        logits = scaled + (parameters[1:] if with_bias else 0.0)
        logits = logits - logits.max(axis=1, keepdims=True)
        log_odds = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        error = np.exp(log_odds) - truth
        slope = [-(error * scaled).sum()]
        total = -(log_odds * truth).sum()
        if with_bias:
            total += np.square(parameters[1:]).sum() / (2 * _BIAS_DEVIATION**2)
            slope += (error.sum(axis=0) + parameters[1:] / _BIAS_DEVIATION**2).tolist()
        return float(total), np.array(slope)

    begin = np.zeros(1 + outcomes * with_bias)
    bounds = [(-_MOST_LOG_TEMPERATURE, _MOST_LOG_TEMPERATURE)] + [(None, None)] * (len(begin) - 1)
    found = minimize(loss, begin, jac=True, method="L-BFGS-B", bounds=bounds).x
    return Scaling(float(np.exp(found[0])), tuple(found[1:].tolist()))


def fit_isotonic(given: Given, gold: Gold) -> Isotonic:
    """A curve for each outcome; none touches 0 or 1, as if one sentence more had been seen on either side."""
    from sklearn.isotonic import IsotonicRegression  # what serves needs none of it

    least = 1 / (len(gold) + 2)
    knots = []
    for k, column in enumerate(given.T):
        curve = IsotonicRegression(y_min=least, y_max=1 - least, out_of_bounds="clip").fit(column, gold == k)
        knots.append((tuple(curve.X_thresholds_.tolist()), tuple(curve.y_thresholds_.tolist())))
    return Isotonic(tuple(knots))


def log_losses(given: Given, gold: Gold) -> NDArray[np.float64]:
    """−log of the probability that each label got; shape (sentences,)."""
    return np.asarray(-np.log(np.maximum(given[np.arange(len(gold)), gold], FLOOR)))


def figures_of(given: Given, gold: Gold, target: Target) -> dict[str, Any]:
    """How far probabilities are to be believed; empty where there are none.

    Returns:
        `log_loss` (mean, natural logarithm); `brier` (sum over outcomes of squared error, 0 to 2: Brier 1950); `ece`,
        the expected calibration error of the most probable outcome in 15 bins of equal mass (Nixon et al. 2019,
        "Measuring Calibration in Deep Learning"); `ece_by_class`, the same of each outcome's probability.
    """
    if not len(gold):
        return {}
    truth = np.eye(given.shape[1])[gold]
    by_class = {outcome: _calibration_error(given[:, k], truth[:, k] == 1) for k, outcome in enumerate(target.outcomes)}
    return {
        "log_loss": round(float(log_losses(given, gold).mean()), 5),
        "brier": round(float(np.square(given - truth).sum(axis=1).mean()), 5),
        "ece": _calibration_error(given.max(axis=1), given.argmax(axis=1) == gold),
        "ece_by_class": by_class,
    }


def _calibration_error(said: NDArray[np.float64], happened: NDArray[np.bool_]) -> float:
    order = np.argsort(said, kind="stable")
    bins = np.array_split(order, min(BINS, len(order)))
    gaps = [abs(said[rows].sum() - happened[rows].sum()) for rows in bins]
    return round(float(sum(gaps) / len(said)), 5)

"""From what a classifier gives to what is answered: calibrated probabilities, labels, and which are sure enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from labels.taxonomy import Target, Taxonomy
from training.abstention import Abstention, abstain
from training.calibration import Calibration, Given, calibrate, calibration_from
from training.decision import Decision, decide, decision_from
from training.held_out import cross_fit_folds
from training.outcomes import NOT_READ, Outcomes, Probabilities
from training.recipes import Recipe


@dataclass(frozen=True)
class Answers:
    """What is answered about texts, for every target.

    Attributes:
        probabilities: calibrated; shape (texts, targets, width), zeros where a target has fewer outcomes.
        outcomes: shape (texts, targets): the label, as an index into each target's `outcomes`.
        confidences: shape (texts, targets): calibrated probability of that label.
        abstained: shape (texts, targets): the label is not sure enough for the error rate that the recipe states.
    """

    probabilities: Probabilities
    outcomes: NDArray[np.integer]
    confidences: NDArray[np.float64]
    abstained: NDArray[np.bool_]

    def arrays(self) -> tuple[NDArray[Any], ...]:
        """All four, a row a text."""
        return self.probabilities, self.outcomes, self.confidences, self.abstained


@dataclass(frozen=True)
class Rule:
    """How one target is answered."""

    calibration: Calibration
    decision: Decision
    abstention: Abstention

    def as_dict(self) -> dict[str, Any]:
        return {
            "calibration": self.calibration.as_dict(),
            "decision": self.decision.as_dict(),
            "abstention": self.abstention.as_dict(),
        }


@dataclass(frozen=True)
class Rules:
    """How all targets are answered, in the order of the taxonomy."""

    rules: tuple[Rule, ...]

    def answers(self, given: Probabilities, taxonomy: Taxonomy) -> Answers:
        """What is answered where a classifier gives these probabilities."""
        shape = given.shape[:2]
        found = Answers(np.zeros(given.shape), np.zeros(shape, np.intp), np.zeros(shape), np.ones(shape, np.bool_))
        for t, (target, rule) in enumerate(zip(taxonomy, self.rules, strict=True)):
            width = len(target.outcomes)
            calibrated = rule.calibration.apply(given[:, t, :width])
            labels = rule.decision.labels(calibrated, target)
            confidences = calibrated[np.arange(len(labels)), labels]
            found.probabilities[:, t, :width] = calibrated
            found.outcomes[:, t], found.confidences[:, t] = labels, confidences
            found.abstained[:, t] = rule.abstention.abstains(labels, confidences)
        return found

    def as_dict(self, taxonomy: Taxonomy) -> dict[str, Any]:
        """Plain numbers by target, fit for JSON."""
        return {"targets": {target.id: rule.as_dict() for target, rule in zip(taxonomy, self.rules, strict=True)}}


def rules_from(stored: Mapping[str, Any], taxonomy: Taxonomy) -> Rules:
    """What `Rules.as_dict` gave.

    Raises:
        KeyError, TypeError, ValueError: it did not give that.
    """
    entries = [stored["targets"][target_id] for target_id in taxonomy.ids]
    return Rules(
        tuple(
            Rule(
                calibration_from(entry["calibration"]),
                decision_from(entry["decision"]),
                Abstention(**entry["abstention"]),
            )
            for entry in entries
        )
    )


@dataclass(frozen=True)
class Fitted:
    """Rules and what they do to sentences that they were not fitted on.

    Attributes:
        rules: fitted on all held-out sentences.
        labels: shape (sentences, targets): cross-fitted answers; NOT_READ where no probabilities were held out.
        figures: target → figures of `calibration`, `decision` and `abstention`, fit for JSON.
    """

    rules: Rules
    labels: Outcomes
    figures: Mapping[str, Any]


def fit_rules(
    held_out: Probabilities | None, outcomes: Outcomes, units: Sequence[str], taxonomy: Taxonomy, recipe: Recipe
) -> Fitted:
    """Rules from probabilities that a classifier gave to sentences whose group it had not seen.

    The decision is chosen on calibrated probabilities and the abstention on answers that are cross-fitted by group,
    so no sentence helps to choose what it is then judged by, but for the choice among calibration methods.

    Args:
        held_out: shape (sentences, targets, width); rows of NaN are left out, and where None there are no others.
        outcomes: the labels; sentences that were not read for a target are left out for it.
        units: the group of each sentence.
        taxonomy: the targets.
        recipe: its decision, error rate and seed.
    """
    labels = np.full(outcomes.shape, NOT_READ, np.int8)
    rules: list[Rule] = []
    figures: dict[str, Any] = {}
    # What is fitted here is so small that threads would only wait for one another.
    with threadpool_limits(1):
        for t, target in enumerate(taxonomy):
            width = len(target.outcomes)
            given = np.full((len(outcomes), width), np.nan) if held_out is None else held_out[:, t, :width]
            rows = np.flatnonzero((outcomes[:, t] != NOT_READ) & ~np.isnan(given).any(axis=1))
            rule, labels[rows, t], figures[target.id] = _fit(
                given[rows], outcomes[rows, t], [units[row] for row in rows.tolist()], target, recipe
            )
            rules.append(rule)
    return Fitted(Rules(tuple(rules)), labels, figures)


def _fit(
    given: Given, gold: NDArray[np.int8], units: Sequence[str], target: Target, recipe: Recipe
) -> tuple[Rule, NDArray[np.intp], dict[str, Any]]:
    folds = cross_fit_folds(units, recipe.seed)
    calibrated = calibrate(given, gold, units, folds, target)
    decided = decide(recipe.decision, calibrated.given, gold, units, folds, target)
    confidences = calibrated.given[np.arange(len(gold)), decided.labels]
    abstention, figures = abstain(recipe.abstention.error_rate, decided.labels, confidences, gold, units)
    rule = Rule(calibrated.calibration, decided.decision, abstention)
    about = {
        "calibration": calibrated.figures,
        "decision": decided.figures,
        "abstention": {"error_rate": recipe.abstention.error_rate, **figures},
    }
    return rule, decided.labels, about

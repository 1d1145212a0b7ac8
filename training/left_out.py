"""An issue left out of training: what a network that was never taught it says of it, and what follows from that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from labels.wordings import Wordings
from training.abstention import Abstention, abstain
from training.answers import Rule
from training.calibration import Scaling, fit_temperature_and_bias
from training.decision import Biased, decide
from training.outcomes import NOT_READ, Outcomes, Progress
from training.pairs import IssueSentences
from training.recipes import DecisionSettings
from training.relation import RELATION, Pair, pair_of

Given = NDArray[np.float64]


class Reader(Protocol):
    """What reads pairs: see `training.relation_model.PairReader`."""

    def read(
        self, pairs: Sequence[Pair], progress: Progress | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]: ...


@dataclass(frozen=True)
class Asked:
    """What a network says of sentences and one issue; nothing of it calibrated.

    Attributes:
        own: of the taxonomy's proposition, shape (sentences, outcomes of RELATION).
        touching: rows of the sentences that touch the issue.
        same: of other words for it, shape (wordings, touching sentences, outcomes).
        negated: of its opposite, likewise.
    """

    own: Given
    touching: NDArray[np.intp]
    same: Given
    negated: Given


def ask(
    reader: Reader,
    sentences: IssueSentences,
    issue: str,
    wordings: Wordings,
    progress: Progress | None = None,
) -> Asked:
    """Ask a network about one issue in the taxonomy's words, and in those kept for testing where it is touched.

    Args:
        reader: the network.
        sentences: that it was not trained on.
        issue: id.
        wordings: of the issue.
        progress: told how far it is.
    """
    texts = sentences.texts
    touching = np.flatnonzero(sentences.outcomes[:, sentences.issues.index(issue)] > 0)
    pairs = [pair_of(text, wordings.proposition) for text in texts]
    more = [*wordings.testing_same, *wordings.testing_negated]
    pairs += [pair_of(texts[i], words) for words in more for i in touching.tolist()]
    given = reader.read(pairs, progress)[0]
    others = given[len(texts) :].reshape(len(more), len(touching), given.shape[1])
    same = len(wordings.testing_same)
    return Asked(given[: len(texts)], touching, others[:same], others[same:])


def pooled(
    asked: Mapping[str, Asked], sentences: IssueSentences, issues: Sequence[str]
) -> tuple[Given, NDArray[np.int8], list[str], NDArray[np.intp]]:
    """What was said of several issues, one under the other: probabilities, labels, groups, number of the issue."""
    parts = [(k, sentences.outcomes[:, sentences.issues.index(issue)]) for k, issue in enumerate(issues)]
    rows = [np.flatnonzero(column != NOT_READ) for _, column in parts]
    width = len(RELATION.outcomes)
    return (
        np.concatenate([np.zeros((0, width)), *(asked[i].own[r] for i, r in zip(issues, rows, strict=True))]),
        np.concatenate([np.zeros(0, np.int8), *(column[r] for (_, column), r in zip(parts, rows, strict=True))]),
        [sentences.units[i] for r in rows for i in r.tolist()],
        np.concatenate([np.zeros(0, np.intp), *(np.full(len(r), k) for (k, _), r in zip(parts, rows, strict=True))]),
    )


def fit_rule(
    asked: Mapping[str, Asked], sentences: IssueSentences, issues: Sequence[str], error_rate: float
) -> tuple[Rule, dict[str, Any]]:
    """How probabilities become answers about an issue that nobody was taught, from issues that were left out.

    The decision is chosen on probabilities that the other issues calibrated, and the abstention on answers that they
    decided, so that no issue helps to choose what it is then judged by.

    Args:
        asked: what networks that were not taught an issue said of it.
        sentences: what was asked about.
        issues: those to fit on; with fewer than two nothing is fitted, and every answer is marked as unsure.
        error_rate: see `training.abstention.abstain`.

    Returns:
        the rule, and figures of decision and abstention, fit for JSON.
    """
    if len(issues) < 2:
        return Rule(Scaling(), Biased(), Abstention()), {"method": "none: fewer than two issues could be left out"}
    given, gold, units, part = pooled(asked, sentences, issues)
    folds = [(np.flatnonzero(part != k), np.flatnonzero(part == k)) for k in range(len(issues))]
    crossed = np.empty_like(given)
    for fitted, checked in folds:
        crossed[checked] = fit_temperature_and_bias(given[fitted], gold[fitted]).apply(given[checked])
    decided = decide(DecisionSettings(), crossed, gold, units, folds, RELATION)
    confidences = crossed[np.arange(len(gold)), decided.labels]
    abstention, figures = abstain(error_rate, decided.labels, confidences, gold, units)
    rule = Rule(fit_temperature_and_bias(given, gold), decided.decision, abstention)
    return rule, {"decision": decided.figures, "abstention": {"error_rate": error_rate, **figures}}


def answered(rule: Rule, given: Given) -> tuple[NDArray[np.intp], NDArray[np.bool_], Given]:
    """Labels, which are not sure enough, and calibrated probabilities."""
    calibrated = rule.calibration.apply(given)
    labels = rule.decision.labels(calibrated, RELATION)
    return labels, rule.abstention.abstains(labels, calibrated[np.arange(len(labels)), labels]), calibrated


def labels_of(rules: Mapping[str, Rule], asked: Mapping[str, Asked], issues: Sequence[str]) -> Outcomes:
    """What is answered about each issue, shape (sentences, issues)."""
    return np.stack([answered(rules[issue], asked[issue].own)[0] for issue in issues], axis=1).astype(np.int8)

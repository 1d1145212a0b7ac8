"""Labels that are probably wrong, by confident learning."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from cleanlab.filter import find_label_issues
from datasets import Dataset
from numpy.typing import NDArray

from labels.errors import StanceError
from labels.taxonomy import Target, Taxonomy
from training.dataset import column, outcome_matrix, texts_of, units_of
from training.features import TfidfFeatures
from training.heads import HeadChoice, choose_heads
from training.held_out import folds_of
from training.outcomes import NOT_READ, Progress

FOLDS = 5
_SEED = 0
_HEAD = HeadChoice(c=4, balance=0)
"""Classes are not balanced: weights in favour of rare classes make their probabilities too high to judge labels by."""


@dataclass(frozen=True)
class Suspect:
    """A label that a classifier trained on other groups finds improbable.

    Attributes:
        id: of the record.
        target: read for which it got the label.
        given: the label (`unrelated` where it was not touched).
        suggested: the most probable other outcome.
        given_probability, probability: of the label, and of the suggestion.
    """

    id: str
    target: str
    given: str
    suggested: str
    given_probability: float
    probability: float


def likely_errors(data: Dataset, taxonomy: Taxonomy, progress: Progress | None = None) -> list[Suspect]:
    """Suspicious labels, the most suspicious first.

    Confident learning (Northcutt, Jiang & Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels",
    JAIR 70) says how many labels of a target are wrong, and the margin between the probabilities of the label and of
    the best other outcome says which. The probabilities are those of TF-IDF and logistic regressions, each given by
    classifiers that saw no sentence of the group.

    Args:
        data: a dataset made by `training.dataset.to_dataset`, of the part `train` only.
        taxonomy: its targets.
        progress: told how many of the targets are done.

    Raises:
        StanceError: all sentences are of one group, so none can be held out, or they share no words.
    """
    outcomes, units = outcome_matrix(data, taxonomy), units_of(data)
    if len(set(units)) < 2:
        raise StanceError(
            "likely label errors need training sentences of at least two groups, so that one can be held out",
            hint="Give records a 'group', or leave --label-errors out.",
        )
    features = TfidfFeatures()
    features.fit(texts_of(data))

    def report(_: str, done: int, total: int) -> None:
        if progress:
            progress("likely label errors", done, total)

    matrix = features.transform(texts_of(data))
    folds = folds_of(units, np.ones(len(units), bool), FOLDS, _SEED)
    _, held_out = choose_heads(matrix, outcomes, folds, taxonomy, [[_HEAD]] * len(taxonomy), report)
    ids = np.array(column(data, "id"))
    suspects = [
        suspect
        for t, target in enumerate(taxonomy)
        for suspect in _suspects(ids, outcomes[:, t], held_out[:, t], target)
    ]
    return sorted(suspects, key=lambda s: (s.given_probability - s.probability, s.id, s.target))


def _suspects(
    ids: NDArray[np.str_], column: NDArray[np.int8], given: NDArray[np.float64], target: Target
) -> list[Suspect]:
    read = (column != NOT_READ) & ~np.isnan(given[:, 0])
    present, labels = np.unique(column[read], return_inverse=True)
    if len(present) < 2:
        return []
    probabilities = given[read][:, present]
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    flagged = find_label_issues(labels, probabilities, filter_by="low_normalized_margin", n_jobs=1)
    suspects: list[Suspect] = []
    for row in np.flatnonzero(flagged):
        label, others = labels[row], probabilities[row].copy()
        others[label] = -1.0
        best = int(others.argmax())
        if others[best] <= probabilities[row, label]:
            continue
        suspects.append(
            Suspect(
                id=str(ids[read][row]),
                target=target.id,
                given=target.outcomes[present[label]],
                suggested=target.outcomes[present[best]],
                given_probability=float(probabilities[row, label]),
                probability=float(others[best]),
            )
        )
    return suspects

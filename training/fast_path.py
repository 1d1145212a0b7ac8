"""The fast path: a student of the model that answers the clear sentences, so that the encoder reads the others only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding

from labels.taxonomy import Taxonomy
from training.answers import Answers, Rules, rules_from
from training.outcomes import Outcomes
from training.static_student import StaticStudent

TENSORS, ABOUT = "fast_path.safetensors", "fast_path.json"
"""Its files in a model folder."""


@dataclass(frozen=True)
class Gate:
    """Which answers of the student are clear enough.

    Attributes:
        counts: how many training sentences have each outcome, shape (targets, width).
        most: the most that an answer may be expected to cost, see `costs`.
    """

    counts: NDArray[np.int64]
    most: float

    def costs(self, given: Answers, taxonomy: Taxonomy) -> NDArray[np.float64]:
        """What the student's answers about each text are expected to cost in macro-F1; shape (texts,).

        Where a sentence is k and is answered y, k loses a hit and y gains a false alarm: each moves the F1 of its
        class by about one over the sentences that the class has. So a rare class that may be missed weighs much, and
        a frequent one little.
        """
        costs = np.zeros(len(given.outcomes))
        for t, target in enumerate(taxonomy):
            k = len(target.outcomes)
            one = 1 / np.maximum(self.counts[t, :k], 1)
            prices = (one[:, None] + one[None, :]) * (1 - np.eye(k)) / (k * len(taxonomy))
            costs += (given.probabilities[:, t, :k] * prices[given.outcomes[:, t]]).sum(axis=1)
        return costs


def counts_of(outcomes: Outcomes, width: int) -> NDArray[np.int64]:
    """How many sentences have each outcome of each target; shape (targets, width)."""
    return np.stack([np.bincount(column[column >= 0], minlength=width) for column in outcomes.T])


@dataclass(frozen=True)
class FastPath:
    """What a model folder may hold beside the model.

    Attributes:
        model: version of the model whose student it is; with another it is never used.
        student: gives probabilities, not calibrated.
        rules: make answers of them.
        gate: says which of them are given.
        figures: of sentences that were held out, fit for JSON; docs/speed.md describes them.
    """

    model: str
    student: StaticStudent
    rules: Rules
    gate: Gate
    figures: Mapping[str, Any]

    def answers(self, encodings: Sequence[Encoding], taxonomy: Taxonomy) -> tuple[Answers, NDArray[np.bool_]]:
        """What the student answers about each text, and for which texts that is clear enough; cut ones never are."""
        given = self.rules.answers(self.student.predict_proba([plain_ids(each) for each in encodings]), taxonomy)
        whole = np.array([not each.overflowing for each in encodings], np.bool_)
        return given, whole & (self.gate.costs(given, taxonomy) <= self.gate.most)

    def about(self, taxonomy: Taxonomy) -> dict[str, Any]:
        """All that is not a tensor, fit for JSON."""
        return {
            "model": self.model,
            "rules": self.rules.as_dict(taxonomy),
            "gate": {"counts": self.gate.counts.tolist(), "most": self.gate.most},
            "figures": self.figures,
        }


def plain_ids(encoding: Encoding) -> list[int]:
    """Token ids of a text without those that mark its begin and end."""
    ids: list[int] = encoding.ids
    return ids[1:-1]


def fast_path_from(about: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]], taxonomy: Taxonomy) -> FastPath:
    """What `about` and the student's tensors say.

    Raises:
        KeyError, TypeError, ValueError: they do not say it.
    """
    return FastPath(
        model=about["model"],
        student=StaticStudent.restored(tensors),
        rules=rules_from(about["rules"], taxonomy),
        gate=Gate(np.array(about["gate"]["counts"], np.int64), float(about["gate"]["most"])),
        figures=about["figures"],
    )

"""What a model says of labelled sentences, and which of them it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from labels.taxonomy import Taxonomy
from training.dataset import texts_of, units_of
from training.marks import marks
from training.model_folder import Model
from training.outcomes import Probabilities, Progress


@dataclass(frozen=True)
class Scored:
    """What a model says of sentences.

    Attributes:
        outcomes: shape (sentences, targets): what is answered.
        abstained: same shape: which answers are marked as not sure enough.
        probabilities: shape (sentences, targets, width), calibrated.
        before: the same before calibration.
    """

    outcomes: NDArray[np.int64]
    abstained: NDArray[np.bool_]
    probabilities: Probabilities
    before: Probabilities

    def columns(self, targets: Sequence[int]) -> Scored:
        """What it says of some of the targets, by their numbers."""
        chosen = list(targets)
        return Scored(
            self.outcomes[:, chosen], self.abstained[:, chosen], self.probabilities[:, chosen], self.before[:, chosen]
        )


def scored_by(model: Model, texts: Sequence[str], progress: Progress | None = None) -> Scored:
    """The one place that asks a model, for reports and comparisons alike."""
    predicted = model.estimator.predict(texts, progress)
    given = model.rules.answers(predicted.probabilities, model.taxonomy)
    return Scored(given.outcomes.astype(np.int64), given.abstained, given.probabilities, predicted.probabilities)


def columns_of(model: Model, taxonomy: Taxonomy) -> list[int]:
    """Where the targets of a taxonomy stand among those of a model."""
    return [model.taxonomy.ids.index(target_id) for target_id in taxonomy.ids]


def unseen(models: Sequence[Model], data: Dataset) -> list[int]:
    """Indices of the sentences whose text and group none of the models was trained on."""
    seen = [{mark for model in models for mark in model.trained_on[kind].tolist()} for kind in ("sentences", "groups")]
    return [
        i
        for i, row in enumerate(zip(texts_of(data), units_of(data), strict=True))
        if not any(int(marks([value])[0]) in known for value, known in zip(row, seen, strict=True))
    ]

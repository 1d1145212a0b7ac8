"""What teachers say of sentences: the probabilities that a student learns from beside labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from labels.errors import StanceError
from training.model_folder import Model
from training.outcomes import Probabilities, Progress


@dataclass(frozen=True)
class Teaching:
    """Sentences as teachers see them.

    Attributes:
        texts: each once.
        units: the group of each.
        probabilities: mean over the teachers, shape (texts, targets, width).
        teachers: their versions.
    """

    texts: Sequence[str]
    units: Sequence[str]
    probabilities: Probabilities
    teachers: Sequence[str]


def teach(teachers: Sequence[Model], unit_of: Mapping[str, str], progress: Progress | None = None) -> Teaching:
    """Ask the teachers.

    Args:
        teachers: at least one model, all of one taxonomy.
        unit_of: texts, labelled for training or not labelled at all, and the group of each.
        progress: told how far each teacher is.

    Raises:
        StanceError: they differ in their targets.
    """
    if any(teacher.taxonomy.as_dict() != teachers[0].taxonomy.as_dict() for teacher in teachers):
        raise StanceError("the teachers were trained on different targets", field="targets")
    texts = list(unit_of)
    given = [teacher.estimator.predict(texts, progress).probabilities for teacher in teachers]
    return Teaching(texts, list(unit_of.values()), np.mean(given, axis=0), [teacher.version for teacher in teachers])

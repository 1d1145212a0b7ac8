"""What teachers say of sentences: the probabilities that a student learns from beside labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from labels.errors import StanceError
from training.dataset import fingerprint
from training.model_folder import Model
from training.outcomes import Probabilities, Progress
from training.recipes import Distillation, TunedRecipe
from training.taught import kept_probabilities
from training.variants import variants

if TYPE_CHECKING:
    from training.train import LabelledData


@dataclass(frozen=True)
class Teaching:
    """Sentences as teachers see them.

    Attributes:
        texts: each once.
        units: the group of each.
        probabilities: mean over the teachers, shape (texts, targets, width).
        teachers: their versions.
        knew: which of them may have learnt what the student holds out, so that its held-out figures flatter.
    """

    texts: Sequence[str]
    units: Sequence[str]
    probabilities: Probabilities
    teachers: Sequence[str]
    knew: Sequence[str]


def teach(
    teachers: Sequence[Model],
    data: LabelledData,
    unit_of: Mapping[str, str],
    recipe: TunedRecipe,
    distillation: Distillation,
    progress: Progress | None = None,
) -> Teaching:
    """Ask the teachers; what they say is kept in the cache folder, so that asking can be interrupted.

    Args:
        teachers: at least one model.
        data: what the student is trained on.
        unit_of: sentences, labelled for training or not labelled at all, and the group of each. Variants are made of
            them where that is asked for.
        recipe: of the student.
        distillation: of that recipe.
        progress: told how far each teacher is.

    Raises:
        StanceError: a teacher has other targets than the student; or see `kept_probabilities`.
    """
    for teacher in teachers:
        if teacher.taxonomy.as_dict() != data.taxonomy.as_dict():
            raise StanceError(
                f"the teacher {teacher.version} was trained on other targets than these labels name",
                field="targets",
                hint="Name a recipe that needs no teacher, such as --recipe fine-tuned.",
            )
    asked = {**unit_of, **variants(unit_of, distillation.variants, recipe.seed)}
    texts, learnt = list(asked), fingerprint(data.part("train"))
    given = [kept_probabilities(teacher, texts, progress) for teacher in teachers]
    return Teaching(
        texts,
        list(asked.values()),
        np.mean(given, axis=0),
        [teacher.version for teacher in teachers],
        [teacher.version for teacher in teachers if not _holds_out_the_same(teacher, recipe, learnt)],
    )


def _holds_out_the_same(teacher: Model, student: TunedRecipe, learnt: str) -> bool:
    """Whether the teacher never learnt what the student will hold out."""
    dealing = ("seed", "folds", "held_out_folds", "train_only")
    return (
        isinstance(teacher.recipe, TunedRecipe)
        and not teacher.recipe.refit
        and teacher.data["fingerprint"] == learnt
        and all(getattr(teacher.recipe, name) == getattr(student, name) for name in dealing)
    )

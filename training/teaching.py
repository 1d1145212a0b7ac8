"""What teachers say of sentences: the probabilities that a student learns from beside labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from labels.errors import StanceError
from labels.taxonomy import Taxonomy
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
        probabilities: mean over the teachers that answer a target, shape (texts, targets, width); zeros where none
            does.
        known: which targets a teacher answers, shape (targets,).
        teachers: their versions.
        knew: which of them may have learnt what the student holds out, so that its held-out figures flatter.
    """

    texts: Sequence[str]
    units: Sequence[str]
    probabilities: Probabilities
    known: NDArray[np.bool_]
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
        teachers: at least one model; of the student's targets each is asked about those that it was taught itself.
        data: what the student is trained on.
        unit_of: sentences, labelled for training or not labelled at all, and the group of each. Variants are made of
            them where that is asked for.
        recipe: of the student.
        distillation: of that recipe.
        progress: told how far each teacher is.

    Raises:
        StanceError: a teacher was taught none of the student's targets; or see `kept_probabilities`.
    """
    taxonomy = data.taxonomy
    places = [_places(teacher.taxonomy, taxonomy) for teacher in teachers]
    for teacher, shared in zip(teachers, places, strict=True):
        if not shared:
            raise StanceError(
                f"the teacher {teacher.version} was trained on other targets than these labels name",
                field="targets",
                hint="Name a recipe that needs no teacher, such as --recipe fine-tuned.",
            )
    asked = {**unit_of, **variants(unit_of, distillation.variants, recipe.seed)}
    texts, learnt = list(asked), fingerprint(data.part("train"))
    total, answering = np.zeros((len(texts), len(taxonomy), taxonomy.width)), np.zeros(len(taxonomy), int)
    for teacher, shared in zip(teachers, places, strict=True):
        given = kept_probabilities(teacher, texts, progress)
        for its, ours in shared:
            outcomes = len(teacher.taxonomy.targets[its].outcomes)
            total[:, ours, :outcomes] += given[:, its, :outcomes]
            answering[ours] += 1
    return Teaching(
        texts,
        list(asked.values()),
        total / np.maximum(answering, 1)[:, None],
        answering > 0,
        [teacher.version for teacher in teachers],
        [teacher.version for teacher in teachers if not _holds_out_the_same(teacher, recipe, learnt)],
    )


def _places(its: Taxonomy, ours: Taxonomy) -> list[tuple[int, int]]:
    """Where each target that both have stands in the one and in the other."""
    return [(i, k) for k, target in enumerate(ours) for i, other in enumerate(its) if other == target]


def _holds_out_the_same(teacher: Model, student: TunedRecipe, learnt: str) -> bool:
    """Whether the teacher never learnt what the student will hold out."""
    dealing = ("seed", "folds", "held_out_folds", "train_only")
    return (
        isinstance(teacher.recipe, TunedRecipe)
        and not teacher.recipe.refit
        and teacher.data["fingerprint"] == learnt
        and all(getattr(teacher.recipe, name) == getattr(student, name) for name in dealing)
    )

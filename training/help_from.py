"""Other models that a training builds on: teachers, and one to begin with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from labels.errors import StanceError
from training.families import HelpFrom, check_help
from training.fine_tuned import FineTunedClassifier
from training.linear import LinearClassifier
from training.model_folder import Model, load_model
from training.outcomes import Progress
from training.recipes import Recipe, TunedRecipe
from training.teaching import teach
from training.train import LabelledData, sentences_to_teach


def settings_of(model: Model) -> HelpFrom:
    """What a training by the same recipe need not choose again."""
    estimator = model.estimator
    return HelpFrom(chosen=estimator.choices()) if isinstance(estimator, LinearClassifier) else HelpFrom()


def taught_by(
    teachers: Sequence[Model],
    recipe: Recipe,
    data: LabelledData,
    labels: Sequence[Path],
    corpus: Path | None,
    progress: Progress | None = None,
) -> HelpFrom:
    """What teachers say, where the recipe wants to know it.

    Args:
        teachers: models.
        recipe: of the training.
        data: what is trained on.
        labels: its label files.
        corpus: folder whose unlabelled sentences they are asked about too; None where there is none.
        progress: told how far they are.

    Raises:
        StanceError: see `check_help`, `sentences_to_teach` and `teach`.
    """
    check_help(recipe, taught=bool(teachers), started=False)
    if not isinstance(recipe, TunedRecipe) or recipe.distillation is None:
        return HelpFrom()
    unit_of = sentences_to_teach(data, labels, corpus if recipe.distillation.unlabelled else None)
    return HelpFrom(teach(teachers, data, unit_of, recipe, recipe.distillation, progress))


def adapters_of(folder: Path) -> Mapping[str, NDArray[np.floating]]:
    """The adapters of a fine-tuned model, for another training to begin with.

    Raises:
        StanceError: it is none; or see `load_model`.
    """
    estimator = load_model(folder).estimator
    if not isinstance(estimator, FineTunedClassifier):
        raise StanceError("is not a fine-tuned model", path=folder, hint="Name one of the family 'fine-tuned'.")
    return estimator.adapters()

"""Other models that a training builds on: teachers, and one to begin with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from training.train import LabelledData


def settings_of(model: Model) -> HelpFrom:
    """What a training by the same recipe need not choose again."""
    estimator = model.estimator
    return HelpFrom(chosen=estimator.choices()) if isinstance(estimator, LinearClassifier) else HelpFrom()


def taught_by(
    teachers: Sequence[Model], recipe: Recipe, data: LabelledData, unit_of: Mapping[str, str], progress: Progress | None
) -> HelpFrom:
    """What teachers say, where the recipe wants to know it.

    Args:
        teachers: models.
        recipe: of the training.
        data: what is trained on.
        unit_of: sentences that they are asked about, see `teach`.
        progress: told how far they are.

    Raises:
        StanceError: see `check_help` and `teach`.
    """
    check_help(recipe, taught=bool(teachers), started=False)
    if not isinstance(recipe, TunedRecipe) or recipe.distillation is None:
        return HelpFrom()
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

"""The families of models: which classifier a recipe describes, untrained or as a model folder holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from labels.errors import StanceError
from labels.taxonomy import Taxonomy
from training.estimator import Estimator
from training.fine_tuned import FineTunedClassifier, restored_fine_tuned
from training.heads import HeadChoice
from training.linear import new_linear, restored_linear
from training.recipes import Recipe, TunedRecipe

if TYPE_CHECKING:
    from training.teaching import Teaching


@dataclass(frozen=True)
class HelpFrom:
    """What a training builds on; see `training.help_from`.

    Attributes:
        teaching: what teachers say of sentences.
        start: adapters of a model that the training begins with.
        chosen: settings of linear heads by target that were chosen in an earlier training.
    """

    teaching: Teaching | None = None
    start: Mapping[str, NDArray[np.floating]] | None = None
    chosen: Mapping[str, HeadChoice] | None = None


def new_estimator(recipe: Recipe, taxonomy: Taxonomy, help_from: HelpFrom | None = None) -> Estimator:
    """The untrained classifier that a recipe describes.

    Raises:
        StanceError: the recipe needs help that was not given, or has no use for what was.
    """
    given = help_from or HelpFrom()
    check_help(recipe, taught=given.teaching is not None, started=given.start is not None)
    if not isinstance(recipe, TunedRecipe):
        return new_linear(recipe, taxonomy, given.chosen)
    return FineTunedClassifier(taxonomy, recipe, given.teaching, given.start)


def check_help(recipe: Recipe, *, taught: bool, started: bool) -> None:
    """Check that a recipe has the help that it needs, and a use for what there is.

    Args:
        recipe: of the training.
        taught: whether there are teachers.
        started: whether there is a model to begin with.

    Raises:
        StanceError: it has not.
    """
    if not isinstance(recipe, TunedRecipe):
        if taught or started:
            raise StanceError(
                f"the recipe '{recipe.name}' can use neither teachers nor a model to begin with",
                hint="Only recipes of the family 'fine-tuned' can.",
            )
    elif (recipe.distillation is None) == taught:
        needs = "it has no use for teachers" if taught else "no teacher was named"
        raise StanceError(f"the recipe '{recipe.name}': {needs}", hint="--teacher goes with a recipe that distils.")


def restored_estimator(
    recipe: Recipe, taxonomy: Taxonomy, settings: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]], *, cache: bool
) -> Estimator:
    """The trained classifier that `settings()` and `tensors()` of one describe.

    Args:
        recipe: how it was trained.
        taxonomy: its targets.
        settings: what it learnt besides tensors.
        tensors: its weights.
        cache: whether embeddings are kept on disk.
    """
    if isinstance(recipe, TunedRecipe):
        return restored_fine_tuned(recipe, taxonomy, settings, tensors)
    return restored_linear(recipe.family, taxonomy, settings, tensors, cache=cache)

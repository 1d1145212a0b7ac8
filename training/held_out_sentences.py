"""Which sentences a model held out, found again in its training data: the model itself keeps no text."""

from __future__ import annotations

import numpy as np
from datasets import Dataset

from labels.errors import StanceError
from training.dataset import column, fingerprint, outcome_matrix, units_of
from training.held_out import folds_of, starts_with_any
from training.model_folder import Model
from training.recipes import TunedRecipe


def held_out_sentences(model: Model, part: Dataset) -> Dataset:
    """The rows that `model.held_out` speaks of, in its order.

    Args:
        part: the training part.

    Raises:
        StanceError: the model was trained on other sentences, or held none out.
    """
    if fingerprint(part) != model.data["fingerprint"]:
        raise StanceError(
            f"these are not the sentences that {model.version} was trained on", hint="Name their labels and corpus."
        )
    recipe = model.recipe
    eligible = ~starts_with_any(column(part, "source"), recipe.train_only)
    folds = folds_of(units_of(part), eligible, recipe.folds, recipe.seed)
    if isinstance(recipe, TunedRecipe):
        folds = folds[: recipe.held_out_folds]
    rows = sorted(row for _, held in folds for row in held.tolist())
    held = part.select(rows)
    if not rows or not np.array_equal(outcome_matrix(held, model.taxonomy), model.held_out.outcomes):
        raise StanceError(f"it cannot be told which sentences {model.version} held out", hint="Train it again.")
    return held

"""Several models on public stance data, by the figure that its published results are in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from labels.errors import StanceError
from labels.taxonomy import Taxonomy
from training.answers import fit_rules
from training.comparison import common_part
from training.dataset import outcome_matrix, texts_of, units_of
from training.families import HelpFrom, new_estimator
from training.metrics import Confusion, confusion, resampled, scores
from training.model_folder import Model
from training.outcomes import NOT_READ, Outcomes, Progress
from training.recipes import Recipe, TunedRecipe
from training.resampling import RESAMPLES, figure
from training.scored import scored_by
from training.train import LabelledData


def benchmark(
    models: Sequence[tuple[Path, Model]], data: LabelledData, split: str, progress: Progress | None = None
) -> dict[str, Any]:
    """F_avg pooled over all targets of each model, and minus that of the first on the same sentences.

    Args:
        models: at least one, with the folders that they are named by.
        data: labelled by their taxonomy.
        split: the part that is scored; what any of the models was trained on is left out.
        progress: told how far each model is.

    Returns:
        `split`, `sentences`, `groups`, `left_out_as_trained_on`, and under `models` for each `folder`, `version`,
        `recipe`, `pooled_pole_f1` and, but for the first, `minus_first`; intervals from resampling groups, the same
        groups for all models.

    Raises:
        StanceError: see `training.comparison.common_part`.
    """
    part, left_out = common_part([model for _, model in models], data, split)
    taxonomy, seed = data.taxonomy, models[0][1].recipe.seed
    gold, units = outcome_matrix(part, taxonomy), units_of(part)
    tables = [
        confusion(gold, scored_by(model, texts_of(part), progress).outcomes, units, taxonomy.width)
        for _, model in models
    ]
    rows = [
        {"folder": str(folder), "version": model.version, "recipe": model.recipe.name, **figures}
        for (folder, model), figures in zip(models, pooled_figures(tables, taxonomy, seed), strict=True)
    ]
    return {
        "split": split,
        "sentences": len(part),
        "groups": len(tables[0]),
        "left_out_as_trained_on": left_out,
        "models": rows,
    }


def cross_validated(
    recipes: Sequence[Recipe], data: LabelledData, help_from: HelpFrom, progress: Progress | None = None
) -> dict[str, Any]:
    """As `benchmark`, of recipes instead of models: on the sentences for training, in turn held out of it by groups.

    Settings were chosen on the same folds, which flatters every recipe a little. Sentences that some recipe does not
    hold out (a fine-tuned one whose `held_out_folds` are fewer than its `folds`) are left out.

    Args:
        recipes: at least one.
        data: labelled sentences.
        help_from: what the fine-tuned ones build on.
        progress: told how far each is.

    Raises:
        StanceError: see `training.train.train`; or no sentence is held out by every recipe.
    """
    taxonomy, part = data.taxonomy, data.part("train")
    gold, units = outcome_matrix(part, taxonomy), np.asarray(units_of(part))
    given: list[Outcomes] = []
    for recipe in recipes:
        estimator = new_estimator(recipe, taxonomy, help_from if isinstance(recipe, TunedRecipe) else None)
        held_out = estimator.fit(part, progress).held_out_proba()
        given.append(fit_rules(held_out, gold, units.tolist(), taxonomy, recipe).labels)
    known = np.all([(labels != NOT_READ).any(axis=1) for labels in given], axis=0)
    if not known.any():
        raise StanceError("no sentence is held out by every recipe", hint="Let them have the same seed and folds.")
    tables = [confusion(gold[known], labels[known], units[known].tolist(), taxonomy.width) for labels in given]
    figures = pooled_figures(tables, taxonomy, recipes[0].seed)
    return {
        "split": "train",
        "sentences": int(known.sum()),
        "groups": len(tables[0]),
        "models": [{"recipe": recipe.name, **of} for recipe, of in zip(recipes, figures, strict=True)],
    }


def pooled_figures(tables: Sequence[Confusion], taxonomy: Taxonomy, seed: int) -> list[dict[str, Any]]:
    """`pooled_pole_f1` of each table and, but for the first, `minus_first`; all tables are of the same groups."""
    points = [scores(table.sum(axis=0), taxonomy).pooled_pole_f1 for table in tables]
    drawn = [scores(resampled(table, resamples=RESAMPLES, seed=seed), taxonomy).pooled_pole_f1 for table in tables]
    return [
        {
            "pooled_pole_f1": figure(point, sample),
            **({"minus_first": figure(point - points[0], sample - drawn[0])} if number else {}),
        }
        for number, (point, sample) in enumerate(zip(points, drawn, strict=True))
    ]

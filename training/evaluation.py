"""A model beside the floor and the agreement of the annotators, on sentences that it was not trained on."""

from __future__ import annotations

from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from labels.errors import StanceError
from training.dataset import class_counts, fingerprint, marks, outcome_matrix, texts_of, units_of
from training.metrics import Confusion, confusion
from training.model_folder import Model
from training.outcomes import Progress
from training.recipes import FLOOR_RECIPE, load_recipe
from training.summary import difference, summary
from training.train import LabelledData, new_estimator

Predictions = NDArray[np.integer]
"""Shape (sentences, targets): the most probable outcome of each."""


def evaluate(model: Model, data: LabelledData, split: str = "test", progress: Progress | None = None) -> dict[str, Any]:
    """Score a model on one part of the data.

    Sentences whose text or group the model was trained on are left out and counted. The floor is trained here, on
    the part `train` of the same data. Two sets are reported: all sentences, and those that two annotators labelled
    independently; for the latter also how far these two agree, by the same figures (one taken as the other's
    prediction), which no classifier trained on their labels can be expected to pass.

    Returns:
        what `metrics.json` holds; docs/report.md describes it.

    Raises:
        StanceError: no sentence of the part is at hand, or the model was trained on all of them.
    """
    part = data.part(split)
    if len(part) == 0:
        raise StanceError(
            f"no sentence of the part '{split}' is at hand "
            f"({data.missing.total()} records point into {len(data.missing)} documents that are not)",
            hint="Name the corpus with --corpus, or label files that hold their texts with --labels.",
        )
    kept = _not_trained_on(model, part)
    left_out = len(part) - len(kept)
    if not kept:
        raise StanceError(
            f"the model was trained on all {len(part)} sentences of the part '{split}' or on their groups",
            hint="Evaluate on sentences that it has not seen.",
        )
    part = part.select(kept)
    training = data.part("train")
    gold, units = outcome_matrix(part, model.taxonomy), units_of(part)
    predicted = {"model": model.answers(texts_of(part), progress).outcomes}
    if model.recipe.name != FLOOR_RECIPE and len(training):
        floor = new_estimator(load_recipe(FLOOR_RECIPE), model.taxonomy).fit(training, progress)
        predicted["floor"] = _predict(floor.predict_proba(texts_of(part)))
    twice = [i for i, passes in enumerate(part["passes"]) if len(passes) == 2]
    sets = {"all": _compare(gold, predicted, units, list(range(len(part))), model)}
    if twice:
        sets["twice"] = _compare(gold, predicted, units, twice, model)
        sets["twice"]["agreement"] = _agreement(part.select(twice), model)
    return {
        "model": {
            "version": model.version,
            "recipe": model.recipe.model_dump(),
            "data": model.data,
            "estimator": {k: v for k, v in model.estimator.settings()["features"].items() if k != "vocabulary"},
            "heads": model.estimator.settings()["heads"],
        },
        **model.taxonomy.as_dict(),
        "split": split,
        "data": {
            "fingerprint": fingerprint(part),
            "files": data.files,
            "left_out_as_trained_on": left_out,
            "missing": {"records": data.missing.total(), "documents": len(data.missing)},
            "floor_trained_on_the_same": fingerprint(training) == model.data["fingerprint"],
            "classes": class_counts(gold, model.taxonomy),
        },
        "sets": sets,
    }


def _predict(probabilities: NDArray[np.float64]) -> Predictions:
    return np.asarray(probabilities.argmax(axis=2))


def _not_trained_on(model: Model, part: Dataset) -> list[int]:
    """Indices of the sentences whose text and group the model has not seen."""
    seen = set(model.trained_on["sentences"].tolist()), set(model.trained_on["groups"].tolist())
    return [
        i
        for i, row in enumerate(zip(texts_of(part), units_of(part), strict=True))
        if not any(int(marks([value])[0]) in known for value, known in zip(row, seen, strict=True))
    ]


def _compare(
    gold: NDArray[np.int8],
    predicted: dict[str, Predictions],
    units: list[str],
    rows: list[int],
    model: Model,
) -> dict[str, Any]:
    taxonomy, seed = model.taxonomy, model.recipe.seed
    tables: dict[str, Confusion] = {
        name: confusion(gold[rows], given[rows], [units[i] for i in rows], taxonomy.width)
        for name, given in predicted.items()
    }
    result: dict[str, Any] = {
        "sentences": len(rows),
        **{name: summary(table, taxonomy, seed=seed) for name, table in tables.items()},
    }
    if "floor" in tables:
        result["model_minus_floor"] = difference(tables["model"], tables["floor"], taxonomy, seed=seed)
    return result


def _agreement(part: Dataset, model: Model) -> dict[str, Any]:
    passes = np.array(part["passes"], np.int8)
    table = confusion(passes[:, 0], passes[:, 1], units_of(part), model.taxonomy.width)
    return summary(table, model.taxonomy, seed=model.recipe.seed)

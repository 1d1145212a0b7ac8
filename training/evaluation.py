"""A model beside the floor and the agreement of the annotators, on sentences that it was not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from labels.errors import StanceError
from training.confident_errors import confident_errors
from training.contrast import contrast_of
from training.dataset import class_counts, column, fingerprint, never_read, outcome_matrix, texts_of, units_of
from training.floor import floor_of
from training.metrics import Confusion, confusion
from training.model_folder import Model
from training.outcomes import Outcomes, Progress
from training.probability_figures import abstention_figures, probability_figures
from training.recipes import FLOOR_RECIPE
from training.scored import scored_by, unseen
from training.slices import slice_figures
from training.summary import difference, summary
from training.train import LabelledData, part_at_hand


def evaluate(
    model: Model,
    data: LabelledData,
    split: str = "test",
    *,
    contrast: LabelledData | None = None,
    learning_curve: Sequence[dict[str, Any]] | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Score a model on one part of the data.

    Sentences whose text or group the model was trained on are left out and counted. The floor is trained on the part
    `train` of the same data; it is left out, and `floor_lacks` names the targets, where no sentence of that part was
    read for some. Two sets are reported: all sentences, and those that two annotators labelled independently; for the
    latter also how far these two agree, by the same figures (one taken as the other's prediction), which no classifier
    trained on their labels can be expected to pass. Probabilities, slices and errors are of all sentences.

    Args:
        contrast: sets of sentences that differ in one thing, see `training.contrast`.
        learning_curve: see `training.learning_curve`; stands in the result as it is.

    Returns:
        what `metrics.json` holds; docs/report.md describes it, training/metrics.schema.json checks it.

    Raises:
        StanceError: no sentence of the part is at hand, or the model was trained on all of them.
    """
    whole = part_at_hand(data, split)
    kept = unseen([model], whole)
    if not kept:
        raise StanceError(
            f"the model was trained on all {len(whole)} sentences of the part '{split}' or on their groups",
            hint="Evaluate on sentences that it has not seen.",
        )
    part, training = whole.select(kept), data.part("train")
    taxonomy, seed = model.taxonomy, model.recipe.seed
    gold, units = outcome_matrix(part, taxonomy), units_of(part)
    given = scored_by(model, texts_of(part), progress)
    is_floor = model.recipe.name == FLOOR_RECIPE
    lacking = [] if is_floor else never_read(outcome_matrix(training, taxonomy), taxonomy)
    floor = None if is_floor or lacking else floor_of(data, progress)
    outcomes = {"model": given.outcomes}
    if floor:
        outcomes["floor"] = scored_by(floor, texts_of(part)).outcomes
    result = {
        "model": _about(model),
        **taxonomy.as_dict(),
        "split": split,
        "data": {
            "fingerprint": fingerprint(part),
            "files": data.files,
            "left_out_as_trained_on": len(whole) - len(kept),
            "missing": {"records": data.missing.total(), "documents": len(data.missing)},
            "floor_trained_on_the_same": fingerprint(training) == model.data["fingerprint"],
            **({"floor_lacks": lacking} if lacking else {}),
            "classes": class_counts(gold, taxonomy),
        },
        "sets": _sets(part, gold, outcomes, model),
        "probabilities": probability_figures(
            given.probabilities, gold, units, taxonomy, outcomes=given.outcomes, before=given.before, seed=seed
        ),
        "abstention": abstention_figures(given.outcomes, given.abstained, gold, units, taxonomy, seed=seed),
        "slices": slice_figures(part, gold, given.outcomes, taxonomy, seed=seed),
        "confident_errors": confident_errors(part, gold, given, taxonomy),
    }
    systems = {"model": model, **({"floor": floor} if floor else {})}
    if contrast and (figures := contrast_of(systems, contrast, seed=seed, progress=progress)):
        result["contrast"] = figures
    if learning_curve:
        result["learning_curve"] = list(learning_curve)
    return result


def _about(model: Model) -> dict[str, Any]:
    settings = model.estimator.settings()
    return {
        "version": model.version,
        "recipe": model.recipe.model_dump(),
        "data": model.data,
        "never_learnt": model.never_learnt,
        "estimator": {k: v for k, v in settings["features"].items() if k != "vocabulary"},
        "chosen": {name: value for name, value in settings.items() if name != "features"},
    }


def _sets(
    part: Dataset, gold: Outcomes, outcomes: dict[str, NDArray[np.int64]], model: Model
) -> dict[str, dict[str, Any]]:
    units = units_of(part)
    sets = {"all": _compare(gold, outcomes, units, list(range(len(part))), model)}
    twice = [i for i, passes in enumerate(column(part, "passes")) if len(passes) == 2]
    if twice:
        sets["twice"] = _compare(gold, outcomes, units, twice, model)
        sets["twice"]["agreement"] = _agreement(part.select(twice), model)
    return sets


def _compare(
    gold: Outcomes, outcomes: dict[str, NDArray[np.int64]], units: list[str], rows: list[int], model: Model
) -> dict[str, Any]:
    taxonomy, seed = model.taxonomy, model.recipe.seed
    tables: dict[str, Confusion] = {
        name: confusion(gold[rows], given[rows], [units[i] for i in rows], taxonomy.width)
        for name, given in outcomes.items()
    }
    result: dict[str, Any] = {
        "sentences": len(rows),
        **{name: summary(table, taxonomy, seed=seed) for name, table in tables.items()},
    }
    if "floor" in tables:
        result["model_minus_floor"] = difference(tables["model"], tables["floor"], taxonomy, seed=seed)
    return result


def _agreement(part: Dataset, model: Model) -> dict[str, Any]:
    passes = np.array(column(part, "passes"), np.int8)
    table = confusion(passes[:, 0], passes[:, 1], units_of(part), model.taxonomy.width)
    return summary(table, model.taxonomy, seed=model.recipe.seed)

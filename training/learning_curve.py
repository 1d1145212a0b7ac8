"""Learning curves: figures of held-out sentences by the number of sentences that a classifier was trained on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from labels.errors import StanceError, not_as_described
from labels.taxonomy import Taxonomy
from training.answers import fit_rules
from training.dataset import column, fingerprint, outcome_matrix, texts_of, units_of
from training.embedding_cache import cache_place, keep
from training.held_out import folds_of, starts_with_any
from training.held_out_sentences import held_out_sentences
from training.metrics import Confusion, confusion, resampled, scores
from training.model_folder import Model
from training.outcomes import Progress
from training.recipes import Recipe
from training.resampling import RESAMPLES, figure
from training.scored import scored_by
from training.train import LabelledData, train


class Point(BaseModel):
    """A figure and its interval after training on so many sentences; points of one name make a curve.

    Attributes:
        measure: which figure, a key of `training.pages.OVERALL_TITLES` or words of your own; "" where it is not said.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    sentences: Annotated[int, Field(ge=1)]
    figure: float
    low: float
    high: float
    name: str = "figure"
    measure: str = ""

    @model_validator(mode="after")
    def _in_order(self) -> Point:
        if not self.low <= self.high:
            raise ValueError("'low' must not be greater than 'high'")
        return self


@dataclass(frozen=True)
class Learner:
    """What is trained on samples and scored.

    Attributes:
        name: of its curve.
        deciding: all that decides its answers, fit for JSON.
        answers: trained on the part `train` of some data, what it answers about texts: shape (texts, targets).
    """

    name: str
    deciding: Mapping[str, Any]
    answers: Callable[[LabelledData, Sequence[str], Progress | None], NDArray[np.integer]]


def learner_of(recipe: Recipe) -> Learner:
    """What `stance train` makes by a recipe."""

    def answers(data: LabelledData, texts: Sequence[str], progress: Progress | None) -> NDArray[np.integer]:
        return scored_by(train(data, recipe, progress), texts, progress).outcomes

    return Learner(recipe.name, recipe.model_dump(), answers)


def learning_curve(
    data: LabelledData,
    recipe: Recipe,
    sizes: Sequence[int],
    *,
    learner: Learner | None = None,
    known: Model | None = None,
    measure: str = "mean_macro_f1",
    samples: int = 3,
    progress: Progress | None = None,
) -> list[Point]:
    """Train on samples of the part `train`, and score each on groups of it that none was trained on.

    One fold of the recipe's is held out. The samples of a size are drawn from what is left, each within the larger one
    of the same number. What was scored is kept in the cache folder, so that an interrupted curve goes on where it was.

    Args:
        data: labelled sentences; dev and test are not looked at.
        recipe: how to train, and how groups are dealt and samples drawn.
        sizes: numbers of sentences; one that is larger than what there is counts as all that there is.
        learner: what is trained in place of the recipe, on the same samples.
        known: a model of that recipe and those sentences: what it held out is taken for the size of all that there is,
            which spares a training.
        measure: a figure of `training.metrics.Scores` that has no axes.
        samples: how many are drawn of each size, but for all that there is.

    Returns:
        a point a size, by rising size: the mean over samples; the interval resamples groups and takes a sample at
        random each time, so that it holds the chance of either.

    Raises:
        StanceError: there are too few groups to hold any out, `known` is of another recipe or other sentences, or see
            `train`.
    """
    part = data.part("train")
    units = units_of(part)
    folds = folds_of(units, ~starts_with_any(column(part, "source"), recipe.train_only), recipe.folds, recipe.seed)
    if not folds:
        raise StanceError("there are too few groups to hold any out", hint="Label sentences of more documents.")
    rows, held = folds[0][0], part.select(folds[0][1].tolist())
    learner = learner or learner_of(recipe)
    points = []
    for size in sorted({min(size, len(rows)) for size in sizes}):
        if known and size == len(rows):
            tables = [_table_of_known(known, recipe, part, held)]
        else:
            drawn = [
                np.random.default_rng([recipe.seed, sample]).permutation(rows)[:size]
                for sample in range(1 if size == len(rows) else samples)
            ]
            tables = [_table_of(data, part.select(np.sort(of).tolist()), held, learner, progress) for of in drawn]
        points.append(_point(size, tables, measure, data.taxonomy, learner.name, recipe.seed))
    return points


def _table_of(
    data: LabelledData, sample: Dataset, held: Dataset, learner: Learner, progress: Progress | None
) -> Confusion:
    same = [fingerprint(sample), fingerprint(held), learner.deciding, data.taxonomy.as_dict()]
    kept = cache_place("learning-curves", same).with_suffix(".json")
    if kept.is_file():
        return np.array(json.loads(kept.read_text(encoding="utf8")), np.int64)
    given = learner.answers(replace(data, dataset=sample), texts_of(held), progress)
    table = confusion(outcome_matrix(held, data.taxonomy), given, units_of(held), data.taxonomy.width)
    keep(kept, json.dumps(table.tolist()))
    return table


def _table_of_known(known: Model, recipe: Recipe, part: Dataset, held: Dataset) -> Confusion:
    """Of its answers to what it held out, each decided by what it says of other groups."""
    if known.recipe != recipe or fingerprint(held_out_sentences(known, part)) != fingerprint(held):
        raise StanceError(
            f"the model {known.version} was not trained by the recipe '{recipe.name}', or held out other sentences",
            hint="Leave it out; then all sentences are trained on too.",
        )
    of = known.held_out
    labels = fit_rules(of.probabilities.astype(np.float64), of.outcomes, of.units, known.taxonomy, recipe).labels
    return confusion(of.outcomes, labels, units_of(held), known.taxonomy.width)


def _point(size: int, tables: Sequence[Confusion], measure: str, taxonomy: Taxonomy, name: str, seed: int) -> Point:
    values: list[Any] = [getattr(scores(table.sum(axis=0), taxonomy), measure) for table in tables]
    drawn: NDArray[Any] = np.array(
        [getattr(scores(resampled(table, resamples=RESAMPLES, seed=seed), taxonomy), measure) for table in tables]
    )
    of = figure(np.mean(values), drawn.ravel())
    if of["value"] is None or of["low"] is None or of["high"] is None:
        raise StanceError(f"{measure} is undefined with {size} sentences", hint="Begin with more.")
    return Point(sentences=size, figure=of["value"], low=of["low"], high=of["high"], name=name, measure=measure)


_POINTS = TypeAdapter(Annotated[list[Point], Field(min_length=1)])


def read_learning_curve(path: Path) -> list[dict[str, Any]]:
    """The points of a JSON file, a list of {sentences, figure, low, high} and perhaps `name`, by rising sentences.

    Raises:
        StanceError: the file cannot be read, or is not such a list.
    """
    hint = 'It is a list of {"sentences": 1000, "figure": 0.5, "low": 0.45, "high": 0.55}.'
    try:
        points = _POINTS.validate_python(json.loads(path.read_text(encoding="utf8")))
    except OSError as error:
        raise StanceError(f"cannot be read: {error.strerror}", path=path) from error
    except ValidationError as error:
        raise not_as_described(error, path, hint=hint) from error
    except ValueError as error:
        raise StanceError(f"is not JSON: {error}", path=path, hint=hint) from error
    return [point.model_dump() for point in sorted(points, key=lambda point: (point.name, point.sentences))]

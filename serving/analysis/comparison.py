"""How near a model's totals of documents come to the totals of their labels."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labels.errors import StanceError
from labels.taxonomy import Target, Taxonomy
from serving.analysis.totals import FEWEST, Point, total
from training.answers import Answers
from training.comparison import common_part
from training.dataset import outcome_matrix, texts_of, units_of
from training.model_folder import Model
from training.outcomes import NOT_READ, Outcomes, Progress
from training.resampling import Figure, draws, figure
from training.train import LabelledData

_RESAMPLES = 1000

_FEWEST_DOCUMENTS = 10
"""Below that, resampling documents gives intervals that are far too narrow, and no figure is given."""


@dataclass(frozen=True)
class Compared:
    """A target's totals, the model's beside the labels', over documents.

    Figures are None where the documents are fewer than ten.

    Attributes:
        documents: with `FEWEST` sentences or more that touch the target, by the labels and by the model alike.
        correlation: Pearson's, of the two totals.
        difference: mean absolute difference of the two; both are in [−1, 1].
        floor: the same, where every document is given the mean of the labels' totals.
        inside: share of documents where the labels' total lies in the interval of the model's.
    """

    documents: int
    correlation: Figure
    difference: Figure
    floor: Figure
    inside: Figure

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Totalled:
    """Sentences whose labels and answers are added up by document.

    Attributes:
        outcomes: what was labelled, shape (sentences, targets).
        groups: number of the document of each.
        given: what is answered about them by a model that has not seen their documents.
        taxonomy: the targets.
    """

    outcomes: Outcomes
    groups: NDArray[np.integer]
    given: Answers
    taxonomy: Taxonomy


def held_out_of(model: Model) -> Totalled:
    """Sentences of training documents, as scored by folds that had not seen them.

    Calibration and decision were fitted on the same sentences.

    Raises:
        StanceError: the model keeps no such sentences.
    """
    held = model.held_out
    if not len(held.groups):
        raise StanceError(
            "the model keeps no held-out sentences", hint="Its recipe holds none out, or too few groups were there."
        )
    given = model.rules.answers(held.probabilities.astype(float), model.taxonomy)
    return Totalled(held.outcomes, held.groups, given, model.taxonomy)


def scored_part(model: Model, data: LabelledData, split: str, progress: Progress | None = None) -> Totalled:
    """Sentences of one part of the data, without what the model was trained on.

    Raises:
        StanceError: see `training.comparison.common_part`.
    """
    part, _ = common_part([model], data, split)
    groups = np.unique(np.asarray(units_of(part)), return_inverse=True)[1]
    given = model.answers(texts_of(part), progress)
    return Totalled(outcome_matrix(part, model.taxonomy), groups, given, model.taxonomy)


def compare_totals(of: Totalled) -> dict[str, Compared]:
    """Target → comparison.

    All voices of a document are taken together, so that texts are not needed. Intervals: percentile bootstrap of
    documents.
    """
    return {target.id: _compared(_pairs(of, t, target)) for t, target in enumerate(of.taxonomy)}


def _pairs(of: Totalled, t: int, target: Target) -> NDArray[np.float64]:
    """Total by the labels, by the model, and the ends of the model's interval; shape (documents, 4)."""
    toward, against = target.outcome(target.conciliatory), target.outcome(target.other)
    labels, answers = of.outcomes[:, t], of.given.outcomes[:, t]
    sides = (labels == toward).astype(float) - (labels == against)
    points = np.column_stack([of.given.probabilities[:, t, [toward, against]], of.given.confidences[:, t]])
    rows: list[tuple[float, ...]] = []
    for group in np.unique(of.groups):
        here = (of.groups == group) & (labels != NOT_READ)
        labelled, answered = here & (labels != 0), here & (answers != 0)
        if min(labelled.sum(), answered.sum()) >= FEWEST:
            said = total([Point(number, *point) for number, point in enumerate(points[answered].tolist())])
            assert said is not None
            assert said.low is not None
            assert said.high is not None
            rows.append((float(sides[labelled].mean()), said.score, said.low, said.high))
    return np.array(rows).reshape(-1, 4)


def _compared(pairs: NDArray[np.float64]) -> Compared:
    if len(pairs) < _FEWEST_DOCUMENTS:
        none: Figure = {"value": None, "low": None, "high": None}
        return Compared(len(pairs), none, none, none, none)
    drawn = draws(len(pairs), resamples=_RESAMPLES, seed=0).astype(float)
    apart = np.abs(pairs[:, 0] - pairs[:, 1])
    flat = np.abs(pairs[:, 0] - pairs[:, 0].mean())
    # A whole document of one label, told to the last digit, is inside.
    inside = ((pairs[:, 2] - 1e-9 <= pairs[:, 0]) & (pairs[:, 0] <= pairs[:, 3] + 1e-9)).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        return Compared(
            documents=len(pairs),
            correlation=figure(_correlation(pairs, np.ones((1, len(pairs))))[0], _correlation(pairs, drawn)),
            inside=figure(inside.mean(), drawn @ inside / len(pairs)),
            difference=figure(apart.mean(), drawn @ apart / len(pairs)),
            floor=figure(flat.mean(), drawn @ flat / len(pairs)),
        )


def _correlation(pairs: NDArray[np.float64], drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pearson's correlation in each resample; not a number where all documents of one are alike."""
    one, other = pairs[:, 0], pairs[:, 1]
    number = len(pairs)
    mean, mean_other = drawn @ one / number, drawn @ other / number
    together = drawn @ (one * other) / number - mean * mean_other
    spread = (drawn @ one**2 / number - mean**2) * (drawn @ other**2 / number - mean_other**2)
    found: NDArray[np.float64] = together / np.sqrt(np.where(spread > 1e-12, spread, np.nan))
    return found

"""How near a model's totals of documents come to the totals of their labels."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labels.errors import StanceError
from labels.taxonomy import Target
from serving.analysis.totals import FEWEST, Point, total
from training.answers import Answers
from training.held_out import HeldOut
from training.model_folder import Model
from training.outcomes import NOT_READ
from training.resampling import Figure, draws, figure

_RESAMPLES = 1000


@dataclass(frozen=True)
class Compared:
    """A target's totals, the model's beside the labels', over documents.

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


def compare_totals(model: Model) -> dict[str, Compared]:
    """Target → comparison, over the sentences of training documents that were scored by folds that had not seen them.

    All voices of a document are taken together, since these sentences are kept without their texts. Calibration and
    decision were fitted on the same sentences. Intervals: percentile bootstrap of documents.

    Raises:
        StanceError: the model keeps no such sentences.
    """
    held = model.held_out
    if not len(held.groups):
        raise StanceError(
            "the model keeps no held-out sentences", hint="Its recipe holds none out, or too few groups were there."
        )
    given = model.rules.answers(held.probabilities.astype(float), model.taxonomy)
    return {target.id: _compared(_pairs(held, given, t, target)) for t, target in enumerate(model.taxonomy)}


def _pairs(held: HeldOut, given: Answers, t: int, target: Target) -> NDArray[np.float64]:
    """Total by the labels, by the model, and the ends of the model's interval; shape (documents, 4)."""
    toward, against = target.outcome(target.conciliatory), target.outcome(target.other)
    labels, answers = held.outcomes[:, t], given.outcomes[:, t]
    sides = (labels == toward).astype(float) - (labels == against)
    points = np.column_stack([given.probabilities[:, t, [toward, against]], given.confidences[:, t]])
    rows: list[tuple[float, ...]] = []
    for group in np.unique(held.groups):
        here = (held.groups == group) & (labels != NOT_READ)
        labelled, answered = here & (labels != 0), here & (answers != 0)
        if min(labelled.sum(), answered.sum()) >= FEWEST:
            said = total([Point(number, *point) for number, point in enumerate(points[answered].tolist())])
            assert said is not None
            assert said.low is not None
            assert said.high is not None
            rows.append((float(sides[labelled].mean()), said.score, said.low, said.high))
    return np.array(rows).reshape(-1, 4)


def _compared(pairs: NDArray[np.float64]) -> Compared:
    if len(pairs) < FEWEST:
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

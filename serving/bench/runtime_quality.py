"""What another runtime costs in macro-F1, on labelled sentences that the model has not seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from labels.errors import StanceError
from training.dataset import outcome_matrix, units_of
from training.fine_tuned import FineTunedClassifier
from training.metrics import Scores, confusion, scores
from training.model_folder import Model
from training.resampling import Figure, Resampling, figure
from training.scored import unseen
from training.train import LabelledData

MOST = 2000
"""Sentences that are scored, at most."""
MEAN, SIDES = "mean macro-F1", "(issue, side) F1"


@dataclass(frozen=True)
class Loss:
    """What a runtime costs.

    Attributes:
        lost: points (0 to 100) that it gives less than the other, with a 95% interval: of `MEAN`, `SIDES`, and of the
            macro-F1 of each target by its id.
        differing: share of labels that differ.
    """

    lost: Mapping[str, Figure]
    differing: float


def held_out_part(model: Model, data: LabelledData) -> Dataset:
    """Sentences of the training part of groups that the model was not trained on; the test part is not looked at.

    Raises:
        StanceError: there are none.
    """
    part = data.part("train")
    rows = unseen([model], part)
    if not rows:
        raise StanceError(
            "the model was trained on every training sentence that is at hand",
            hint="Train one with `stance train --labels` on a file that lacks some groups, and give that as --model.",
        )
    chosen = np.random.default_rng(0).permutation(rows)[:MOST]
    return part.select(sorted(chosen.tolist()))


def losses(model: Model, part: Dataset, vectors: Mapping[str, NDArray[np.float32]], against: str) -> dict[str, Loss]:
    """Of each runtime, from what it gives for the sentences of the part; intervals by resampling groups."""
    estimator, taxonomy = model.estimator, model.taxonomy
    assert isinstance(estimator, FineTunedClassifier)
    gold, units = outcome_matrix(part, taxonomy), units_of(part)
    labels = {name: model.rules.answers(estimator.judge(given), taxonomy).outcomes for name, given in vectors.items()}
    drawn = Resampling.of(units).drawn

    def figures_of(name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        table = confusion(gold, labels[name], units, taxonomy.width)
        return _figures(scores(table.sum(axis=0), taxonomy)), _figures(
            scores(np.tensordot(drawn.astype(float), table, 1), taxonomy)
        )

    point, sample = figures_of(against)
    found = {}
    for name in vectors:
        own, own_sample = figures_of(name)
        lost = {
            what: figure(100 * (point - own)[n], 100 * (sample - own_sample)[:, n])
            for n, what in enumerate([MEAN, SIDES, *taxonomy.ids])
        }
        found[name] = Loss(lost, round(float((labels[name] != labels[against]).mean()), 5))
    return found


def _figures(of: Scores) -> NDArray[np.float64]:
    """Shape (…, 2 + targets)."""
    return np.concatenate([np.stack([of.mean_macro_f1, of.issue_side_f1], axis=-1), of.macro_f1], axis=-1)

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
from training.metrics import confusion, scores
from training.model_folder import Model
from training.resampling import Figure, Resampling, figure
from training.scored import unseen
from training.train import LabelledData

MOST = 1000
"""Sentences that are scored, at most."""


@dataclass(frozen=True)
class Loss:
    """What a runtime costs.

    Attributes:
        lost: points of mean macro-F1 (0 to 100) that it gives less than the other, with a 95% interval.
        differing: share of labels that differ.
    """

    lost: Figure
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

    def macro(name: str) -> tuple[float, NDArray[np.float64]]:
        table = confusion(gold, labels[name], units, taxonomy.width)
        resamples = np.tensordot(drawn.astype(float), table, 1)
        return (
            float(scores(table.sum(axis=0), taxonomy).mean_macro_f1),
            np.asarray(scores(resamples, taxonomy).mean_macro_f1),
        )

    point, sample = macro(against)
    found = {}
    for name in vectors:
        own, own_sample = macro(name)
        lost = figure(100 * (point - own), 100 * (sample - own_sample))
        found[name] = Loss(lost, round(float((labels[name] != labels[against]).mean()), 5))
    return found

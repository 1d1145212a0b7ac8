"""One training: labelled sentences and a recipe in, a model out."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from labels.corpus import load_corpus, resolve
from labels.errors import StanceError
from labels.records import read_records
from labels.taxonomy import Taxonomy
from training.dataset import class_counts, fingerprint, marks, outcome_matrix, texts_of, to_dataset, units_of
from training.estimator import Estimator
from training.linear import new_linear
from training.metrics import confusion
from training.model_folder import Model
from training.outcomes import Progress
from training.recipes import Recipe
from training.summary import summary


@dataclass(frozen=True)
class LabelledData:
    """Sentences with their texts at hand.

    Attributes:
        taxonomy: their targets.
        dataset: see `training.dataset.to_dataset`.
        files: name and SHA-256 of each label file.
        missing: document id → records that point into it, where the corpus lacks it.
    """

    taxonomy: Taxonomy
    dataset: Dataset
    files: Sequence[Mapping[str, str]]
    missing: Counter[str]

    def part(self, name: str) -> Dataset:
        """The rows of one part (train, dev or test)."""
        return self.dataset.select([i for i, part in enumerate(self.dataset["part"]) if part == name])


def read_labelled(
    labels: Sequence[Path], taxonomy: Taxonomy, corpus: Path | None, *, skip_unknown_targets: bool = False
) -> LabelledData:
    """Read label files and find their texts.

    Args:
        labels: label files.
        taxonomy: what they must be labelled by.
        corpus: folder that resolves stand-off records; None where there is none.
        skip_unknown_targets: leave out labels of targets that the taxonomy does not hold.

    Raises:
        StanceError: see `read_records`, `load_corpus` and `resolve`.
    """
    records = read_records(labels, taxonomy, skip_unknown_targets=skip_unknown_targets)
    resolution = resolve(records, load_corpus(corpus))
    files = [{"name": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()} for path in labels]
    return LabelledData(taxonomy, to_dataset(resolution.sentences, taxonomy), files, resolution.missing)


def part_at_hand(data: LabelledData, name: str) -> Dataset:
    """The rows of one part, to be scored.

    Raises:
        StanceError: there are none.
    """
    part = data.part(name)
    if len(part) == 0:
        raise StanceError(
            f"no sentence of the part '{name}' is at hand ({_missing(data)})",
            hint="Name the corpus with --corpus, or label files that hold their texts with --labels.",
        )
    return part


def new_estimator(recipe: Recipe, taxonomy: Taxonomy) -> Estimator:
    """The untrained classifier that a recipe describes."""
    return new_linear(recipe, taxonomy)


def train(data: LabelledData, recipe: Recipe, progress: Progress | None = None) -> Model:
    """Train on the part `train`; the other parts are not looked at.

    Raises:
        StanceError: there is nothing to train on, or no sentence was read for a target.
    """
    taxonomy, part = data.taxonomy, data.part("train")
    if len(part) == 0:
        raise StanceError(
            f"no training sentence is at hand ({_missing(data)})",
            hint="Name the corpus with --corpus, or label files that hold their texts with --labels.",
        )
    estimator = new_estimator(recipe, taxonomy).fit(part, progress)
    outcomes = outcome_matrix(part, taxonomy)
    return Model(
        estimator=estimator,
        taxonomy=taxonomy,
        recipe=recipe,
        data={
            "fingerprint": fingerprint(part),
            "files": data.files,
            "sentences": len(part),
            "groups": len(set(units_of(part))),
            "classes": class_counts(outcomes, taxonomy),
            "missing": {"records": data.missing.total(), "documents": len(data.missing)},
        },
        trained_on={"sentences": marks(texts_of(part)), "groups": marks(units_of(part))},
        metrics=_cross_validated(estimator, part, taxonomy, recipe),
    )


def _missing(data: LabelledData) -> str:
    return f"{data.missing.total()} records point into {len(data.missing)} documents that are not"


def _cross_validated(estimator: Estimator, part: Dataset, taxonomy: Taxonomy, recipe: Recipe) -> dict[str, Any]:
    given = estimator.held_out_proba()
    if given is None or np.isnan(given).any():
        return {"method": "none: too few groups to hold any out"}
    table = confusion(outcome_matrix(part, taxonomy), given.argmax(axis=2), units_of(part), taxonomy.width)
    return {
        "method": f"{recipe.folds}-fold cross-validation over groups of the training part; settings of the heads "
        "were chosen on the same folds, so these figures flatter a little",
        **summary(table, taxonomy, seed=recipe.seed),
    }

"""One training: labelled sentences and a recipe in, a model out."""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from labels.corpus import Resolution, load_corpus, resolve
from labels.errors import StanceError
from labels.pool import CORPUS, read_pool
from labels.records import read_records
from labels.taxonomy import Taxonomy
from training.answers import Fitted, Rules, fit_rules
from training.dataset import class_counts, column, fingerprint, outcome_matrix, texts_of, to_dataset, units_of
from training.families import HelpFrom, new_estimator
from training.held_out import HeldOut
from training.marks import marks, word_marks
from training.metrics import confusion
from training.model_folder import Model
from training.outcomes import Progress
from training.recipes import Recipe, TunedRecipe
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
        return self.dataset.select([i for i, part in enumerate(column(self.dataset, "part")) if part == name])


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
    return labelled(resolve(records, load_corpus(corpus)), labels, taxonomy)


def labelled(resolution: Resolution, files: Sequence[Path], taxonomy: Taxonomy) -> LabelledData:
    """Records that have been read and resolved.

    Args:
        resolution: see `labels.corpus.resolve`.
        files: where the records stand.
        taxonomy: what they are labelled by; labels of other targets are left out.
    """
    about = [{"name": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()} for path in files]
    return LabelledData(taxonomy, to_dataset(resolution.sentences, taxonomy), about, resolution.missing)


def sentences_to_teach(data: LabelledData, labels: Sequence[Path], corpus: Path | None) -> dict[str, str]:
    """What teachers are asked about: the training sentences and those of the corpus that nobody has labelled.

    Returns:
        the group of each text; nothing of a document that is kept for figures is among them.

    Raises:
        StanceError: see `read_records` and `read_pool`.
    """
    part = data.part("train")
    unit_of = dict(zip(texts_of(part), units_of(part), strict=True))
    if corpus is None:
        return unit_of
    records = read_records(labels, data.taxonomy, skip_unknown_targets=True)
    pool = read_pool(CORPUS, corpus, records).sentences
    return {sentence.text: sentence.record.unit for sentence in pool} | unit_of


def part_at_hand(data: LabelledData, name: str) -> Dataset:
    """The rows of one part, to be scored.

    Raises:
        StanceError: there are none.
    """
    part = data.part(name)
    if len(part) == 0:
        raise _nothing_at_hand(f"sentence of the part '{name}'", f'Give records `"split": "{name}"`.', data)
    return part


def train(
    data: LabelledData, recipe: Recipe, progress: Progress | None = None, help_from: HelpFrom | None = None
) -> Model:
    """Train on the part `train`; the other parts are not looked at.

    What turns probabilities into answers is fitted on the sentences of that part that the estimator held out.

    Args:
        data: labelled sentences.
        recipe: how.
        progress: told how far it is.
        help_from: other models that the training builds on.

    Raises:
        StanceError: there is nothing to train on, or no sentence was read for a target.
    """
    taxonomy, part = data.taxonomy, data.part("train")
    if len(part) == 0:
        raise _nothing_at_hand("training sentence", "Records without a `split` are for training.", data)
    began = time.monotonic()
    teaching = help_from.teaching if help_from else None
    estimator = new_estimator(recipe, taxonomy, help_from).fit(part, progress)
    seconds = time.monotonic() - began + estimator.earlier_seconds()
    outcomes, units = outcome_matrix(part, taxonomy), units_of(part)
    trained = Model(
        estimator=estimator,
        rules=Rules(()),
        held_out=HeldOut.of(estimator.held_out_proba(), outcomes, units, taxonomy.width),
        taxonomy=taxonomy,
        recipe=recipe,
        data={
            "fingerprint": fingerprint(part),
            "files": data.files,
            "sentences": len(part),
            "groups": len(set(units)),
            "classes": class_counts(outcomes, taxonomy),
            "missing": {"records": data.missing.total(), "documents": len(data.missing)},
            "training": {"seconds": round(seconds), "cores": os.cpu_count()},
            **({"teachers_that_knew": list(teaching.knew)} if teaching and teaching.knew else {}),
        },
        trained_on={"sentences": marks(texts_of(part)), "groups": marks(units), "words": word_marks(texts_of(part))},
        metrics={},
    )
    return decided(trained)


def decided(model: Model) -> Model:
    """The model with the rules that its recipe asks for, fitted on what it held out, and their figures."""
    held = model.held_out
    fitted = fit_rules(held.probabilities.astype(np.float64), held.outcomes, held.units, model.taxonomy, model.recipe)
    return replace(model, rules=fitted.rules, metrics=_held_out_figures(fitted, model))


def _nothing_at_hand(what: str, hint: str, data: LabelledData) -> StanceError:
    if not data.missing:
        return StanceError(f"no {what} is in the label files", hint=hint)
    return StanceError(
        f"no {what} is at hand ({data.missing.total()} records point into {len(data.missing)} documents that are not)",
        hint="Name the corpus with --corpus, or label files that hold their texts with --labels.",
    )


def _held_out_figures(fitted: Fitted, model: Model) -> dict[str, Any]:
    held, taxonomy, recipe = model.held_out, model.taxonomy, model.recipe
    if not len(held.outcomes):
        return {"method": "none: too few groups to hold any out", "answers": fitted.figures}
    table = confusion(held.outcomes, fitted.labels, held.units, taxonomy.width)
    made = min(recipe.held_out_folds, recipe.folds) if isinstance(recipe, TunedRecipe) else recipe.folds
    knew = model.data.get("teachers_that_knew")
    return {
        "method": f"groups of the training part held out, {made} of {recipe.folds} folds; settings were chosen on the "
        "same folds, so these figures flatter a little"
        + (f"; more so, since teachers may have learnt these sentences ({', '.join(knew)})" if knew else ""),
        "sentences": len(held.outcomes),
        **summary(table, taxonomy, seed=recipe.seed),
        "answers": fitted.figures,
    }

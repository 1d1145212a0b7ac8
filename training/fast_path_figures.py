"""What the fast path costs in quality: macro-F1 lost, and how honest its answers are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labels.taxonomy import Taxonomy
from training.answers import Answers
from training.comparison import common_part
from training.dataset import fingerprint, outcome_matrix, texts_of, units_of
from training.metrics import Confusion, confusion, resampled, scores
from training.model_folder import Model
from training.outcomes import NOT_READ, Outcomes, Progress
from training.probability_figures import probability_figures
from training.resampling import RESAMPLES, Resampling, number
from training.summary import differences
from training.train import LabelledData

DELTA = 0.1
"""Probability that more macro-F1 is lost than was allowed, when the gate is chosen."""


def lost_at_most(before: Confusion, after: Confusion, taxonomy: Taxonomy, *, seed: int) -> float:
    """Macro-F1, mean over targets, that is lost at most with confidence 1 − DELTA (paired bootstrap of groups)."""
    drawn = [
        scores(resampled(table, resamples=RESAMPLES, seed=seed), taxonomy).mean_macro_f1 for table in (before, after)
    ]
    return float(np.quantile(drawn[0] - drawn[1], 1 - DELTA))


def lost(before: Confusion, after: Confusion, taxonomy: Taxonomy, *, seed: int) -> dict[str, Any]:
    """What was lost, with intervals: `lost` over all targets and `targets` one by one; below zero, it was gained."""
    found = differences(before, after, taxonomy, seed=seed)
    return {
        "lost": found["overall"]["mean_macro_f1"],
        "targets": {target_id: of["macro_f1"] for target_id, of in found["targets"].items()},
    }


def gated_figures(
    own: Answers,
    theirs: Answers,
    fast: NDArray[np.bool_],
    gold: Outcomes,
    units: Sequence[str],
    taxonomy: Taxonomy,
    *,
    seed: int,
) -> dict[str, Any]:
    """Figures of the two together, beside those of the model alone; fit for JSON.

    Args:
        own: the student's answers about all sentences.
        theirs: the model's.
        fast: which of the student's are given.
        gold: the labels.
        units: the group of each sentence.

    Returns:
        `sentences`; `fast` (share that the fast path answers) and `untouched` (share of these that touch nothing);
        `lost` and `targets`, see `lost`; and of the answers of the fast path alone: `ece`, over all targets and of
        the model on the same sentences (`model_ece`), and of the answers that it is sure of the share of wrong ones.
    """
    resampling = Resampling.of(units, seed=seed)
    mixed = np.where(fast[:, None], own.outcomes, theirs.outcomes)
    before, after = (confusion(gold, answered, units, taxonomy.width) for answered in (theirs.outcomes, mixed))
    rows = np.flatnonzero(fast)
    inside = [units[row] for row in rows.tolist()]
    ece = [
        probability_figures(each.probabilities[rows], gold[rows], inside, taxonomy, seed=seed)["overall"]["ece"]
        if len(rows)
        else None
        for each in (own, theirs)
    ]
    sure = fast[:, None] & ~own.abstained & (gold != NOT_READ)
    return {
        "sentences": len(gold),
        "groups": resampling.groups,
        "fast": resampling.ratio(fast, np.ones(len(gold))),
        "untouched": number((own.outcomes[rows] == 0).all(axis=1).mean()) if len(rows) else None,
        **lost(before, after, taxonomy, seed=seed),
        "macro_f1": {
            name: number(scores(table.sum(axis=0), taxonomy).mean_macro_f1)
            for name, table in (("model", before), ("with_fast_path", after))
        },
        "ece": ece[0],
        "model_ece": ece[1],
        "sure": {
            "answers": int(sure.sum()),
            "wrong": resampling.ratio((sure & (own.outcomes != gold)).sum(axis=1), sure.sum(axis=1)),
        },
    }


def evaluate_fast_path(
    model: Model, data: LabelledData, split: str = "test", progress: Progress | None = None
) -> dict[str, Any]:
    """`gated_figures` of a part of the data that the model was not trained on.

    Raises:
        StanceError: the model has no fast path, or see `common_part`.
    """
    part, left_out = common_part([model], data, split)
    texts, units = texts_of(part), units_of(part)
    student, fast = model.by_fast_path(texts)
    theirs = model.answers(texts, progress)
    gold = outcome_matrix(part, model.taxonomy)
    return {
        "model": model.version,
        "split": split,
        "fingerprint": fingerprint(part),
        "left_out_as_trained_on": left_out,
        **gated_figures(student, theirs, fast, gold, units, model.taxonomy, seed=model.recipe.seed),
    }

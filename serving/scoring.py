"""Stance scores of texts: what `/v1/score` and `stance score` answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np

from labels.taxonomy import Target, Taxonomy
from training.answers import Answers
from training.model_folder import Model, Reading
from training.outcomes import Progress
from training.relation import RELATION
from training.relation_model import RelationModel, Relations

Count = Callable[[Model, Sequence[str], Answers], None]
"""Told what a model answers, for all targets, before it is put in words."""

DECIMALS = 6
"""Of the probabilities in an answer: finer than float32 rounding would be noise."""


def score_texts(
    model: Model,
    texts: Sequence[str],
    targets: Sequence[str] | None = None,
    progress: Progress | None = None,
    count: Count | None = None,
    *,
    fast: bool = False,
) -> list[dict[str, Any]]:
    """The answer for each text, in their order.

    Args:
        model: a trained model.
        texts: none of them empty.
        targets: ids to answer for, in that order; all of the taxonomy where None.
        progress: told how far it is.
        count: see `Count`.
        fast: what is clear is answered by the model's fast path (docs/speed.md).

    Returns:
        for each text `targets` (id → label, abstained, score, probabilities) and `truncated` (longer than is read).
        `label` follows the model's decision rule, `abstained` says that it is not sure enough, and `score` =
        p(conciliatory pole) − p(other pole), in [−1, 1], of calibrated probabilities. Where `fast`, also `path`: what
        answered, "fast" or "encoder".

    Raises:
        KeyError: a target that the model does not have.
        StanceError: `fast`, and the model has no fast path.
    """
    read = model.read_fast(texts, progress) if fast else model.read(texts, progress)
    if count:
        count(model, texts, read.answers)
    results = _in_words(model.taxonomy, read, targets)
    if fast:
        for result, by_fast_path in zip(results, read.fast.tolist(), strict=True):
            result["path"] = "fast" if by_fast_path else "encoder"
    return results


@dataclass(frozen=True)
class Asked:
    """What one request asks.

    Attributes:
        texts: none of them empty.
        targets: see `score_texts`.
    """

    texts: Sequence[str]
    targets: Sequence[str] | None


def score_together(model: Model, asked: Sequence[Asked], count: Count | None = None) -> list[list[dict[str, Any]]]:
    """The answers to several requests, whose texts share batches of the encoder; see `score_texts`."""
    texts = [text for each in asked for text in each.texts]
    read = model.read(texts)
    if count:
        count(model, texts, read.answers)
    ends = list(accumulate(len(each.texts) for each in asked))
    parts = zip(asked, [0, *ends], ends, strict=False)
    return [_in_words(model.taxonomy, read.rows(slice(first, end)), each.targets) for each, first, end in parts]


def score_propositions(
    model: RelationModel, texts: Sequence[str], propositions: Sequence[str], progress: Progress | None = None
) -> list[list[dict[str, Any]]]:
    """The answer for each text, in their order, about each proposition, in theirs.

    Returns:
        for each text and proposition what `serving.schema.PropositionScore` describes.

    Raises:
        StanceError: the encoder is not installed, or a file of it has another hash.
    """
    given = model.relate(texts, propositions, progress)
    answers = [_of_target(RELATION, p, given) for p in range(len(propositions))]
    return [
        [
            {
                "proposition": proposition,
                "zero_shot": True,
                **answers[p][n],
                "truncated": bool(given.truncated[n, p]),
                "version": model.version,
            }
            for p, proposition in enumerate(propositions)
        ]
        for n in range(len(texts))
    ]


def check_fast(model: Model) -> None:
    """Before anything is scored with the fast path.

    Raises:
        StanceError: the model has none.
    """
    model.by_fast_path(["A sentence."])


def _in_words(taxonomy: Taxonomy, read: Reading, targets: Sequence[str] | None) -> list[dict[str, Any]]:
    columns = [(taxonomy.ids.index(target_id), taxonomy[target_id]) for target_id in targets or taxonomy.ids]
    answers = [_of_target(target, t, read.answers) for t, target in columns]
    ids = [target.id for _, target in columns]
    return [
        {"targets": dict(zip(ids, row, strict=True)), "truncated": truncated}
        for *row, truncated in zip(*answers, read.truncated.tolist(), strict=True)
    ]


def _of_target(target: Target, t: int, given: Answers | Relations) -> list[dict[str, Any]]:
    outcomes = target.outcomes
    # As plain numbers all at once: one by one they take as long as the tokenising.
    probabilities = given.probabilities[:, t, : len(outcomes)].round(DECIMALS)
    poles = (probabilities[:, outcomes.index(pole)] for pole in (target.conciliatory, target.other))
    scores = np.subtract(*poles).round(DECIMALS)
    rows = zip(
        given.outcomes[:, t].tolist(),
        given.abstained[:, t].tolist(),
        scores.tolist(),
        probabilities.tolist(),
        strict=True,
    )
    return [
        {
            "label": outcomes[outcome],
            "abstained": abstained,
            "score": score,
            "probabilities": dict(zip(outcomes, shares, strict=True)),
        }
        for outcome, abstained, score, shares in rows
    ]


def describe_targets(taxonomy: Taxonomy) -> list[dict[str, Any]]:
    """What `/v1/targets` answers: every target with all outcomes that its label can have."""
    return [{"id": target.id, **target.as_dict(), "labels": list(target.outcomes)} for target in taxonomy]


def describe_model(model: Model) -> dict[str, Any]:
    """What `/v1/model` answers."""
    settings = model.estimator.settings()["features"]
    encoder = model.estimator.encoder()
    return {
        "version": model.version,
        "recipe": model.recipe.model_dump(),
        "runtime": encoder.runtime if encoder else None,
        "error_rate": model.recipe.abstention.error_rate,
        "features": {key: value for key, value in settings.items() if key != "vocabulary"},
        "targets": list(model.taxonomy.ids),
        "trained_on": dict(model.data),
        "cross_validated": dict(model.metrics),
    }

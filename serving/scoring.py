"""Stance scores of texts: what `/v1/score` and `stance score` answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labels.taxonomy import Target, Taxonomy
from training.answers import Answers
from training.model_folder import Model
from training.outcomes import Progress
from training.relation import RELATION
from training.relation_model import RelationModel

DECIMALS = 6
"""Of the probabilities in an answer: finer than float32 rounding would be noise."""


def score_texts(
    model: Model,
    texts: Sequence[str],
    targets: Sequence[str] | None = None,
    progress: Progress | None = None,
    count: Callable[[Model, Sequence[str], Answers], None] | None = None,
    *,
    fast: bool = False,
) -> list[dict[str, Any]]:
    """The answer for each text, in their order.

    Args:
        model: a trained model.
        texts: none of them empty.
        targets: ids to answer for, in that order; all of the taxonomy where None.
        progress: told how far it is.
        count: told what the model answers, for all targets, before it is put in words.
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
    taxonomy = model.taxonomy
    columns = [(taxonomy.ids.index(target_id), taxonomy[target_id]) for target_id in targets or taxonomy.ids]
    read = model.read_fast(texts, progress) if fast else model.read(texts, progress)
    given = read.answers
    if count:
        count(model, texts, given)
    return [
        {
            "targets": {
                target.id: _answer(
                    target, given.probabilities[n, t], int(given.outcomes[n, t]), bool(given.abstained[n, t])
                )
                for t, target in columns
            },
            "truncated": bool(read.truncated[n]),
            **({"path": "fast" if read.fast[n] else "encoder"} if fast else {}),
        }
        for n in range(len(texts))
    ]


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
    return [
        [
            {
                "proposition": proposition,
                "zero_shot": True,
                **_answer(RELATION, given.probabilities[n, p], int(given.outcomes[n, p]), bool(given.abstained[n, p])),
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


def _answer(target: Target, probabilities: NDArray[np.float64], outcome: int, abstained: bool) -> dict[str, Any]:
    given = {label: round(float(p), DECIMALS) for label, p in zip(target.outcomes, probabilities, strict=False)}
    return {
        "label": target.outcomes[outcome],
        "abstained": abstained,
        "score": round(given[target.conciliatory] - given[target.other], DECIMALS),
        "probabilities": given,
    }


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

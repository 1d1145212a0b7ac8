"""Explanations of scores: what `/v1/score` adds where `explain` is true, and `stance explain` prints."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from labels.codebook_rules import read_codebook
from labels.taxonomy import UNRELATED, Target
from serving.scoring import DECIMALS
from training.explanation import Explanation, explain
from training.model_folder import Model
from training.nearest import Example, Examples, Near, index_examples, read_examples
from training.outcomes import Progress

SHOWN_EXAMPLES = 5

ALIKE = 0.75
"""Cosine from which on a worked example speaks for a text: from here on its rule mostly fits (docs/explanations.md)."""


class OwnExamples:
    """The labelled sentences of the project as the model sees them that answers now; made when first asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: tuple[str, Examples] | None = None

    def of(self, model: Model) -> Examples:
        """Those of a model; another one's are forgotten."""
        with self._lock:
            if self._known is None or self._known[0] != model.version:
                self._known = model.version, index_examples(model, read_examples(model.taxonomy))
            return self._known[1]


def explain_texts(
    model: Model,
    texts: Sequence[str],
    results: Sequence[Mapping[str, Any]],
    examples: Examples,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """The explanation of each answer.

    Args:
        model: what gave the answers.
        texts: the texts.
        results: their answers, as `serving.scoring.score_texts` gives them; for their targets it is explained.
        examples: labelled sentences, as the model sees them.
        progress: told how far it is.

    Returns:
        for each text `words_in_piece`, `targets` (id → `words`, `definition`, `rule`) and `examples`;
        `serving.schema.TextExplanation` says what they hold.
    """
    if not texts:
        return []
    nearest = examples.nearest(model.estimator.embed(texts))
    explanations = explain(model, texts, progress)
    return [
        _in_words(model, text, result, explanation, near)
        for text, result, explanation, near in zip(texts, results, explanations, nearest, strict=True)
    ]


def _in_words(
    model: Model, text: str, result: Mapping[str, Any], explanation: Explanation, nearest: Sequence[Near]
) -> dict[str, Any]:
    targets = [(model.taxonomy.ids.index(target_id), model.taxonomy[target_id]) for target_id in result["targets"]]
    return {
        "words_in_piece": explanation.words_in_piece,
        "targets": {
            target.id: {
                "words": [
                    {
                        "text": text[each.start : each.end],
                        "start": each.start,
                        "end": each.end,
                        "contribution": round(each.contribution, DECIMALS),
                    }
                    for each in explanation.carried(t)
                ],
                **_of_codebook(target, result["targets"][target.id]["label"], nearest),
            }
            for t, target in targets
        },
        "examples": [_shown(near, [target.id for _, target in targets]) for near in nearest[:SHOWN_EXAMPLES]],
    }


def _of_codebook(target: Target, label: str, nearest: Sequence[Near]) -> dict[str, Any]:
    """What the codebook says of a label, if it is that of this target, and the rule that the text falls under."""
    speaking = (near for near in nearest if near.similarity >= ALIKE and _decided(near.example, target, label))
    near = next(speaking, None)
    rule = near.example.rules[target.id] if near else None
    return {
        "definition": read_codebook().meanings.get(target.id, {}).get(label),
        "rule": {
            "number": rule.number,
            "text": rule.text,
            "example": near.example.text,
            "similarity": round(near.similarity, DECIMALS),
        }
        if near and rule
        else None,
    }


def _decided(example: Example, target: Target, label: str) -> bool:
    return target.id in example.rules and (example.labels[target.id] or UNRELATED) == label


def _shown(near: Near, target_ids: Sequence[str]) -> dict[str, Any]:
    example = near.example
    return {
        "id": example.id,
        "text": example.text,
        "labels": {id_: example.labels[id_] or UNRELATED for id_ in target_ids if id_ in example.labels},
        "source": example.source,
        "similarity": round(near.similarity, DECIMALS),
    }

"""The errors that a model was surest of, as references: what they say stays with the texts."""

from __future__ import annotations

from typing import Any

import numpy as np
from datasets import Dataset

from labels.taxonomy import Taxonomy
from training.outcomes import NOT_READ, Outcomes
from training.scored import Scored

MOST_ERRORS = 50


def confident_errors(
    part: Dataset, gold: Outcomes, given: Scored, taxonomy: Taxonomy, most: int = MOST_ERRORS
) -> list[dict[str, Any]]:
    """The wrong answers of highest probability, highest first; no text is in them."""
    wrong = (gold != NOT_READ) & (given.outcomes != gold)
    confidence = np.take_along_axis(given.probabilities, given.outcomes[:, :, None], axis=2)[:, :, 0]
    rows, targets = np.nonzero(wrong)
    order = np.argsort(-confidence[rows, targets], kind="stable")[:most]
    return [
        {
            **reference(part[int(row)]),
            "target": target.id,
            "gold": target.outcomes[gold[row, t]],
            "answer": target.outcomes[given.outcomes[row, t]],
            "confidence": round(float(confidence[row, t]), 4),
        }
        for row, t in zip(rows[order], targets[order], strict=True)
        for target in [taxonomy.targets[t]]
    ]


def reference(row: dict[str, Any]) -> dict[str, Any]:
    """Where a sentence stands; `doc`, `start` and `end` are null where its record holds the text itself."""
    return {name: row[name] for name in ("id", "doc", "start", "end")}

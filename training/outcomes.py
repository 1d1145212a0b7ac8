"""What passes between data, classifiers and metrics: arrays, and word of progress."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NOT_READ = -1
"""Outcome of a target that a sentence was not read for."""

Outcomes = NDArray[np.int8]
"""Shape (sentences, targets): index into each target's `outcomes`, or NOT_READ."""

Probabilities = NDArray[np.float64]
"""Shape (sentences, targets, width): the last axis follows `Target.outcomes`, zeros where a target has fewer."""

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


def softmax(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Over the last axis, in float64; −inf gives 0."""
    odds = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=-1, keepdims=True))


@dataclass(frozen=True)
class Prediction:
    """What a classifier gives of texts.

    Attributes:
        probabilities: not calibrated.
        truncated: shape (texts,): which are too long to be read whole.
    """

    probabilities: Probabilities
    truncated: NDArray[np.bool_]

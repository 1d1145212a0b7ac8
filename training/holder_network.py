"""The network of the holder tagger, in numpy: what serves needs no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.holder_labels import NAMED
from training.holder_reading import Read, padded_inputs
from training.outcomes import softmax

Span = tuple[int, int]

LONGEST = 13
"""Tokens that a name has at most."""
WIDTH = 5
"""Tokens that the convolution sees at once."""
IMPOSSIBLE = -1e4


@dataclass(frozen=True)
class Found:
    """What the network says of one sentence, not calibrated.

    Attributes:
        kinds: probabilities, in the order of KINDS.
        span: first and last token of the likeliest name; None where no token can be one.
        span_probability: of that name, if somebody is named.
    """

    kinds: NDArray[np.float64]
    span: Span | None
    span_probability: float

    @property
    def answer(self) -> tuple[int, float]:
        """The likeliest kind, and the probability of it and, where it names somebody, of the name."""
        kinds = self.kinds if self.span else np.where(np.arange(len(self.kinds)) == NAMED, 0, self.kinds)
        kind = int(kinds.argmax())
        return kind, float(kinds[kind] * (self.span_probability if kind == NAMED else 1.0))


@dataclass(frozen=True)
class HolderNetwork:
    """Trained tensors.

    Token inputs go through one layer and a convolution of `WIDTH` tokens with a shortcut; each token then gets a score
    as the beginning and as the end of the name (pointers: Vinyals et al. 2015), and mean and maximum over tokens
    together with the encoder's own pooled states give the kind.

    Attributes:
        tensors: `inputs`, `convolution`, `pointers`, `kinds`, each with `.weight` and `.bias` as torch has them.
    """

    tensors: Mapping[str, NDArray[np.float32]]

    def find(self, read: Sequence[Read]) -> list[Found]:
        """What it says of sentences, which go through it as one batch."""
        tokens, pooled, mask, borders = padded_inputs(read)
        logits, pointers = self.forward(tokens, pooled, mask)
        kinds = softmax(logits)
        found: list[Found] = []
        for i, each in enumerate(read):
            length = len(each.offsets)
            span, probability = best_span(pointers[i, :length], borders[i, :length])
            found.append(Found(kinds[i], span, probability))
        return found

    def forward(
        self, tokens: NDArray[np.float32], pooled: NDArray[np.float32], mask: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Scores of kinds, shape (texts, kinds), and of tokens as begin and end, shape (texts, tokens, 2)."""
        there = mask[..., None].astype(np.float32)
        hidden = np.maximum(self._linear("inputs", tokens), 0) * there
        seen = np.maximum(self._convolve(hidden), 0)
        states = (seen + hidden) * there
        mean = states.sum(axis=1) / there.sum(axis=1)
        highest = np.where(mask[..., None], states, IMPOSSIBLE).max(axis=1)
        kinds = self._linear("kinds", np.concatenate([mean, highest, pooled], axis=1))
        return kinds, self._linear("pointers", states)

    def _linear(self, name: str, values: NDArray[np.float32]) -> NDArray[np.float32]:
        given: NDArray[np.float32] = values @ self.tensors[f"{name}.weight"].T + self.tensors[f"{name}.bias"]
        return given

    def _convolve(self, hidden: NDArray[np.float32]) -> NDArray[np.float32]:
        weight, reach = self.tensors["convolution.weight"], WIDTH // 2
        around = np.pad(hidden, ((0, 0), (reach, reach), (0, 0)))
        length = hidden.shape[1]
        total = sum(around[:, k : k + length] @ weight[:, :, k].T for k in range(WIDTH))
        given: NDArray[np.float32] = total + self.tensors["convolution.bias"]
        return given


def best_span(pointers: NDArray[np.float32], borders: NDArray[np.bool_]) -> tuple[Span | None, float]:
    """The likeliest of all spans of at most LONGEST tokens that begin and end with words, and its probability.

    Args:
        pointers: scores as begin and end, shape (tokens, 2).
        borders: what can begin and end, same shape.
    """
    first, last = np.flatnonzero(borders[:, 0]), np.flatnonzero(borders[:, 1])
    apart = last[None, :] - first[:, None]
    possible = (apart >= 0) & (apart < LONGEST)
    if not possible.any():
        return None, 0.0
    scores = pointers[first, 0][:, None] + pointers[last, 1][None, :].astype(np.float64)
    odds = np.where(possible, np.exp(scores - scores[possible].max()), 0.0)
    row, column = np.unravel_index(int(odds.argmax()), odds.shape)
    return (int(first[row]), int(last[column])), float(odds[row, column] / odds.sum())

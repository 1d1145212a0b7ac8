"""A small network over fixed token vectors: token ids in, probabilities out, on numpy alone.

Its tokens have vectors that do not depend on their neighbours, as in model2vec; one convolution over three tokens in
a row (Kim 2014, "Convolutional Neural Networks for Sentence Classification") lets a negation or a pair of words count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from training.outcomes import Probabilities, softmax

WIDTH = 3
"""Tokens in a row that the convolution sees."""

UNKNOWN = 0
"""Row of the token table for tokens that it lacks."""

_SLICE = 128
"""Texts that are computed together: what lies in between fits the processor's cache."""

Halves = NDArray[np.float16]


@dataclass(frozen=True)
class StaticStudent:
    """A trained student, as it is stored.

    Attributes:
        tokens: ids of the tokens that it knows, rising; shape (tokens,).
        table: their vectors in whole numbers, after that of unknown tokens; shape (1 + tokens, dimensions).
        scales: what each row of `table` is multiplied by; shape (1 + tokens,).
        filters: of the convolution, shape (WIDTH × dimensions, filters), and `filters_bias`.
        heads: shape (dimensions + 2 × filters, targets × width).
        heads_bias: shape (targets, width); −inf for outcomes that a target lacks or that never stood in training.
    """

    tokens: NDArray[np.int32]
    table: NDArray[np.int8]
    scales: NDArray[np.float32]
    filters: Halves
    filters_bias: Halves
    heads: Halves
    heads_bias: NDArray[np.float32]

    def tensors(self) -> dict[str, NDArray[Any]]:
        """All of it by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def restored(cls, tensors: Mapping[str, NDArray[Any]]) -> Self:
        """What `tensors` gave.

        Raises:
            TypeError: it did not give that.
        """
        return cls(**tensors)

    def rows_of(self, ids: NDArray[np.integer]) -> NDArray[np.intp]:
        """Rows of the token table for token ids."""
        at = np.minimum(np.searchsorted(self.tokens, ids), len(self.tokens) - 1)
        return np.asarray(np.where(self.tokens[at] == ids, at + 1, UNKNOWN))

    def predict_proba(self, texts: Sequence[Sequence[int]]) -> Probabilities:
        """Probabilities, not calibrated.

        Args:
            texts: token ids of each, without those that mark its begin and end.
        """
        given = np.zeros((len(texts), *self.heads_bias.shape))
        for first in range(0, len(texts), _SLICE):
            part = texts[first : first + _SLICE]
            logits = self._pooled(part) @ self._as_floats["heads"]
            logits = logits.reshape(-1, *self.heads_bias.shape).astype(np.float64) + self.heads_bias
            given[first : first + len(part)] = softmax(logits)
        return given

    @cached_property
    def _as_floats(self) -> dict[str, NDArray[np.float32]]:
        floats = {name: tensor.astype(np.float32) for name, tensor in self.tensors().items() if name != "tokens"}
        floats["table"] *= self.scales[:, None]
        # The same products, all three at once: (dimensions, WIDTH × filters).
        by_place = floats["filters"].reshape(WIDTH, floats["table"].shape[1], -1)
        floats["filters"] = np.concatenate(list(by_place), axis=1)
        return floats

    def _pooled(self, texts: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Of each text the mean of its vectors, and the greatest and the mean of what each filter gives."""
        # Texts lie one after the other, with a place of zeros after each, so that none sees its neighbour.
        lengths = np.array([max(1, len(ids)) for ids in texts])
        ends = np.cumsum(lengths + 1)
        begins = ends - lengths - 1
        rows = np.full(ends[-1], UNKNOWN)
        between = np.zeros(ends[-1], np.bool_)
        between[ends - 1] = True
        known = np.concatenate([np.arange(begin, begin + len(ids)) for begin, ids in zip(begins, texts, strict=True)])
        rows[known] = self.rows_of(np.concatenate([np.asarray(ids, np.int64) for ids in texts]))
        floats = self._as_floats
        vectors = floats["table"][rows]
        vectors[between] = 0
        before, here, after = np.split(vectors @ floats["filters"], WIDTH, axis=1)
        here[1:] += before[:-1]
        here[:-1] += after[1:]
        seen = np.maximum(here + floats["filters_bias"], 0)
        seen[between] = 0
        counts = lengths[:, None].astype(np.float32)
        return np.concatenate(
            [
                np.add.reduceat(vectors, begins) / counts,
                np.maximum.reduceat(seen, begins),
                np.add.reduceat(seen, begins) / counts,
            ],
            axis=1,
        )


def in_whole_numbers(table: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """A table of vectors in eight bits, and what each row is multiplied by."""
    scales = np.maximum(np.abs(table).max(axis=1), 1e-12) / 127
    return np.rint(table / scales[:, None]).astype(np.int8), scales.astype(np.float32)

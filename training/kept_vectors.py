"""Vectors of labelled sentences that a model folder may hold, so that no service has to compute them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from training.marks import Marked, marks
from training.static_student import in_whole_numbers

VECTORS = "examples.safetensors"


@dataclass(frozen=True)
class KeptVectors:
    """What a model's heads see of some texts, in eight bits: the cosine of two changes by less than 0.001.

    Attributes:
        model: mark of the version of the model; with another they are never used.
        texts: mark of each text, shape (texts,).
        vectors: shape (texts, features).
        scales: what each row is multiplied by, shape (texts,).
    """

    model: Marked
    texts: NDArray[np.uint64]
    vectors: NDArray[np.int8] = field(repr=False)
    scales: NDArray[np.float32] = field(repr=False)

    @classmethod
    def of(cls, version: str, texts: Sequence[str], vectors: NDArray[np.float32]) -> Self:
        """Those of texts, as the model of a version sees them."""
        return cls(marks([version]), _marks_of(texts), *in_whole_numbers(vectors))

    def belongs_to(self, version: str) -> bool:
        """Whether they are that model's."""
        return bool(np.array_equal(self.model, marks([version])))

    def known(self, texts: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """The vectors of those texts that are among them."""
        row = {mark: n for n, mark in enumerate(self.texts.tolist())}
        places = {text: row[mark] for text, mark in zip(texts, _marks_of(texts).tolist(), strict=True) if mark in row}
        return {text: self.vectors[n] * self.scales[n] for text, n in places.items()}

    def tensors(self) -> dict[str, NDArray[Any]]:
        """All of it by name."""
        return {"model": self.model, "texts": self.texts, "vectors": self.vectors, "scales": self.scales}

    @classmethod
    def restored(cls, tensors: Mapping[str, NDArray[Any]]) -> Self:
        """What `tensors` gave."""
        return cls(tensors["model"], tensors["texts"], tensors["vectors"], tensors["scales"])


def _marks_of(texts: Sequence[str]) -> NDArray[np.uint64]:
    return np.concatenate([marks([text]) for text in texts]) if texts else np.empty(0, np.uint64)

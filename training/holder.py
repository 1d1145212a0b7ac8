"""Whose stance a sentence voices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

HolderKind = Literal["none", "author", "several", "named"]


@dataclass(frozen=True)
class Holder:
    """Whose stance a sentence voices (codebook rules 9, 17 and 44).

    Attributes:
        kind: `none` (nobody voices anything), `author` (the sentence speaks for itself), `several`, or `named`.
        start: offset of the name in the sentence, where it is named.
        end: offset after it.
        probability: that the kind and, where named, the span are right.
    """

    kind: HolderKind
    start: int | None
    end: int | None
    probability: float

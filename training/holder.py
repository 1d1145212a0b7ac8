"""Whose position a sentence voices: what a holder tagger says of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

HolderKind = Literal["none", "author", "several", "named"]
"""Nobody voices anything, it speaks for itself, several are on one side, one is named (codebook 9, 17, 44)."""


@dataclass(frozen=True)
class Holder:
    """The holder of one sentence.

    Attributes:
        kind: who it is.
        start: where the name begins in the sentence, in characters; None where none is named.
        end: where it ends, exclusive.
        probability: that the kind, and where one is named the name, is right.
    """

    kind: HolderKind
    start: int | None
    end: int | None
    probability: float

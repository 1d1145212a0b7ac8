"""Labelled holders: whose stance a person or model noted, and where the name stands in the sentence."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from labels.corpus import load_corpus, resolve
from labels.errors import StanceError
from labels.records import Split, read_records
from labels.taxonomy import Taxonomy
from training.holder import HolderKind

Span = tuple[int, int]

KINDS: tuple[HolderKind, ...] = get_args(HolderKind)
NAMED = KINDS.index("named")
_NO_NAMES: dict[str | None, HolderKind] = {None: "none", "author": "author", "several": "several"}

_APOSTROPHES = str.maketrans("’‘－–", "''--")


@dataclass(frozen=True)
class Noted:
    """A holder as it was noted.

    Attributes:
        kind: its kind.
        spans: everywhere that the name stands in the sentence as words of its own, small and capital letters alike;
            empty where it does not, or where nobody is named.
    """

    kind: HolderKind
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True)
class NotedSentence:
    """A sentence, whose stance it voices, and what two passes said of that where there were two."""

    text: str
    unit: str
    source: str | None
    holder: Noted
    passes: tuple[Noted, ...] = field(default=())


def noted(text: str, holder: str | None) -> Noted:
    """What the field `holder` of a record says of its sentence."""
    if holder in _NO_NAMES:
        return Noted(_NO_NAMES[holder])
    name = re.escape(str(holder).translate(_APOSTROPHES))
    found = re.finditer(rf"(?<!\w){name}(?!\w)", text.translate(_APOSTROPHES), re.IGNORECASE)
    return Noted("named", tuple(match.span() for match in found))


def read_holders(labels: Sequence[Path], taxonomy: Taxonomy, corpus: Path | None, part: Split) -> list[NotedSentence]:
    """The sentences of one part of label files with their holders.

    Args:
        labels: label files.
        taxonomy: what they are labelled by; other targets are passed over.
        corpus: folder that resolves stand-off records.
        part: train, dev or test.

    Raises:
        StanceError: no sentence of the part is at hand, or none names a holder; or see `read_records` and `resolve`.
    """
    records = [r for r in read_records(labels, taxonomy, skip_unknown_targets=True) if r.part == part]
    found: list[NotedSentence] = []
    for sentence in resolve(records, load_corpus(corpus)).sentences:
        record, text = sentence.record, sentence.text
        passes = tuple(noted(text, each.holder) for each in record.annotations[:2])
        if len(passes) < 2:
            passes = ()
        found.append(NotedSentence(text, record.unit, record.source, noted(text, record.holder), passes))
    if not any(sentence.holder.spans for sentence in found):
        raise StanceError(
            f"no sentence of the part '{part}' that is at hand names a holder",
            field="holder",
            hint="Name the corpus with --corpus, or label files whose records have a `holder`.",
        )
    return found


def kinds_of(sentences: Sequence[NotedSentence]) -> NDArray[np.int64]:
    """Their kinds as numbers, see KINDS."""
    return np.array([KINDS.index(sentence.holder.kind) for sentence in sentences], np.int64)


def holders_fingerprint(sentences: Sequence[NotedSentence]) -> str:
    """SHA-256 over what the tagger learns from, whatever the order."""
    lines = sorted(f"{s.text}\0{s.unit}\0{s.holder.kind}\0{s.holder.spans}" for s in sentences)
    return hashlib.sha256("\n".join(lines).encode("utf8", "surrogatepass")).hexdigest()

"""The texts that are scored while it is measured."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from labels.corpus import load_corpus
from labels.errors import StanceError
from labels.records import DEFAULT_LABELS, read_records
from labels.taxonomy import load_taxonomy
from serving.sentences import read_sentences

REQUEST = 64
"""Texts of a large request."""

_AUTHORED = "authored*.jsonl"


def bench_texts(file: Path | None, corpus: Path | None) -> list[str]:
    """Texts in an order of chance, the same each time.

    Args:
        file: as `stance score --file` takes it.
        corpus: a folder of documents, whose sentences are taken; without either, the project's authored sentences.

    Raises:
        StanceError: they cannot be read, or there are none.
    """
    if file:
        texts = [sentence.text for sentence in read_sentences(None, file)]
    elif corpus:
        texts = _of_corpus(corpus)
    else:
        records = read_records(sorted(DEFAULT_LABELS.glob(_AUTHORED)), load_taxonomy(), skip_unknown_targets=True)
        texts = [record.text for record in records if record.text]
    if not texts:
        raise StanceError("there is no text to measure with", path=file or corpus or DEFAULT_LABELS)
    random.Random(0).shuffle(texts)
    return texts


def block_of(texts: Sequence[str], first: int, size: int) -> list[str]:
    """So many texts from there on; after the last comes the first again."""
    return [texts[(first + i) % len(texts)] for i in range(size)]


def _of_corpus(corpus: Path) -> list[str]:
    from labels.worklist import unlabelled_sentences

    return [sentence.text for sentence in unlabelled_sentences(load_corpus(corpus).values(), [])]

"""Marks: what a model knows its training sentences, their groups and their words by, without holding them."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Marked = NDArray[np.uint64]
"""Sorted marks, each once."""

_WORD = re.compile(r"[^\W\d_]+")


def marks(values: Iterable[str]) -> Marked:
    """Eight bytes of the SHA-256 of each distinct value, sorted: enough to recognise it again, not to read it."""
    return np.array(sorted({_mark(value) for value in values}), np.uint64)


def _mark(value: str) -> int:
    return int.from_bytes(hashlib.sha256(value.encode("utf8", "surrogatepass")).digest()[:8], "big")


def words_of(text: str) -> list[str]:
    """The words of a text in small letters: runs of letters, so that numbers and dates are none."""
    return _WORD.findall(text.lower())


def word_marks(texts: Iterable[str]) -> Marked:
    """Marks of all words of texts. That an unknown word passes for one of 20,000 has a probability of 1e-15."""
    return marks({word for text in texts for word in words_of(text)})


def count_words(texts: Sequence[str], known: Marked) -> NDArray[np.int64]:
    """How many words of each text are marked as known and how many are not; shape (texts, 2)."""
    counts = [Counter(words_of(text)) for text in texts]
    words = sorted({word for count in counts for word in count})
    given = np.array([_mark(word) for word in words], np.uint64)
    at = np.minimum(np.searchsorted(known, given), max(len(known) - 1, 0))
    is_known = known[at] == given if len(known) else np.zeros(len(given), np.bool_)
    unknown = {word for word, here in zip(words, is_known.tolist(), strict=True) if not here}
    rows = [(count.total(), sum(times for word, times in count.items() if word in unknown)) for count in counts]
    return np.array([(total - missing, missing) for total, missing in rows], np.int64).reshape(-1, 2)

"""Texts that are versions of one another: found by MinHash, confirmed by counting."""

from __future__ import annotations

import re
from dataclasses import dataclass

from datasketch import MinHash, MinHashLSH

SIMILAR = 0.5
"""Least share of word triples that two texts must have in common to be near-duplicates.

Chosen on pairs of training sentences from different articles: from 0.5 up all that were looked at were versions of
one sentence, below that some only shared a turn of phrase.
"""

_WORDS_A_SHINGLE = 3
_BANDS, _ROWS = 32, 2
"""A pair of similarity s becomes a candidate with probability 1 − (1 − s²)³²: 0.9999 at 0.5, more above."""

_WORD = re.compile(r"\w+")

Shingles = frozenset[tuple[str, ...]]


def shingles(text: str) -> Shingles:
    """Runs of three words, without case and punctuation; all words where there are fewer (Broder 1997)."""
    words = _WORD.findall(text.casefold())
    if not words:
        return frozenset()
    last = max(1, len(words) - _WORDS_A_SHINGLE + 1)
    return frozenset(tuple(words[i : i + _WORDS_A_SHINGLE]) for i in range(last))


def similarity(first: Shingles, second: Shingles) -> float:
    """Jaccard: shingles that both have, over those that either has; 0 where neither has any."""
    return len(first & second) / len(first | second) if first or second else 0.0


@dataclass(frozen=True)
class Likeness:
    """A text that was added before.

    Attributes:
        number: as the how-manieth it was added, from 0.
        similarity: see `similarity`; at least SIMILAR.
    """

    number: int
    similarity: float


class NearDuplicates:
    """Texts among which the versions of a text are found without comparing it with each.

    Locality-sensitive hashing of MinHash signatures (Leskovec, Rajaraman & Ullman 2020, ch. 3) proposes, and
    `similarity` decides: there are no false alarms, and about one pair in ten thousand at the threshold is missed.
    """

    def __init__(self) -> None:
        self._empty = MinHash(num_perm=_BANDS * _ROWS, seed=1)
        self._index = MinHashLSH(num_perm=_BANDS * _ROWS, params=(_BANDS, _ROWS))
        self._added: list[Shingles] = []
        self._shingles: set[tuple[str, ...]] = set()

    def add(self, text: str) -> None:
        found = shingles(text)
        if found:
            self._index.insert(len(self._added), self._signature(found), check_duplication=False)
        self._added.append(found)
        self._shingles |= found

    def like(self, text: str) -> list[Likeness]:
        """The texts that are near-duplicates of this one, in the order in which they were added."""
        found = shingles(text)
        # Most texts have nothing in common with any; to see that takes a tenth of a signature's time.
        if found.isdisjoint(self._shingles):
            return []
        numbers = sorted(self._index.query(self._signature(found)))
        likenesses = (Likeness(number, similarity(found, self._added[number])) for number in numbers)
        return [likeness for likeness in likenesses if likeness.similarity >= SIMILAR]

    def _signature(self, found: Shingles) -> MinHash:
        signature = self._empty.copy()
        signature.update_batch([" ".join(words).encode("utf8", "surrogatepass") for words in found])
        return signature

"""Whether a story has been seen before: at the same address, in the same words, or nearly."""

from __future__ import annotations

import hashlib
import re
import struct
import unicodedata
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

import numpy as np
from datasketch import MinHash
from numpy.typing import NDArray

from labels.near_duplicates import shingles
from serving.feeds.bands import Bands
from serving.feeds.canonical import is_front, url_key

if TYPE_CHECKING:
    from serving.feeds.article import Article

VERSION = 1
"""Of signatures. Those of two versions cannot be compared: whoever changes them, `shingles` included, raises it."""

NEAR = 0.5
"""Least share of word triples, as estimated, that two articles have in common to be one story.

Measured on English news, see docs/feeds-deduplication.md: of different articles on one event the most alike had 0.22,
passages that quote one statement 0.41; a story cut, framed or set anew by another paper stays above until half is gone.
Set rather too high than too low: a story that is scored twice does less harm than one that is lost in another.
"""

FEWEST = 50
"""Word triples, about a paragraph, that both need to be nearly the same: one word may turn a sentence's meaning."""

OTHER = 0.05
"""Two whole articles at one address that have less in common than this are two: the page is one that is used again."""

_WHOLE = 150
"""Word triples from which on a text is taken for a whole article: a summary may share no words with its article."""

_PERMUTATIONS = 128
"""The estimate's standard error is at most 0.044 (Broder 1997)."""

_HEAD = struct.Struct("<BI")
_LENGTH = _HEAD.size + 4 * _PERMUTATIONS
_EMPTY = MinHash(num_perm=_PERMUTATIONS, seed=1, scheme="affine32")
_WORD = re.compile(r"\w+")

Why = Literal["same url", "same text", "near text"]
Hashes = NDArray[np.uint32]


def fingerprint(text: str) -> str:
    """SHA-256, in hexadecimal, of a text's words, whatever its case, punctuation and paragraphs."""
    words = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
    return hashlib.sha256(" ".join(words).encode("utf8", "surrogatepass")).hexdigest()


def signature(text: str) -> bytes:
    """MinHash of a text's word triples (Broder 1997), the same on every machine: version, how many they are, hashes."""
    found = shingles(text)
    minhash = _EMPTY.copy()
    if found:
        minhash.update_batch([" ".join(words).encode("utf8", "surrogatepass") for words in found])
    return _HEAD.pack(VERSION, len(found)) + np.asarray(minhash.hashvalues, dtype="<u4").tobytes()


def same_story(first: bytes, second: bytes) -> float:
    """Estimated Jaccard similarity of two texts' word triples, from their signatures.

    Raises:
        ValueError: one of them is no signature of this version.
    """
    one, other = _read(first), _read(second)
    if one is None or other is None:
        raise ValueError(f"not a signature of version {VERSION}")
    return float(np.mean(one[1] == other[1]))


def near_text(first: bytes, second: bytes) -> bool:
    """Whether two texts are nearly the same; never where one is too short or of another version."""
    one, other = _read(first), _read(second)
    if one is None or other is None or min(one[0], other[0]) < FEWEST:
        return False
    return float(np.mean(one[1] == other[1])) >= NEAR


class Stories:
    """What is stored, so that a story is found again among a million without comparing it with each.

    A thousand articles take 1.5 MB, a million 1.5 GB; to find one takes a quarter of a millisecond. Signatures of
    another version than `VERSION` are known by address and words only.

    Args:
        stored: article's id, its signature, its canonical URL, its fingerprint; oldest first.
    """

    def __init__(self, stored: Iterable[tuple[int, bytes, str | None, str]] = ()) -> None:
        self._articles: list[int] = []
        self._sizes: list[int] = []
        self._at_url: dict[str, int] = {}
        self._with_text: dict[str, int] = {}
        self._bands = Bands(_PERMUTATIONS)
        for article, signed, url, words in stored:
            self.add(article, signed, url, words)

    def add(self, article: int, signature: bytes, url: str | None, fingerprint: str) -> None:
        """Know one more; at an address that is known it is the newest version."""
        row = len(self._articles)
        size, hashes = _read(signature) or (0, np.zeros(_PERMUTATIONS, dtype=np.uint32))
        self._articles.append(article)
        self._sizes.append(size)
        self._bands.add(hashes, findable=size >= FEWEST)
        if url and not is_front(url):
            self._at_url[url_key(url)] = row
        self._with_text.setdefault(fingerprint, row)

    def find(self, article: Article, signature: bytes) -> tuple[int, Why] | None:
        """Id of the stored article that tells this one's story, and why; None where there is none.

        "same url" is the newest article at the address: with another fingerprint, this one is a new version of it.
        A front page is nobody's address, and a page on which a wholly other article now stands is passed over.
        "same text" goes before a new version, so that a text is never taken in twice.
        """
        read = _read(signature)
        at_url = self._row_at(article.url, read)
        same_words = self._with_text.get(article.fingerprint)
        if same_words is not None and same_words != at_url:
            return self._articles[same_words], "same text"
        if at_url is not None:
            return self._articles[at_url], "same url"
        near = self.near(signature)
        return None if near is None else (near, "near text")

    def near(self, signature: bytes) -> int | None:
        """Id of the stored article whose text is most like this one's and near it; of several the first stored."""
        read = _read(signature)
        if read is None or read[0] < FEWEST:
            return None
        rows = self._bands.candidates(read[1])
        if not rows.size:
            return None
        likeness = self._bands.likeness(read[1], rows)
        best = int(np.argmax(likeness))
        return self._articles[rows[best]] if likeness[best] >= NEAR else None

    def _row_at(self, url: str | None, read: tuple[int, Hashes] | None) -> int | None:
        row = self._at_url.get(url_key(url)) if url and not is_front(url) else None
        if row is None or read is None or min(read[0], self._sizes[row]) < _WHOLE:
            return row
        return row if self._bands.likeness(read[1], np.array([row]))[0] >= OTHER else None


def _read(signed: bytes) -> tuple[int, Hashes] | None:
    """How many word triples, and the hashes; None where it is not of this version."""
    if len(signed) != _LENGTH or signed[0] != VERSION:
        return None
    size: int = _HEAD.unpack_from(signed)[1]
    return size, np.frombuffer(signed, dtype="<u4", offset=_HEAD.size).astype(np.uint32, copy=False)

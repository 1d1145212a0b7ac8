"""Texts made of sentences by rule: what teachers are asked about where there are no unlabelled sentences."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from zlib import crc32

import numpy as np

_LEAST_WORDS = 4
"""Shorter texts voice next to nothing."""
_EXCHANGED = 0.15
"""Share of the words that are exchanged."""
_AUXILIARIES = frozenset(
    {"can", "could", "may", "might", "must", "shall", "should", "will", "would"}
    | {"are", "is", "was", "were", "did", "do", "does", "had", "has", "have"}
)


def variants(unit_of: Mapping[str, str], each: int, seed: int) -> dict[str, str]:
    """Make texts of sentences by rule, as Tang et al. (2019, arXiv:1903.12136) do to distil a small network.

    In turn: a stretch of the sentence; the sentence negated, or without its "not"; its beginning joined to the end of
    another of its group; the sentence with words exchanged for others of its group. No text holds words of two groups,
    so that what is held out stays out. They are not all good English, and only a teacher is asked what they voice.

    Args:
        unit_of: sentences, and the group of each.
        each: how many are made of a sentence; fewer come out where one is short, or a text was there already.
        seed: of the drawing; what is drawn of a sentence depends on it, on the sentence and on its group alone.

    Returns:
        the texts, none of them among the sentences, and the group of each.
    """
    of_group: dict[str, list[list[str]]] = defaultdict(list)
    for text, unit in unit_of.items():
        of_group[unit].append(text.split())
    made: dict[str, str] = {}
    for text, unit in unit_of.items():
        words = text.split()
        if len(words) <= _LEAST_WORDS:
            continue
        random = np.random.default_rng([seed, crc32(text.encode("utf8", "surrogatepass"))])
        for way in range(each):
            match way % 4:
                case 0:
                    new = _stretch(words, random)
                case 1:
                    new = _negated(words, random)
                case 2:
                    new = _joined(words, of_group[unit], random)
                case _:
                    new = _exchanged(words, of_group[unit], random)
            variant = " ".join(new)
            if len(new) >= _LEAST_WORDS and variant not in unit_of:
                made.setdefault(variant, unit)
    return made


def _stretch(words: Sequence[str], random: np.random.Generator) -> list[str]:
    length = int(random.integers(max(_LEAST_WORDS, len(words) // 3), len(words)))
    first = int(random.integers(0, len(words) - length + 1))
    return list(words[first : first + length])


def _joined(words: Sequence[str], group: Sequence[Sequence[str]], random: np.random.Generator) -> list[str]:
    other = group[int(random.integers(len(group)))]
    return [*words[: int(random.integers(1, len(words)))], *other[int(random.integers(len(other))) :]]


def _exchanged(words: Sequence[str], group: Sequence[Sequence[str]], random: np.random.Generator) -> list[str]:
    new = list(words)
    for i in np.flatnonzero(random.random(len(words)) < _EXCHANGED).tolist():
        other = group[int(random.integers(len(group)))]
        new[i] = other[int(random.integers(len(other)))]
    return new


def _negated(words: Sequence[str], random: np.random.Generator) -> list[str]:
    if "not" in words:
        return [word for word in words if word != "not"]
    after = [i for i, word in enumerate(words) if word.lower() in _AUXILIARIES]
    if not after:
        return _stretch(words, random)
    at = after[int(random.integers(len(after)))] + 1
    return [*words[:at], "not", *words[at:]]

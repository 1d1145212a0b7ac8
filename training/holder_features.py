"""What the tagger is told of each token beside the encoder's states: case, quotation marks, words of reporting."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from training.holder_words import ACTING, PRONOUNS, SAYING, quoted, sayings, words

FEATURES = (
    "begins a word",
    "capital",
    "capitals only",
    "quoted",
    "reports",
    "acts",
    "pronoun",
    "after a report",
    "before a report",
    "near the beginning",
    "near the end",
    "a quotation is in the sentence",
    "first words are quoted",
    "last words are quoted",
    "nothing reports",
)


def token_features(text: str, offsets: Sequence[tuple[int, int]]) -> NDArray[np.float32]:
    """One row a token, shape (tokens, FEATURES); tokens without characters get zeros.

    Args:
        text: the sentence.
        offsets: characters of each token.
    """
    spans, inside = words(text), quoted(text)
    reports = sayings(text, spans, inside)
    word_at = np.full(len(text) + 1, -1)
    for i, (start, end) in enumerate(spans):
        word_at[start:end] = i
    of_word = np.zeros((len(spans), len(FEATURES)), np.float32)
    since, until = _distances(len(spans), reports)
    for i, (start, end) in enumerate(spans):
        word = text[start:end]
        low = word.lower()
        of_word[i, 1:11] = (
            word[0].isupper(),
            len(word) > 1 and word.isupper(),
            inside[start],
            low in SAYING,
            low in ACTING,
            low in PRONOUNS,
            1 / since[i],
            1 / until[i],
            1 / (1 + i),
            1 / (len(spans) - i),
        )
    of_all = (inside.any(), inside[:3].any(), inside[-3:].any(), not reports)
    rows = np.zeros((len(offsets), len(FEATURES)), np.float32)
    for token, (start, end) in enumerate(offsets):
        if end <= start:
            continue
        at = word_at[start]
        if at >= 0:
            rows[token] = of_word[at]
            rows[token, 0] = start == spans[at][0]
        else:
            rows[token, 3] = inside[start]
        rows[token, 11:] = of_all
    return rows


def may_begin_and_end(text: str, offsets: Sequence[tuple[int, int]]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which tokens a name can begin with, and which it can end with: at the borders of words."""
    begin, end = np.zeros(len(offsets), bool), np.zeros(len(offsets), bool)
    for token, (first, last) in enumerate(offsets):
        if last > first and not text[first:last].isspace():
            begin[token] = first == 0 or not (text[first - 1].isalnum() and text[first].isalnum())
            end[token] = last == len(text) or not (text[last - 1].isalnum() and text[last].isalnum())
    return begin, end


def _distances(count: int, reports: Sequence[int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Words since the last report, and until the next; infinite where there is none, 1 next to it."""
    since, until = np.full(count, np.inf), np.full(count, np.inf)
    for report, following in pairwise([*reports, count]):
        since[report + 1 : following] = np.arange(1, following - report)
    for before, report in pairwise([-1, *reports]):
        until[before + 1 : report] = np.arange(report - before - 1, 0, -1)
    return since, until

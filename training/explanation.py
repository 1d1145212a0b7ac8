"""Which words carried a score: each is left out, and the score looked at again.

A word's contribution is the score of the text minus its score without the word (Zeiler & Fergus 2014, occlusion; Li,
Monroe & Jurafsky 2016, erasure), in points of the calibrated score that is answered. Two or three neighbours are left
out together as well: where that moves the score further than the words do by themselves, they are named as one phrase,
for each alone was covered for by the others. All of it is one pass of the encoder over a bounded number of texts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labels.taxonomy import Taxonomy
from training.answers import Answers
from training.model_folder import Model
from training.outcomes import Progress

MOST_PIECES = 64
"""Of a text; one of more words is taken in runs of neighbouring words, and no phrases are looked for."""

LONGEST_PHRASE = 3
"""In words."""

BEYOND = 0.1
"""By how much a phrase must move the score further than its words do one by one."""

LEAST = 0.05
"""A contribution that is named, at least: any word moves a score a little."""

MOST_NAMED = 8
"""Pieces that are named for a target, at most."""

_WORD = re.compile(r"\w+(?:['’\-]\w+)*")

Span = tuple[int, int]
"""Begin and end (exclusive) in the characters of a text."""


@dataclass(frozen=True)
class Carried:
    """A word or phrase with its part in a score.

    Attributes:
        start, end: `text[start:end]` is what was left out.
        contribution: score with it minus score without it, in [−2, 2].
    """

    start: int
    end: int
    contribution: float


@dataclass(frozen=True)
class Explanation:
    """What leaving out shows of one text.

    Attributes:
        words_in_piece: how many words were left out together, at least: 1 unless the text is long.
        pieces: what was left out, in the order of the text.
        runs: first and last piece (inclusive) of each try.
        contributions: shape (tries, targets): score of the text minus score without the run.
    """

    words_in_piece: int
    pieces: tuple[Span, ...]
    runs: tuple[tuple[int, int], ...]
    contributions: NDArray[np.float64]

    def carried(self, target: int, most: int = MOST_NAMED) -> list[Carried]:
        """What carried the score for a target (by number), strongest first; no two of them overlap."""
        moved = dict(zip(self.runs, self.contributions[:, target].tolist(), strict=True))
        taken: set[int] = set()
        named: list[Carried] = []
        beyond = {run: abs(by) - _apart(run, moved) for run, by in moved.items() if run[0] != run[1]}
        phrases = sorted((run for run, by in beyond.items() if by > BEYOND), key=lambda run: (-beyond[run], run))
        for first, last in [*phrases, *((n, n) for n in range(len(self.pieces)))]:
            by, here = moved[first, last], set(range(first, last + 1))
            if abs(by) >= LEAST and not here & taken:
                taken |= here
                named.append(Carried(self.pieces[first][0], self.pieces[last][1], by))
        return sorted(named, key=lambda each: (-abs(each.contribution), each.start))[:most]


def _apart(run: tuple[int, int], moved: dict[tuple[int, int], float]) -> float:
    """The most that the parts of a run move the score, each left out by itself."""
    first, last = run
    cuts = [_part((first, cut), moved) + _part((cut + 1, last), moved) for cut in range(first, last)]
    return max(cuts, default=0.0)


def _part(run: tuple[int, int], moved: dict[tuple[int, int], float]) -> float:
    return max(abs(moved[run]), _apart(run, moved))


def explain(model: Model, texts: Sequence[str], progress: Progress | None = None) -> list[Explanation]:
    """What carried the scores of texts, for all targets.

    A text costs up to 3 × 64 more readings of its own length; what the encoder does not read is not left out.
    """
    plans = [_plan(text, end) for text, end in zip(texts, _read_to(model, texts), strict=True)]
    tries = [
        [text, *(without(text, *_span(pieces, run)) for run in runs)]
        for text, (_, pieces, runs) in zip(texts, plans, strict=True)
    ]
    # What reads the same without one word or another is read once.
    unique = list(dict.fromkeys(each for given in tries for each in given))
    row = {text: n for n, text in enumerate(unique)}
    scores = scores_of(model.answers(unique, progress), model.taxonomy) if unique else np.empty((0, 0))
    return [
        Explanation(words, pieces, runs, scores[row[given[0]]] - scores[[row[each] for each in given[1:]]])
        for given, (words, pieces, runs) in zip(tries, plans, strict=True)
    ]


def scores_of(answers: Answers, taxonomy: Taxonomy) -> NDArray[np.float64]:
    """p(conciliatory pole) − p(other pole) of each text and target; shape (texts, targets)."""
    p = answers.probabilities
    poles = [(target.outcome(target.conciliatory), target.outcome(target.other)) for target in taxonomy]
    return np.stack([p[:, t, one] - p[:, t, other] for t, (one, other) in enumerate(poles)], axis=1)


def words_in(text: str, end: int | None = None) -> list[Span]:
    """The words of a text up to a place: letters and digits, with apostrophes and hyphens inside."""
    return [match.span() for match in _WORD.finditer(text, 0, len(text) if end is None else end)]


def without(text: str, start: int, end: int) -> str:
    """A text without a part, and without the blank that would stand there twice."""
    before, after = text[:start], text[end:]
    if start < end and after[:1].isspace() and (not before or before[-1].isspace()):
        after = after[1:]
    return before + after


def _read_to(model: Model, texts: Sequence[str]) -> list[int]:
    """Where the model stops to read each text."""
    encoder = model.estimator.encoder()
    if encoder is None:
        return [len(text) for text in texts]
    encodings = encoder.tokenize_with_offsets(texts)
    return [
        max(end for _, end in each.offsets) if each.overflowing else len(text)
        for text, each in zip(texts, encodings, strict=True)
    ]


def _plan(text: str, end: int) -> tuple[int, tuple[Span, ...], tuple[tuple[int, int], ...]]:
    """How many words go together, the pieces, and the runs of them to be left out."""
    words = words_in(text, end)
    together = max(1, -(-len(words) // MOST_PIECES))
    pieces = tuple(
        (words[first][0], words[min(first + together, len(words)) - 1][1]) for first in range(0, len(words), together)
    )
    longest = LONGEST_PHRASE if together == 1 else 1
    runs = [(first, first + more) for more in range(longest) for first in range(len(pieces) - more)]
    return together, pieces, tuple(run for run in runs if _unbroken(text, pieces, run))


def _unbroken(text: str, pieces: Sequence[Span], run: tuple[int, int]) -> bool:
    """Whether nothing but blanks stands between the pieces of a run: no phrase goes over a comma."""
    return all(text[pieces[n][1] : pieces[n + 1][0]].isspace() for n in range(*run))


def _span(pieces: Sequence[Span], run: tuple[int, int]) -> Span:
    return pieces[run[0]][0], pieces[run[1]][1]

"""Whether an explanation names what carries a score: the named words are taken out together, and as many others.

How far the score then moves toward 0 and beyond is the "comprehensiveness" of DeYoung et al. 2020 (ERASER), of scores
in place of probabilities. No label is needed: it is the model that is explained, right or wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labels.errors import StanceError
from training.explanation import Explanation, Span, explain, scores_of, without, words_in
from training.model_folder import Model
from training.outcomes import Progress
from training.resampling import Resampling

TAKES_A_SIDE = 0.3
"""Score from which on, on either side, there is something to explain."""

MOST_NAMED = 3
"""Words and phrases that are taken out: the strongest that pull to the side of the score."""

DRAWS = 5
"""Sets of random words that each set of named ones is compared with."""

_SLICE = 32


@dataclass(frozen=True)
class _Case:
    """A score to be taken apart: of which text, for which target, on which side, and words by what was chosen."""

    row: int
    target: int
    side: float
    chosen: Mapping[str, Sequence[Sequence[Span]]]


def faithfulness(
    model: Model,
    texts: Sequence[str],
    units: Sequence[str],
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """How much further a score moves without the words that carried it than without as many others.

    Args:
        model: whose scores are explained.
        texts: sentences.
        units: the group of each.
        seed: of the random words and of the resampling.
        progress: told how far it is.

    Returns:
        `sentences` (that take a side on some target) and `groups`; `nothing_named`, scores that no word was named for;
        and `overall` and, by target, in `targets`: `scores` (how many), `words` (mean number taken out), `named`,
        `random` and `longest`: by how much the score moved toward the other side without them; and `named_minus_random`
        and `named_minus_longest`. All with 95% intervals by resampling of groups.

    Raises:
        StanceError: no text takes a side.
    """
    scores = scores_of(model.answers(texts, progress), model.taxonomy)
    rows = np.flatnonzero((np.abs(scores) >= TAKES_A_SIDE).any(axis=1)).tolist()
    if not rows:
        raise StanceError("no sentence takes a side, so there is nothing to explain", hint="Give more sentences.")
    random = np.random.default_rng(seed)
    cases, nothing = [], 0
    for first in range(0, len(rows), _SLICE):
        part = rows[first : first + _SLICE]
        for row, explanation in zip(part, explain(model, [texts[row] for row in part]), strict=True):
            for t in np.flatnonzero(np.abs(scores[row]) >= TAKES_A_SIDE).tolist():
                case = _case(texts[row], explanation, row, t, float(np.sign(scores[row, t])), random)
                nothing += case is None
                cases += [case] if case else []
        if progress:
            progress("explaining", first + len(part), len(rows))
    if not cases:
        raise StanceError("no word carries any of the scores", hint="Give more sentences.")
    moved, words = _moved(model, texts, scores, cases, progress)
    resampling = Resampling.of([units[case.row] for case in cases], seed=seed)
    target = np.array([case.target for case in cases], np.int64)
    return {
        "sentences": len(rows),
        "groups": resampling.groups,
        "nothing_named": nothing,
        "overall": _figures(moved, words, resampling, np.ones(len(cases), np.bool_)),
        "targets": {
            known.id: _figures(moved, words, resampling, target == t)
            for t, known in enumerate(model.taxonomy)
            if (target == t).any()
        },
    }


def _case(
    text: str,
    explanation: Explanation,
    row: int,
    target: int,
    side: float,
    random: np.random.Generator,
) -> _Case | None:
    carried = [each for each in explanation.carried(target) if each.contribution * side > 0][:MOST_NAMED]
    spans = [(each.start, each.end) for each in carried]
    words = words_in(text)
    named = [word for word in words if any(start <= word[0] and word[1] <= end for start, end in spans)]
    if not named or len(named) == len(words):
        return None
    drawn = [sorted(random.choice(len(words), len(named), replace=False).tolist()) for _ in range(DRAWS)]
    chosen: dict[str, list[list[Span]]] = {
        "named": [named],
        "random": [[words[n] for n in each] for each in drawn],
        "longest": [_longest(words, len(named))],
    }
    return _Case(row, target, side, chosen)


def _longest(words: Sequence[Span], count: int) -> list[Span]:
    return sorted(sorted(words, key=lambda word: (word[0] - word[1], word[0]))[:count])


def without_all(text: str, spans: Sequence[Span]) -> str:
    """A text without several parts, which are in order and do not overlap."""
    for start, end in reversed(spans):
        text = without(text, start, end)
    return text


def _moved(
    model: Model, texts: Sequence[str], scores: NDArray[np.float64], cases: Sequence[_Case], progress: Progress | None
) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.float64]]:
    """By what was chosen: how far each case's score moved, shape (cases,); and how many words were taken out."""
    left = [
        {by: [without_all(texts[case.row], spans) for spans in sets] for by, sets in case.chosen.items()}
        for case in cases
    ]
    unique = list(dict.fromkeys(text for each in left for sets in each.values() for text in sets))
    place = {text: n for n, text in enumerate(unique)}
    then = scores_of(model.answers(unique, progress), model.taxonomy)

    def moved(case: _Case, rest: Sequence[str]) -> float:
        after = np.mean([then[place[text], case.target] for text in rest])
        return float(case.side * (scores[case.row, case.target] - after))

    found = {by: np.array([moved(case, each[by]) for case, each in zip(cases, left, strict=True)]) for by in left[0]}
    return found, np.array([len(case.chosen["named"][0]) for case in cases], np.float64)


def _figures(
    moved: Mapping[str, NDArray[np.float64]],
    words: NDArray[np.float64],
    resampling: Resampling,
    chosen: NDArray[np.bool_],
) -> dict[str, Any]:
    among, ones = resampling.rows(chosen), np.ones(int(chosen.sum()))
    of = {by: values[chosen] for by, values in moved.items()}
    return {
        "scores": int(chosen.sum()),
        "words": round(float(words[chosen].mean()), 2),
        **{by: among.ratio(values, ones) for by, values in of.items()},
        **{f"named_minus_{by}": among.ratio(of["named"] - of[by], ones) for by in of if by != "named"},
    }

"""How well holders are found: kinds, spans, and what the probabilities are worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.holder import Holder
from training.holder_labels import KINDS, Noted, NotedSentence
from training.holder_rules import by_rules, nearest_name
from training.holder_words import words
from training.resampling import Figure, Resampling, figure

_BINS = 10


def as_noted(holder: Holder) -> Noted:
    """A tagger's answer in the form of a label."""
    if holder.start is None or holder.end is None:
        return Noted(holder.kind)
    return Noted(holder.kind, ((holder.start, holder.end),))


def is_right(given: Noted, gold: Noted) -> bool:
    """The same kind and, where somebody is named, the same words somewhere in the sentence."""
    return given.kind == gold.kind and (gold.kind != "named" or bool({*given.spans} & {*gold.spans}))


def figures(texts: Sequence[str], given: Sequence[Noted], gold: Sequence[Noted], of: Resampling) -> dict[str, Any]:
    """Figures of answers against labels, with 95% intervals from groups drawn with replacement.

    Returns:
        `kind_accuracy`, `kind_macro_f1` and `kind_f1` by kind; `exact_f1` (the same words are named) and `overlap_f1`
        (of words, counted over all sentences), where a name that is not asked for or not found counts against both;
        `exact_where_both_name`; `all_right`.
    """
    table = np.zeros((len(gold), len(KINDS), len(KINDS)))
    for i, (one, other) in enumerate(zip(given, gold, strict=True)):
        table[i, KINDS.index(other.kind), KINDS.index(one.kind)] = 1
    counts = np.array([_counts(*row) for row in zip(texts, given, gold, strict=True)], float).reshape(-1, 7)
    right = np.array([is_right(*pair) for pair in zip(given, gold, strict=True)], float)
    ones = np.ones(len(gold))
    by_kind = _derived(table, of, _f1_of)
    return {
        "sentences": len(gold),
        "kind_accuracy": of.ratio(np.trace(table, axis1=1, axis2=2), ones),
        "kind_macro_f1": _derived(table, of, lambda t: np.nanmean(_f1_of(t), axis=-1)[..., None])[0],
        "kind_f1": dict(zip(KINDS, by_kind, strict=True)),
        "exact_f1": of.ratio(2 * counts[:, 2], counts[:, 0] + counts[:, 1]),
        "overlap_f1": of.ratio(2 * counts[:, 3], counts[:, 4] + counts[:, 5]),
        "exact_where_both_name": of.ratio(counts[:, 2], counts[:, 6]),
        "all_right": of.ratio(right, ones),
    }


def _counts(text: str, given: Noted, gold: Noted) -> tuple[int, ...]:
    """Given names, labelled names, the same; words in both, in the given, in the labelled; both name somebody."""
    one, other = given.kind == "named", gold.kind == "named"
    spans = words(text)

    def within(span: tuple[int, int]) -> set[tuple[int, int]]:
        return {word for word in spans if word[0] < span[1] and span[0] < word[1]}

    pairs = [(within(a), within(b)) for a in given.spans for b in gold.spans]
    common = max((len(a & b) for a, b in pairs), default=0)

    def length(holder: Noted) -> int:
        # A name that stands nowhere as it was noted counts as one word.
        if holder.kind != "named":
            return 0
        return max(1, min((len(within(span)) for span in holder.spans), default=1))

    return one, other, one and other and is_right(given, gold), common, length(given), length(gold), one and other


def _f1_of(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """F1 by kind of tables of shape (…, labelled, given)."""
    hit = np.diagonal(table, axis1=-2, axis2=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(2 * hit / (table.sum(axis=-1) + table.sum(axis=-2)))


def _derived(
    table: NDArray[np.float64], of: Resampling, derive: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> list[Figure]:
    point, drawn = of.sums(table)
    values, samples = derive(point), derive(drawn)
    if len(set(of.group.tolist())) < 2:
        samples = np.full_like(samples, np.nan)
    return [figure(value, samples[:, k]) for k, value in enumerate(values)]


def compared(sentences: Sequence[NotedSentence], holders: Sequence[Holder]) -> dict[str, Any]:
    """Figures of a tagger beside those of rules, of the floor and of two passes of labelling.

    Args:
        sentences: with their labels.
        holders: what the tagger says of each; it must not have been trained on their groups.

    Returns:
        `all`: tagger, rules and floor on all sentences, and the tagger's `probability`; `twice`: the same on the
        sentences that were labelled in two passes, and `passes`, the first pass against the second.
    """
    texts = [sentence.text for sentence in sentences]
    answers = {
        "tagger": [as_noted(holder) for holder in holders],
        "rules": [as_noted(by_rules(text)) for text in texts],
        "floor": [as_noted(nearest_name(text)) for text in texts],
    }
    twice = [i for i, sentence in enumerate(sentences) if sentence.passes]
    given: dict[str, Any] = {}
    for name, rows in (("all", list(range(len(sentences)))), ("twice", twice)):
        if not rows:
            continue
        here = [sentences[i] for i in rows]
        of = Resampling.of([sentence.unit for sentence in here])
        gold, read = [sentence.holder for sentence in here], [sentence.text for sentence in here]
        given[name] = {
            "groups": of.groups,
            **{who: figures(read, [said[i] for i in rows], gold, of) for who, said in answers.items()},
        }
        if name == "twice":
            first, second = ([sentence.passes[k] for sentence in here] for k in (0, 1))
            given[name]["passes"] = figures(read, first, second, of)
    right = [is_right(one, s.holder) for one, s in zip(answers["tagger"], sentences, strict=True)]
    given["all"]["probability"] = how_calibrated([h.probability for h in holders], right)
    return given


def how_calibrated(probabilities: Sequence[float], right: Sequence[bool]) -> dict[str, Any]:
    """Brier score, expected calibration error (ten bins of equal counts), and the bins: mean, share right, count."""
    stated, seen = np.asarray(probabilities, float), np.asarray(right, float)
    order = np.argsort(stated, kind="stable")
    bins = [rows for rows in np.array_split(order, _BINS) if len(rows)]
    means = [(float(stated[rows].mean()), float(seen[rows].mean()), len(rows)) for rows in bins]
    return {
        "brier": round(float(np.square(stated - seen).mean()), 4),
        "calibration_error": round(sum(n * abs(p - q) for p, q, n in means) / len(stated), 4),
        "bins": [[round(p, 4), round(q, 4), n] for p, q, n in means],
    }

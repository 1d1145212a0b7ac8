"""What a sentence says of a proposition: the outcomes, and the pair that a network reads."""

from __future__ import annotations

import re

from labels.taxonomy import Target

Pair = tuple[str, str]
"""Proposition and sentence, in this order: where both are too long it is the sentence whose end is not read."""

RELATION = Target(
    id="relation",
    title="Relation",
    proposition="The sentence is in favor of the proposition.",
    classes=("favor", "neutral", "against"),
    conciliatory="favor",
    other="against",
)
"""What a pair is read for, as if it were a target; "unrelated" is the first outcome as it is of all."""

_SIDES = (RELATION.outcome(RELATION.conciliatory), RELATION.outcome(RELATION.other))


_HALF_A_PAIR = re.compile("[\ud800-\udfff]")


def swapped(outcome: int) -> int:
    """The outcome for the opposite proposition."""
    return _SIDES[1 - _SIDES.index(outcome)] if outcome in _SIDES else outcome


def pair_of(sentence: str, proposition: str) -> Pair:
    """What is read; whether a proposition ends with a full stop makes no difference."""
    words = " ".join(proposition.split())
    # A lone half of a surrogate pair, which no tokenizer takes, gives way to a mark.
    words, sentence = (_HALF_A_PAIR.sub("\ufffd", text) for text in (words, sentence))
    return words.rstrip(".").rstrip() or words, sentence

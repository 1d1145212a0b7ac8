"""Holders by rules alone: the floor `nearest_name`, and a fuller set that the trained tagger is held against."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training.holder import Holder
from training.holder_words import ACTING, PRONOUNS, SAYING, quoted, sayings, word_set, words

Span = tuple[int, int]

_LONGEST_NAME = 7
_BEFORE_A_VERB = word_set(
    "has have had is are was were will would also then later earlier further again still never not n't recently "
    "repeatedly already publicly once both did does do could may might reportedly now again often"
)
_DETERMINERS = word_set("the a an his her their its our my this that some many most several two one other")
_STOPS = word_set(
    "and or but as while when if because that which who whom whose after before since although though in on at by to "
    "from with for about into over against of than what how why where there so not be been being has have had is are "
    "was were will would could should may might must can did does do"
)
_FIRST_WORDS = word_set(
    "the a an in on at but and for as if when while after before since so then yet however this that these those its "
    "his her their our my it he she they we i there what who how why according last earlier later meanwhile"
)
_TITLES = word_set(
    "secretary state minister senator sen rep representative gov governor general gen adm admiral defense defence "
    "foreign prime chancellor director adviser advisor spokesman spokeswoman ambassador national security of leader "
    "chairman house speaker us u.s"
)
_OPINIONS = word_set(
    "should must will would can cannot never only need needs right wrong better worse threat threatens danger "
    "dangerous peace war hostile aggression provocation sanctions nuclear deal talks diplomacy concession concessions "
    "pressure regime allies deterrence missile missiles military weapons troops drills"
)


def nearest_name(text: str) -> Holder:
    """The floor: the name nearest to the first word of reporting, or the first name where nothing reports.

    A name is a sequence of capitalised words, without what only begins the sentence. Words inside quotation marks are
    neither names nor reports. Without any name it is the author.
    """
    spans, inside = words(text), quoted(text)
    names = _names(text, spans, inside)
    if not names:
        return Holder("author", None, None, 0.5)
    reports = sayings(text, spans, inside)
    verb = reports[0] if reports else 0
    nearest = min(names, key=lambda name: min(abs(name[0] - verb), abs(name[1] - 1 - verb)))
    return _named(spans, nearest)


def by_rules(text: str) -> Holder:
    """Who is said to speak: the subject of a report, of an act, or whoever "according to" names.

    Where nobody is, it is the author if the sentence has a word of opinion or of disputes, and else nobody.
    """
    spans, inside = words(text), quoted(text)
    low = [text[start:end].lower() for start, end in spans]
    for i in range(len(spans) - 2):
        if low[i] == "according" and low[i + 1] == "to" and not inside[spans[i][0]]:
            return _of_run(text, spans, low, _forward(text, spans, low, i + 2))
    for verb in sayings(text, spans, inside):
        # After a quotation, what says may stand before who does.
        before, after = _backward(text, spans, low, verb), _forward(text, spans, low, verb + 1)
        if before and not inside[spans[before[0]][0]]:
            return _of_run(text, spans, low, before)
        if after and spans[verb][0] > 1 and inside[max(0, spans[verb][0] - 3)]:
            return _of_run(text, spans, low, after)
    for i, word in enumerate(low):
        # A stem may be a noun too ("the test"), unless something before it says otherwise.
        is_verb = word in ACTING and (word.endswith("ed") or (i > 0 and low[i - 1] in _BEFORE_A_VERB))
        if is_verb and not inside[spans[i][0]] and (subject := _backward(text, spans, low, i)):
            return _of_run(text, spans, low, subject)
    if low and low[0] in ("we", "i") and not inside.any():
        return _named(spans, (0, 1))
    return Holder("author" if _OPINIONS.intersection(low) or inside.any() else "none", None, None, 0.5)


def _named(spans: Sequence[Span], words_of: Span) -> Holder:
    return Holder("named", spans[words_of[0]][0], spans[words_of[1] - 1][1], 0.5)


def _names(text: str, spans: Sequence[Span], inside: NDArray[np.bool_]) -> list[Span]:
    """Sequences of capitalised words outside quotation marks, as numbers of the first word and after the last."""
    found: list[Span] = []
    for i, (start, end) in enumerate(spans):
        word = text[start:end]
        if not word[0].isupper() or inside[start] or (i == 0 and word.lower() in _FIRST_WORDS) or word == "I":
            continue
        if found and found[-1][1] == i and _together(text, spans, i):
            found[-1] = (found[-1][0], i + 1)
        else:
            found.append((i, i + 1))
    return found


def _together(text: str, spans: Sequence[Span], i: int) -> bool:
    """Whether nothing but space, or the full stop of a short form, stands between a word and the one before it."""
    return re.fullmatch(r"\.?\s+", text[spans[i - 1][1] : spans[i][0]]) is not None


def _backward(text: str, spans: Sequence[Span], low: Sequence[str], verb: int) -> Span | None:
    """The words before a verb that can be its subject."""
    last = verb - 1
    while last >= 0 and (low[last] in _BEFORE_A_VERB or low[last].endswith("ly")):
        last -= 1
    if last < 0:
        return None
    if "," in text[spans[last][1] : spans[last + 1][0]]:
        # "X, the minister of Y, said": who it is stands before the first of the two commas.
        earlier = [i for i in range(last) if "," in text[spans[i][1] : spans[i + 1][0]]]
        last = earlier[-1] if earlier else last
    first = last + 1
    while first > 0 and last - first + 1 < _LONGEST_NAME:
        word = low[first - 1]
        if word in _STOPS or word in SAYING or (first <= last and not _together(text, spans, first)):
            break
        first -= 1
        if word in _DETERMINERS or word in PRONOUNS:
            break
    return (first, last + 1) if first <= last and _says_who(low[first : last + 1]) else None


def _forward(text: str, spans: Sequence[Span], low: Sequence[str], first: int) -> Span | None:
    """The words from one on that can be a name."""
    after = first
    while after < len(spans) and after - first < _LONGEST_NAME:
        if low[after] in _STOPS or low[after] in SAYING or (after > first and not _together(text, spans, after)):
            break
        after += 1
        if low[after - 1] in PRONOUNS and after - first == 1:
            break
    return (first, after) if _says_who(low[first:after]) else None


def _says_who(run: Sequence[str]) -> bool:
    return bool(run) and not (len(run) == 1 and run[0] in _DETERMINERS - PRONOUNS)


def _of_run(text: str, spans: Sequence[Span], low: Sequence[str], run: Span | None) -> Holder:
    """The holder that some words name: without titles before a person's name, and `several` where two are joined."""
    if run is None:
        return Holder("author", None, None, 0.5)
    first, after = run
    capital = [text[spans[i][0]].isupper() for i in range(first, after)]
    if first > 1 and low[first - 1] == "and" and text[spans[first - 2][0]].isupper() and all(capital):
        return Holder("several", None, None, 0.5)
    while after - first > 1 and low[first] in _TITLES and text[spans[first + 1][0]].isupper():
        first += 1
    return _named(spans, (first, after))

"""What a sentence shows of who speaks: words of reporting, quotation marks, names."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_SAYING = """
    accuse acknowledge add admit advise advocate affirm agree allege announce answer argue ask assert assess assure
    believe blame boast brand brief call caution charge claim comment complain concede conclude condemn confirm confess
    consider contend counter criticise criticize cry declare decry demand denounce deny deplore describe dismiss
    elaborate emphasise emphasize endorse estimate exclaim expect explain express fear find forecast hail hint hope
    indicate inform insist joke judge lament maintain mention muse note object observe offer oppose pledge point
    predict praise proclaim promise propose protest question quip quote reaffirm reassure recall recommend reiterate
    reject remark remind repeat reply report respond reveal say seek signal slam speculate state stress suggest support
    suspect swear tell testify think threaten tweet underline underscore urge voice vow want warn welcome wish wonder
    worry write
"""
_IRREGULAR = """
    said says tell tells told saying telling thought thinks thinking found finds wrote writes written writing swore
    sworn sought forecast forecasts meant means
"""
_ACTING = """
    abandon agree approve ban block cancel carry close conduct continue cut decide deploy end fire freeze halt hold
    impose increase launch lift move order plan postpone prepare pull refuse resume scrap send sanction sign stage
    strike suspend test threaten try vote withdraw
"""
_PRONOUNS = "he she they we i it who his her their our my its others some many"


def word_set(listed: str) -> frozenset[str]:
    """Words that are listed, with commas or without."""
    return frozenset(listed.replace(",", " ").split())


def _forms(stems: str) -> frozenset[str]:
    """Stems with their endings: third person, past, participle."""
    found: set[str] = set()
    for stem in stems.split():
        ending = stem.removesuffix("e")
        found |= {stem, stem + "s", ending + "ed", ending + "ing"}
        if stem.endswith(("sh", "ch", "ss")):
            found.add(stem + "es")
        if stem.endswith("y") and stem[-2] not in "aeou":
            found |= {stem[:-1] + "ied", stem[:-1] + "ies"}
        if re.search(r"[^aeiou][aeiou][bdgmnpt]$", stem):
            found |= {stem + stem[-1] + "ed", stem + stem[-1] + "ing"}
    return frozenset(found)


SAYING = _forms(_SAYING) | word_set(_IRREGULAR)
"""Words that report what somebody says or thinks."""
ACTING = _forms(_ACTING) | word_set("held cut sent began begun put withdrew struck froze took takes made makes")
"""Words that report what somebody does about a dispute."""
PRONOUNS = word_set(_PRONOUNS)

_WORD = re.compile(r"\w+(?:[’'.&-]\w+)*")
_OPENING, _CLOSING, _EITHER = "“„«‘", "”»", '"'


def words(text: str) -> list[tuple[int, int]]:
    """Where the words stand."""
    return [match.span() for match in _WORD.finditer(text)]


def quoted(text: str) -> NDArray[np.bool_]:
    """Which characters stand inside quotation marks; shape (characters,).

    A mark that is closed and was never opened quotes what stands before it, one that is never closed what follows:
    sentences are cut out of longer quotations.
    """
    marks = np.zeros(len(text) + 1, np.int64)
    opened: list[int] = []
    for place, character in enumerate(text):
        if character in _CLOSING or (character in _EITHER and opened):
            begin = opened.pop() if opened else 0
            marks[begin] += 1
            marks[place + 1] -= 1
        elif character in _EITHER and _closes(text, place):
            marks[0] += 1
            marks[place + 1] -= 1
        elif character in _EITHER or (character in _OPENING and _opens(text, place)):
            opened.append(place)
        elif character == "’" and opened and text[opened[-1]] == "‘" and _closes(text, place):
            begin = opened.pop()
            marks[begin] += 1
            marks[place + 1] -= 1
    for begin in opened:
        marks[begin] += 1
        marks[len(text)] -= 1
    return np.asarray(np.cumsum(marks)[: len(text)] > 0)


def _opens(text: str, place: int) -> bool:
    return place + 1 < len(text) and not text[place + 1].isspace()


def _closes(text: str, place: int) -> bool:
    """Whether a mark that looks the same at both ends stands at an end: after a word or its full stop."""
    before = text[place - 1 : place]
    after = text[place + 1 : place + 2]
    return bool(before) and not before.isspace() and not after.isalnum()


def sayings(text: str, spans: Sequence[tuple[int, int]], inside: NDArray[np.bool_]) -> list[int]:
    """Numbers of the words that report, outside quotation marks."""
    return [i for i, (start, end) in enumerate(spans) if text[start:end].lower() in SAYING and not inside[start]]

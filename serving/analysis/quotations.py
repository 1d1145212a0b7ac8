"""Where a document quotes somebody word for word, by its quotation marks.

Real texts leave marks open, nest them and carry one quotation over paragraphs, each of which then begins with a mark of
its own. Nothing here raises: a mark that is never closed ends with its paragraph, so that it cannot swallow the rest.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

_PARAGRAPH = re.compile(r"[^\n\r\u2028\u2029]*\S[^\n\r\u2028\u2029]*")
_PAIRS = {"“": "”", "„": "“”", "«": "»", "»": "«", "「": "」", "『": "』", "``": "''", '"': '"', "‘": "’", "'": "'"}
"""Opening mark → what may close it. Those that also mean something else are looked at more closely."""

_SINGLE = ("'", "‘")
_AMBIGUOUS = (*_SINGLE, "»")
"""Apostrophes, and the closing mark of others: what they open must be closed."""

_REACH = 2000
"""Characters within which that must happen."""

_MARK = re.compile(r"``|''|[“”„«»「」『』\"‘’']")
_ELISION = re.compile(r"['’](?:\d0s|tis\b|twas\b|em\b|cause\b|til\b|n['’])", re.IGNORECASE)
_BEFORE_CLOSING = re.compile(r"[.,!?…;:%)\]”\"]")


@dataclass(frozen=True)
class Quotation:
    """An outermost quotation within one paragraph; what is quoted inside it is part of it.

    Attributes:
        start: of the opening mark, in characters of the document.
        end: after the closing mark, or of the paragraph where there is none.
        inner_start: of what is quoted, without the mark.
        inner_end: of what is quoted, without the mark.
        continues: it carries on that of the paragraph before, which was left open for it.
    """

    start: int
    end: int
    inner_start: int
    inner_end: int
    continues: bool = False

    @property
    def closed(self) -> bool:
        return self.inner_end < self.end


def find_quotations(text: str) -> list[Quotation]:
    """The quotations of a text in their order; they do not overlap."""
    found: list[Quotation] = []
    open_before = False
    for paragraph in _PARAGRAPH.finditer(text):
        here = list(_in_paragraph(text, *paragraph.span()))
        begins_with_one = bool(here) and not text[paragraph.start() : here[0].start].strip()
        if open_before and begins_with_one:
            here[0] = replace(here[0], continues=True)
        found += here
        open_before = bool(here) and not here[-1].closed
    return found


def _in_paragraph(text: str, start: int, end: int) -> Iterator[Quotation]:
    place = start
    # Up to where nothing closes a mark of this kind, so that no stretch is looked through twice.
    searched: dict[str, int] = {}
    while (opening := _next_opening(text, place, end)) is not None:
        kind, inner = opening[0], opening.end()
        ambiguous = kind in _AMBIGUOUS
        last = min(end, inner + _REACH) if ambiguous else end
        closing = _closing(text, kind, max(inner + (kind in _SINGLE), searched.get(kind, 0)), last)
        if closing is None and ambiguous:
            searched[kind] = last
            # An apostrophe, not a quotation.
            place = inner
            continue
        yield Quotation(opening.start(), closing.end() if closing else end, inner, closing.start() if closing else end)
        if closing is None:
            return
        place = closing.end()


def _next_opening(text: str, start: int, end: int) -> re.Match[str] | None:
    for mark in _MARK.finditer(text, start, end):
        if _may_open(text, mark):
            return mark
    return None


def _may_open(text: str, mark: re.Match[str]) -> bool:
    kind, place = mark[0], mark.start()
    before, after = text[place - 1 : place], text[mark.end() : mark.end() + 1]
    if kind not in _PAIRS or not after or after.isspace():
        return False
    if kind in _SINGLE:
        return not before.isalnum() and (after.isalnum() or after in '…[“"') and not _ELISION.match(text, place)
    if kind == '"':
        # Inches and a closing mark that lost its opening stand right after something.
        return not before or not (before.isalnum() or before in ".,!?;")
    return True


def _closing(text: str, opened: str, start: int, end: int) -> re.Match[str] | None:
    """The mark that closes what `opened`, over whatever is nested inside."""
    depth = 0
    last: re.Match[str] | None = None
    for mark in _MARK.finditer(text, start, end):
        kind = mark[0]
        if opened in _SINGLE:
            if kind not in _PAIRS[opened] or not _may_close_single(text, mark):
                continue
            if _BEFORE_CLOSING.match(text, mark.start() - 1):
                return mark
            last = last or mark
        elif kind == opened and (opened != '"' or not _may_close_double(text, mark)):
            depth += 1
        elif kind in _PAIRS[opened]:
            if not depth:
                return mark
            depth -= 1
    # Nested ones were left open: the last mark that could close does.
    return last if opened in _SINGLE else _last_closing(text, opened, start, end)


def _last_closing(text: str, opened: str, start: int, end: int) -> re.Match[str] | None:
    marks = [mark for mark in _MARK.finditer(text, start, end) if mark[0] in _PAIRS[opened]]
    return marks[-1] if marks else None


def _may_close_single(text: str, mark: re.Match[str]) -> bool:
    before, after = text[mark.start() - 1 : mark.start()], text[mark.end() : mark.end() + 1]
    return not before.isspace() and not after.isalnum()


def _may_close_double(text: str, mark: re.Match[str]) -> bool:
    before, after = text[mark.start() - 1 : mark.start()], text[mark.end() : mark.end() + 1]
    # With space on its left and none on its right it opens something nested.
    return not (before.isspace() and after and not after.isspace())


def overlapping(start: int, end: int, quotations: Sequence[Quotation]) -> Sequence[Quotation]:
    """Those of the quotations that reach into the stretch between two places."""
    first = bisect_right(quotations, start, key=lambda quotation: quotation.end)
    return quotations[first : bisect_left(quotations, end, lo=first, key=lambda quotation: quotation.start)]


def quoted_share(start: int, end: int, text: str, quotations: Sequence[Quotation]) -> float:
    """Which part of the letters and digits between two places stands in quotations, 0 to 1."""
    total = sum(c.isalnum() for c in text[start:end])
    inside = sum(
        c.isalnum()
        for q in overlapping(start, end, quotations)
        for c in text[max(start, q.inner_start) : max(start, min(end, q.inner_end))]
    )
    return inside / total if total else 0.0


def masked(text: str, quotations: Sequence[Quotation]) -> str:
    """The text with all that is quoted blotted out, mark and all, character by character, so that places stay."""
    pieces: list[str] = []
    place = 0
    for quotation in quotations:
        pieces += [text[place : quotation.start], BLOT * (quotation.end - quotation.start)]
        place = quotation.end
    return "".join([*pieces, text[place:]])


BLOT = "\x1a"
"""Stands for each character that `masked` hides; no text has it where people write."""

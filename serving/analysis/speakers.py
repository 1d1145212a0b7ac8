"""Who speaks each quotation and each sentence of a document, by rules: what is there without any tagger.

Direct ("…," X said; X said: "…"; "…," said X, "…"), indirect (X said that …; according to X, …) and mixed quotation.
A quotation without a source beside it belongs to whoever spoke last in its paragraph, and a paragraph that is all
quotation to whoever spoke before it, as newspapers have it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from labels.splitting import sentence_spans
from serving.analysis.attributions import Attribution, SourceKind, attributions
from serving.analysis.quotations import Quotation, find_quotations, masked, overlapping, quoted_share

Span = tuple[int, int]

_MOSTLY = 0.5
"""Share of a sentence in quotation marks from which it is the quotation's."""

_WHOLLY = 0.95
"""Share from which nothing else stands in it."""

_PHRASE = 4
"""Words below which marks rather set off a term than quote anybody."""


@dataclass(frozen=True)
class Source:
    """Whose words a sentence holds.

    Attributes:
        kind: speaker of words, or subject of a demand or an act.
        start: of the name in the document; None where somebody is quoted who is not named.
        end: of the name, exclusive.
        quoted: the sentence is mostly a quotation.
    """

    kind: SourceKind
    start: int | None
    end: int | None
    quoted: bool


@dataclass(frozen=True)
class Reading:
    """A document taken apart.

    Attributes:
        text: the document.
        sentences: start and end of each sentence, in order.
        quotations: in order.
    """

    text: str
    sentences: tuple[Span, ...]
    quotations: tuple[Quotation, ...]

    @classmethod
    def of(cls, text: str) -> Reading:
        return cls(text, tuple(sentence_spans(text)), tuple(find_quotations(text)))

    @cached_property
    def named(self) -> tuple[tuple[Attribution, ...], ...]:
        """What each sentence names as a source."""
        hidden = masked(self.text, self.quotations)
        return tuple(tuple(attributions(hidden, start, end)) for start, end in self.sentences)

    @cached_property
    def starts(self) -> list[int]:
        return [start for start, _ in self.sentences]

    def sentences_of(self, quotation: Quotation) -> range:
        """The sentences that a quotation lies in, by number."""
        first = max(0, bisect_right(self.starts, quotation.start) - 1)
        return range(first, bisect_left(self.starts, quotation.end, lo=first))

    def one_paragraph(self, one: int, other: int) -> bool:
        """Whether two places stand in the same line."""
        return not set("\n\r") & set(self.text[min(one, other) : max(one, other)])

    def share(self, sentence: int) -> float:
        """How much of a sentence is quoted."""
        return quoted_share(*self.sentences[sentence], self.text, self.quotations)


def speakers(reading: Reading) -> list[Attribution | None]:
    """Who speaks each quotation; None where nothing says it."""
    found: list[Attribution | None] = []
    for number, quotation in enumerate(reading.quotations):
        inside = reading.sentences_of(quotation)
        source = _beside(reading, quotation, inside) or _leading_in(reading, inside)
        if source is None and number:
            last, before = reading.quotations[number - 1], found[-1]
            carried = quotation.continues or reading.one_paragraph(last.end, quotation.start)
            if before is not None and (carried or _follows(reading, last, inside)):
                source = before
        found.append(source or _after_it(reading, quotation, inside))
    return found


def _beside(reading: Reading, quotation: Quotation, inside: range) -> Attribution | None:
    """The source in the quotation's own sentences: right behind it, else before it, else further behind."""
    named = [source for sentence in inside for source in reading.named[sentence] if source.kind == "speaker"]
    named = named or [source for sentence in inside for source in reading.named[sentence]]
    behind = [source for source in named if source.cue_start >= quotation.end]
    before = [source for source in named if source.cue_start < quotation.start]
    if behind:
        between = reading.text[quotation.end : min(behind[0].start, behind[0].cue_start)]
        if not between.strip(" ,.—–-") or not before:
            return behind[0]
    return before[-1] if before else None


def _leading_in(reading: Reading, inside: range) -> Attribution | None:
    """The source of a sentence before that ends in a colon."""
    before = inside.start - 1
    if before < 0 or not reading.text[slice(*reading.sentences[before])].endswith(":"):
        return None
    named = reading.named[before]
    return next((source for source in named if source.kind == "speaker"), named[0] if named else None)


def _follows(reading: Reading, last: Quotation, inside: range) -> bool:
    """Whether a quotation is all of its sentence, in the next paragraph after one that quotes."""
    first = inside.start
    if not inside or reading.share(first) < _WHOLLY:
        return False
    spoken = reading.sentences_of(last)
    return bool(spoken) and first - spoken[-1] == 1


def _after_it(reading: Reading, quotation: Quotation, inside: range) -> Attribution | None:
    """The source that begins the next sentence of the paragraph, where that quotes nobody itself."""
    after = inside.stop
    if after >= len(reading.sentences) or not inside or reading.share(inside[-1]) < _WHOLLY:
        return None
    start, end = reading.sentences[after]
    # A splitter takes the mark in '"Never!" she said' for the end of a sentence.
    goes_on = reading.text[start].islower() or not overlapping(start, end, reading.quotations)
    if not reading.one_paragraph(quotation.end, start) or not goes_on:
        return None
    named = reading.named[after]
    begins = bool(named) and min(named[0].start, named[0].cue_start) == start
    return named[0] if begins and named[0].kind == "speaker" else None


def sources(reading: Reading) -> list[Source | None]:
    """Whose words each sentence holds; None where it names and quotes nobody, so that it speaks for itself."""
    spoken = speakers(reading)
    by_start = [quotation.start for quotation in reading.quotations]
    found: list[Source | None] = []
    for number, (start, end) in enumerate(reading.sentences):
        inside = overlapping(start, end, reading.quotations)
        quoted = bool(inside) and reading.share(number) >= _MOSTLY
        own = _main(reading.named[number])
        if own is not None and (own.kind == "speaker" or not quoted):
            found.append(Source(own.kind, own.start, own.end, quoted))
        elif quoted and (reading.share(number) >= _WHOLLY or _says_something(reading, inside)):
            longest = max(inside, key=lambda quotation: quotation.end - quotation.start)
            source = spoken[bisect_left(by_start, longest.start)]
            found.append(_quoted(source))
        else:
            found.append(None)
    return found


def _quoted(source: Attribution | None) -> Source:
    return Source("speaker", source.start, source.end, True) if source else Source("speaker", None, None, True)


def _main(named: Sequence[Attribution]) -> Attribution | None:
    """Who reports the whole sentence: the first that speaks, else the first that acts."""
    return next((source for source in named if source.kind == "speaker"), named[0] if named else None)


def _says_something(reading: Reading, inside: Sequence[Quotation]) -> bool:
    return any(len(reading.text[q.inner_start : q.inner_end].split()) >= _PHRASE for q in inside)

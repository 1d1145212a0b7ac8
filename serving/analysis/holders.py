"""Whose position each sentence of a document voices: what its quotations say, beside what a tagger says of it alone.

A tagger reads a sentence without its neighbours, as the labels were made. So where a sentence is mostly a quotation,
whoever is quoted holds it; elsewhere the tagger decides, if there is one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from serving.analysis.aliases import Aliases, Party
from serving.analysis.coreference import FIRST_PERSON, Named, Resolver
from serving.analysis.quotations import overlapping
from serving.analysis.speakers import Reading, Source, sources
from serving.analysis.totals import Voice
from training.holder import Holder

VoicedBy = Literal["speaker", "subject", "author", "several"]


@dataclass(frozen=True)
class Voiced:
    """Whose position a sentence voices.

    Attributes:
        kind: speaker of words, subject of a reported act or demand, the author, or several on one side.
        start: of the name in the document, which may be in another sentence; None where nobody is named.
        end: exclusive.
        party: who that is in this document; None for the author, and where nobody fits.
        probability: the tagger's; None where the rules decided.
    """

    kind: VoicedBy
    start: int | None = None
    end: int | None = None
    party: Party | None = None
    probability: float | None = None


def voice_of(voiced: Voiced | None) -> Voice:
    """Under whose total a sentence counts."""
    if voiced is None:
        return "nobody"
    return "author" if voiced.kind == "author" else "others"


def voices(reading: Reading, aliases: Aliases, tagged: Sequence[Holder] | None = None) -> list[Voiced | None]:
    """Whose position each sentence voices; None where nobody does.

    Args:
        reading: the document.
        aliases: names of the field.
        tagged: what a tagger says of each sentence; without it, what names and quotes nobody is the author's.
    """
    holders = _Holders(reading, aliases)
    found = sources(reading)
    if tagged is None:
        return [holders.by_rules(source) for source in found]
    return [holders.by_both(number, source, tagged[number]) for number, source in enumerate(found)]


class _Holders:
    def __init__(self, reading: Reading, aliases: Aliases) -> None:
        self._reading = reading
        self._resolver = Resolver(reading.text, reading.sentences, aliases)
        self._known: dict[tuple[int, int], Party | None] = {}

    def by_rules(self, source: Source | None) -> Voiced | None:
        if source is None:
            return Voiced("author")
        if source.start is None or source.end is None:
            return Voiced(source.kind)
        return self._named(source.kind, source.start, source.end)

    def by_both(self, number: int, source: Source | None, tagged: Holder) -> Voiced | None:
        span = self._span(number, tagged)
        if source is not None and source.quoted:
            spoken = self.by_rules(source)
            if span is None or not self._in_quotation(*span):
                # It names the speaker beside the quotation.
                return spoken if span is None else self._named("speaker", *span, tagged.probability)
            return self._self_named(span, spoken, tagged.probability)
        if tagged.kind == "none":
            return None
        if span is None:
            return Voiced("several" if tagged.kind == "several" else "author", probability=tagged.probability)
        return self._named(self._kind(number, *span), *span, tagged.probability)

    def _self_named(self, span: tuple[int, int], spoken: Voiced | None, probability: float) -> Voiced | None:
        """Within a quotation "we" is whoever speaks, and so is anybody whom the speaker names."""
        if spoken is None or not self._first_person(*span):
            return spoken
        return Voiced("speaker", *span, spoken.party, probability)

    def _span(self, number: int, tagged: Holder) -> tuple[int, int] | None:
        start, end = self._reading.sentences[number]
        if tagged.kind != "named" or tagged.start is None or tagged.end is None:
            return None
        first, last = start + tagged.start, min(end, start + tagged.end)
        return (first, last) if start <= first < last else None

    def _in_quotation(self, start: int, end: int) -> bool:
        return bool(overlapping(start, end, self._reading.quotations))

    def _kind(self, number: int, start: int, end: int) -> Literal["speaker", "subject"]:
        said = (a for a in self._reading.named[number] if a.kind == "speaker" and a.start < end and start < a.end)
        return "speaker" if next(said, None) else "subject"

    def _named(
        self, kind: Literal["speaker", "subject"], start: int, end: int, probability: float | None = None
    ) -> Voiced:
        party = self._party(start, end)
        if self._first_person(start, end) and not self._in_quotation(start, end):
            return Voiced("author", start, end, None, probability)
        return Voiced(kind, start, end, party, probability)

    def _first_person(self, start: int, end: int) -> bool:
        return self._reading.text[start:end].lower().replace("’", "'").split("'")[0] in FIRST_PERSON

    def _party(self, start: int, end: int) -> Party | None:
        # Once for each name: the resolver remembers whom it was asked for.
        if (start, end) not in self._known:
            sentence = max(0, bisect_right(self._reading.starts, start) - 1)
            self._known[start, end] = self._resolver.party(Named(start, end, sentence))
        return self._known[start, end]

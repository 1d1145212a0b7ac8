"""Which records are of the same sentence, whatever they are called."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from labels.corpus import sha256_of
from labels.errors import StanceError
from labels.records import Record, Ref

_SHOWN = 60
"""Characters of a text that an error quotes."""


class Sentences:
    """Sentences by number, and the records that are known to be of them.

    Two records are of the same sentence where they have the same id, point at the same place, or have the same text
    (but for white space) in the same unit; the unit is of no account where one of them has neither group nor place.
    Two records that both point into documents are the same only where their places overlap: a text may stand twice in
    a document.

    Args:
        texts: record id → text, as far as at hand; a text that is not the one that the record points at is passed
            over.
    """

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts
        self._firsts: list[Record] = []
        self._ids: dict[str, tuple[int, Record]] = {}
        self._places: dict[tuple[str, int, int], int] = {}
        self._numbers: defaultdict[str, list[int]] = defaultdict(list)
        self._contents: list[tuple[str, ...]] = []

    def take(self, record: Record) -> int:
        """The number of the record's sentence, counted from 0; a sentence that is not known yet gets the next one.

        Raises:
            StanceError: see `add` and `find`.
        """
        number = self.find(record)
        if number is None:
            return self.add(record)
        self._ids.setdefault(record.id, (number, record))
        return number

    def add(self, record: Record) -> int:
        """Number the record as a sentence of its own."""
        number = len(self._firsts)
        self._firsts.append(record)
        self._ids.setdefault(record.id, (number, record))
        if record.ref:
            self._places.setdefault(_place(record.ref), number)
        contents = self.contents(record)
        for content in contents:
            self._numbers[content].append(number)
        self._contents.append(contents)
        return number

    def find(self, record: Record) -> int | None:
        """The number of the record's sentence; None where it is not known.

        Raises:
            StanceError: its id stands for another sentence, or another text was labelled at its place.
        """
        if record.id in self._ids:
            number, other = self._ids[record.id]
            if not self._same_text(record, other):
                raise StanceError(
                    f"'{record.id}' is the id of two sentences: {_shown(other)}, and in the new labels "
                    f"{_shown(record)}",
                    field="id",
                    hint="Give different sentences different ids.",
                )
            return number
        if record.ref and (there := self._places.get(_place(record.ref))) is not None:
            first = self._firsts[there]
            if first.ref and first.ref.sha256 != record.ref.sha256:
                raise StanceError(
                    f"'{first.id}' and, in the new labels, '{record.id}' point at the same place of document "
                    f"'{record.ref.doc}', but another text was labelled there",
                    field="ref.sha256",
                    hint="Label both on the same version of the document.",
                )
            return there
        alike = {number for content in self.contents(record) for number in self._numbers.get(content, ())}
        return min((number for number in alike if _may_be_one(record, self._firsts[number])), default=None)

    def text(self, record: Record) -> str | None:
        """The record's text, where at hand."""
        if record.ref is None:
            return record.text
        text = self._texts.get(record.id)
        return text if text is not None and sha256_of(text) == record.ref.sha256 else None

    def contents(self, record: Record) -> tuple[str, ...]:
        """What two records of the same text have in common: a hash of it; where it is at hand, also without regard to
        white space."""
        text = self.text(record)
        exact = record.ref.sha256 if record.ref else sha256_of(record.text or "")
        return (exact,) if text is None else tuple(dict.fromkeys((exact, sha256_of(" ".join(text.split())))))

    def contents_of(self, number: int) -> tuple[str, ...]:
        """The contents of the first record of a sentence."""
        return self._contents[number]

    def _same_text(self, one: Record, other: Record) -> bool:
        if one.ref and other.ref and not _overlap(one.ref, other.ref):
            return False
        return not set(self.contents(one)).isdisjoint(self.contents(other))


def _may_be_one(one: Record, other: Record) -> bool:
    """Whether two records of the same text can be of one sentence."""
    if one.ref and other.ref:
        return _overlap(one.ref, other.ref)
    return one.unit == other.unit or not (has_unit(one) and has_unit(other))


def has_unit(record: Record) -> bool:
    """Whether the record says what document or event it is of; else its unit is its own text."""
    return bool(record.group or record.ref)


def _overlap(one: Ref, other: Ref) -> bool:
    return one.doc == other.doc and one.start < other.end and other.start < one.end


def _place(ref: Ref) -> tuple[str, int, int]:
    return ref.doc, ref.start, ref.end


def _shown(record: Record) -> str:
    if record.ref:
        return f"characters {record.ref.start} to {record.ref.end} of document '{record.ref.doc}'"
    text = " ".join((record.text or "").split())
    return f"“{text if len(text) <= _SHOWN else text[: _SHOWN - 1] + '…'}”"

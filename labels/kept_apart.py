"""Which new labels would bring a document, an event or a text into a second part of the data: those are left out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from labels.near_duplicates import NearDuplicates
from labels.records import Record, Split
from labels.same_sentence import Sentences, has_unit


def reasons_to_leave_out(
    known: Sequence[Record], new: Sequence[Record], numbers: Sequence[int], sentences: Sentences
) -> dict[int, str]:
    """Why new records cannot come in: index in `new` → reason.

    The parts of the known records do not move, and those for dev and test are frozen: no unit of theirs gets another
    sentence. A new record may found a unit of any part. Where new records stand in each other's way, one for dev or
    test comes before one for training, and else the earlier one. Labels of known sentences for dev or test are not
    judged here.

    Args:
        known: records in whose parts nothing is to change.
        new: records to come.
        numbers: the sentences of `new` by number; those below len(known) are known.
        sentences: all of both.
    """
    return _Parts(known, new, numbers, sentences).reasons()


class _Parts:
    def __init__(
        self, known: Sequence[Record], new: Sequence[Record], numbers: Sequence[int], sentences: Sentences
    ) -> None:
        self._known, self._new, self._numbers, self._sentences = known, new, numbers, sentences
        # What any of a sentence's new records says counts for all of them.
        self._units: defaultdict[int, set[str]] = defaultdict(set)
        self._contents: defaultdict[int, dict[str, None]] = defaultdict(dict)
        self._text: dict[int, str] = {}
        for record, number in zip(new, numbers, strict=True):
            if has_unit(record):
                self._units[number].add(record.unit)
            self._contents[number] |= dict.fromkeys(sentences.contents(record))
            if text := sentences.text(record):
                self._text.setdefault(number, text)
        self._known_units = self._parts_of_units()
        self._new_units: dict[str, Split] = {}
        self._texts: defaultdict[str, dict[Split, str]] = defaultdict(dict)
        for number, record in enumerate(known):
            self._add_text(record, sentences.contents_of(number))
        self._admitted: set[int] = set()

    def _parts_of_units(self) -> dict[str, Split]:
        """The parts of the known units, and of those that a new record names for a known sentence."""
        parts: dict[str, Split] = {record.unit: record.part for record in self._known}
        named = [(number, self._known[number]) for number in sorted(self._units) if number < len(self._known)]
        for number, record in sorted(named, key=lambda pair: pair[1].part == "train"):
            for unit in sorted(self._units[number]):
                parts.setdefault(unit, record.part)
        return parts

    def _add_text(self, record: Record, contents: Iterable[str]) -> None:
        for content in contents:
            self._texts[content].setdefault(record.part, record.id)

    def reasons(self) -> dict[int, str]:
        reasons: dict[int, str] = {}
        versions = self._versions()
        order = sorted(range(len(self._new)), key=lambda index: self._new[index].part == "train")
        for index in order:
            record, number = self._new[index], self._numbers[index]
            why = next(self._why_not(record, number), None)
            if why is None and number >= len(self._known):
                why = next(self._copies(record, number, versions.get(number, {})), None)
            if why:
                reasons[index] = why
            else:
                self._admit(index)
        return reasons

    def _admit(self, index: int) -> None:
        self._admitted.add(index)
        record, number = self._new[index], self._numbers[index]
        if number >= len(self._known):
            self._add_text(record, self._contents[number])
            for unit in self._units[number]:
                self._new_units.setdefault(unit, record.part)

    def _why_not(self, record: Record, number: int) -> Iterator[str]:
        sentence = self._known[number] if number < len(self._known) else None
        if not record.labels and not record.annotations:
            yield "it holds no label"
        if sentence and sentence.part != "train":
            if record.split not in (None, sentence.part):
                yield f"its sentence {stands(sentence.part)}, not in '{record.split}'"
            return
        if sentence and record.part != "train":
            yield f"its sentence is trained on already, so it cannot go to '{record.part}'"
        for unit in sorted(self._units[number]):
            there = self._known_units.get(unit, self._new_units.get(unit, record.part))
            if there != record.part or (there != "train" and unit in self._known_units):
                new = "" if unit in self._known_units else "by other new labels, "
                yield f"{new}its document or event '{unit}' {stands(there)}"

    def _copies(self, record: Record, number: int, versions: Mapping[int, float]) -> Iterator[str]:
        """Texts of another part that the record's text is a version of."""
        for content in self._contents[number]:
            for part, other in self._texts.get(content, {}).items():
                if part != record.part:
                    yield f"it has the text of '{other}', which {stands(part)}"
        for place, share in versions.items():
            other_record = self._at(place)
            if other_record and other_record.part != record.part:
                yield (
                    f"it has nearly the text of '{other_record.id}', which {stands(other_record.part)} "
                    f"({share:.2f} of their word triples are common)"
                )

    def _at(self, place: int) -> Record | None:
        """A known record, or one of the new ones (which are counted on from there), if it has come in."""
        if place < len(self._known):
            return self._known[place]
        index = place - len(self._known)
        return self._new[index] if index in self._admitted else None

    def _versions(self) -> dict[int, dict[int, float]]:
        """Near-duplicates of new sentences: number → place (see `_at`) → share of common word triples.

        Only the new texts are indexed, and only texts that can be of another part than theirs are looked up.
        """
        fresh = [number for number in self._text if number >= len(self._known)]
        index = NearDuplicates()
        for number in fresh:
            index.add(self._text[number])
        parts = {self._new[i].part for i, number in enumerate(self._numbers) if number >= len(self._known)}
        found: defaultdict[int, dict[int, float]] = defaultdict(dict)
        for place, record in enumerate((*self._known, *self._new)):
            text = self._sentences.text(record) if parts - {record.part} else None
            for likeness in index.like(text) if text else ():
                found[fresh[likeness.number]][place] = likeness.similarity
        return found


def stands(part: Split) -> str:
    """Where a sentence of the part is, as reasons say it."""
    return "is trained on" if part == "train" else f"stands in the frozen {part} part"

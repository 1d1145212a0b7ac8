"""One file of labels into another format, whole or not at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from labels.consensus import agreed, how_decided
from labels.corpus import Sentence, load_corpus, resolve, sha256_of
from labels.errors import StanceError, first_problem
from labels.exchange import argilla, doccano, hugging_face, label_records, label_studio, prodigy, table
from labels.exchange.entry import Entry, read_ref
from labels.records import Record, apart, read_records
from labels.taxonomy import Taxonomy

RECORDS = "records"
"""The project's own format."""

Reader = Callable[[Path, Taxonomy, Counter[str]], Iterable[Entry]]
"""Gives what stands in a file; counts, by field, what is left out of it."""

Writer = Callable[[Sequence[Sentence], Taxonomy, Path], Counter[str]]
"""Writes a file; returns, by field, in how many records there was something that the format cannot hold."""

TOOLS: Mapping[str, tuple[Reader, Writer]] = {
    "label-studio": (label_studio.read, label_studio.write),
    "doccano": (doccano.read, doccano.write),
    "argilla": (argilla.read, argilla.write),
    "prodigy": (prodigy.read, prodigy.write),
    "csv": (table.read_csv, table.write_csv),
    "tsv": (table.read_tsv, table.write_tsv),
    "datasets": (hugging_face.read, hugging_face.write),
}
FORMATS = (RECORDS, *TOOLS)


@dataclass(frozen=True)
class Conversion:
    """What a conversion did.

    Attributes:
        records: how many were written.
        left_out: field → times that something in the file read has no place in a record.
        undecided: target → records whose annotators differ on it, so that `labels` lacks it.
        lost: field → records in which the format written cannot hold it.
    """

    records: int
    left_out: Counter[str]
    undecided: Counter[str]
    lost: Counter[str]


def convert(
    path: Path, out: Path, taxonomy: Taxonomy, *, read_as: str, write_as: str, corpus: Path | None = None
) -> Conversion:
    """Read a file in one of `FORMATS` and write it in another.

    Args:
        path: what to read.
        out: what to write; replaced if it is there.
        taxonomy: what the labels must be in.
        read_as: format of `path`.
        write_as: format of `out`.
        corpus: folder in which stand-off records find their text; not needed for writing records.

    Raises:
        StanceError: anything in the file is not as it should be, or a record's text is not in the corpus; nothing
            is written then.
    """
    left_out: Counter[str] = Counter()
    undecided: Counter[str] = Counter()
    lost: Counter[str]
    if read_as == RECORDS:
        records = read_records([path], taxonomy)
    else:
        records = records_of(TOOLS[read_as][0](path, taxonomy, left_out), undecided)
    if write_as == RECORDS:
        label_records.write_records(records, out)
        lost = Counter()
    else:
        lost = TOOLS[write_as][1](_with_text(records, corpus), taxonomy, out)
    return Conversion(len(records), left_out, undecided, lost)


def records_of(entries: Iterable[Entry], undecided: Counter[str]) -> list[Record]:
    """The records of what a reader gives; counts, by target, those whose annotators differ, so that `labels` lacks it.

    Raises:
        StanceError: an entry is no valid record, or the records cannot stand together (see `apart`).
    """
    return apart((_record(entry, undecided), entry.place.file, entry.place.line) for entry in entries)


def _with_text(records: Sequence[Record], corpus: Path | None) -> Sequence[Sentence]:
    needed = any(record.ref for record in records)
    resolution = resolve(records, load_corpus(corpus) if needed else {})
    if missing := resolution.missing:
        raise StanceError(
            f"{missing.total()} of {len(records)} records cannot go out: the text of {len(missing)} documents that "
            f"they point into is not at hand ({', '.join(sorted(missing)[:3])}{', …' if len(missing) > 3 else ''}).",
            hint="Name the folder of the documents with --corpus; `stance labels resolve` lists what is missing.",
        )
    return resolution.sentences


def _record(entry: Entry, undecided: Counter[str]) -> Record:
    """The record of an entry, its text dropped where a `ref` came along with it.

    Raises:
        StanceError: it is no valid record, or the text is not the one that its `ref` points at.
    """
    place = entry.place
    fields: dict[str, Any] = {"id": f"{place.path.stem}-{place.number}", **entry.about, "text": entry.text}
    fields |= {"labels": entry.labels, "annotations": entry.annotations}
    if entry.labels is None:
        labels, differ = agreed(entry.annotations)
        undecided.update(differ)
        fields["labels"] = labels
        if entry.annotations:
            holders = {annotation.holder for annotation in entry.annotations}
            fields["holder"] = entry.about.get("holder") or (holders.pop() if len(holders) == 1 else None)
            fields["decided"] = how_decided(entry.annotations)
    if "ref" in entry.about:
        fields["ref"] = read_ref(entry.about["ref"], place)
        fields["text"] = None
        if entry.text is not None and sha256_of(entry.text) != fields["ref"].sha256:
            raise place.error("is not the text that 'ref' points at: it was changed", "text")
    try:
        return Record.model_validate(fields)
    except ValidationError as error:
        field, message = first_problem(error)
        raise place.error(message, field or None) from error

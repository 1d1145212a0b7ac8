"""Tables (CSV, TSV): a column for each target, a row for what was decided and one below it for each annotator.

A cell holds a class, or `unrelated` (read, not touched), or nothing (not read). The column `annotator` is empty in the
row of the decision.

Source: RFC 4180; with a byte order mark, without which Excel does not take the file for UTF-8.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import StringIO
from pathlib import Path

from labels.corpus import Sentence
from labels.errors import StanceError
from labels.exchange.csv_rows import csv_rows, same_width
from labels.exchange.entry import (
    ABOUT,
    DETAILS,
    Entry,
    Place,
    about_in,
    about_record,
    annotation_in,
    choice_of,
    details_of,
    label_chosen,
    text_in,
)
from labels.exchange.rows import Row, entries_of
from labels.files import write_whole
from labels.records import Annotation, Labels
from labels.taxonomy import Taxonomy

ANNOTATOR = "annotator"

_FIXED = (*ABOUT, "text", ANNOTATOR)
_BYTE_ORDER_MARK = "\ufeff"


def columns(taxonomy: Taxonomy) -> list[str]:
    """The columns that are written, in their order.

    Raises:
        StanceError: a target has the name of another column.
    """
    for target_id in taxonomy.ids:
        if target_id in _FIXED:
            raise StanceError(
                f"a table has a column '{target_id}' already", field=f"targets.{target_id}", hint="Rename the target."
            )
    return ["id", "text", ANNOTATOR, *taxonomy.ids, *(name for name in ABOUT if name != "id")]


def write_csv(sentences: Sequence[Sentence], taxonomy: Taxonomy, path: Path) -> Counter[str]:
    """Write sentences as a table with commas; see `labels.exchange.convert.Writer`."""
    return _write(sentences, taxonomy, path, csv.excel)


def write_tsv(sentences: Sequence[Sentence], taxonomy: Taxonomy, path: Path) -> Counter[str]:
    """Write sentences as a table with tabs; see `labels.exchange.convert.Writer`."""
    return _write(sentences, taxonomy, path, csv.excel_tab)


def read_csv(path: Path, taxonomy: Taxonomy, left_out: Counter[str]) -> Iterable[Entry]:
    """Read a table with commas; see `labels.exchange.convert.Reader`. Nothing is left out."""
    return entries_of(_rows(path, taxonomy, csv.excel))


def read_tsv(path: Path, taxonomy: Taxonomy, left_out: Counter[str]) -> Iterable[Entry]:
    """Read a table with tabs, as `read_csv` does one with commas."""
    return entries_of(_rows(path, taxonomy, csv.excel_tab))


def _write(sentences: Sequence[Sentence], taxonomy: Taxonomy, path: Path, dialect: type[csv.Dialect]) -> Counter[str]:
    lost: Counter[str] = Counter()
    text = StringIO(newline="")
    table = csv.DictWriter(text, columns(taxonomy), dialect=dialect)
    table.writeheader()
    for sentence in sentences:
        record = sentence.record
        about = about_record(record)
        always = {"id": record.id, "text": sentence.text}
        table.writerow({**always, **_cells(record.labels), **about})
        for annotation in record.annotations:
            said = {ANNOTATOR: annotation.annotator, **details_of(annotation)}
            table.writerow({**always, **_cells(annotation.labels), **said})
        lost.update(_empty(record.annotations, about))
    write_whole(path, _BYTE_ORDER_MARK + text.getvalue())
    return lost


def _cells(labels: Labels) -> dict[str, str]:
    return {name: choice_of(label) for name, label in labels.items()}


def _empty(annotations: Sequence[Annotation], about: Mapping[str, str]) -> set[str]:
    """Fields that hold an empty text, which a table cannot tell from nothing."""
    fields = {f"an empty '{name}'" for name, value in about.items() if not value}
    return fields | {f"an empty 'annotations.{n}'" for a in annotations for n, v in details_of(a).items() if not v}


def _rows(path: Path, taxonomy: Taxonomy, dialect: type[csv.Dialect]) -> Iterator[Row]:
    columns(taxonomy)
    header: list[str] | None = None
    for place, cells in csv_rows(path, dialect):
        if header is None:
            header = _header(cells, taxonomy, place)
        else:
            same_width(cells, header, place)
            yield _row(dict(zip(header, cells, strict=True)), taxonomy, place)


def _header(cells: Sequence[str], taxonomy: Taxonomy, place: Place) -> list[str]:
    for number, name in enumerate(cells):
        if name in cells[:number]:
            raise place.error("stands twice in the header", name)
        if name not in _FIXED and name not in taxonomy.ids:
            raise place.error(
                f"is neither a target of the taxonomy ({', '.join(taxonomy.ids)}) nor one of {', '.join(_FIXED)}",
                name or "(no name)",
                "Name the right --targets file, or take the column out.",
            )
    if not {"text", "ref"} & set(cells):
        raise place.error("is missing in the header", "text", "The first row names the columns.")
    if ANNOTATOR in cells and "id" not in cells:
        raise place.error("is needed where rows have an annotator", "id")
    return list(cells)


def _row(cells: Mapping[str, str], taxonomy: Taxonomy, place: Place) -> Row:
    given = {name: value for name, value in cells.items() if value}
    about = about_in({"id": f"{place.path.stem}-{place.number}", **given}, place)
    labels = {
        target.id: label_chosen(given[target.id], target, place, target.id) for target in taxonomy if target.id in given
    }
    if ANNOTATOR not in given:
        return Row(place, about, text_in(given, place), labels)
    annotation = annotation_in(place, given[ANNOTATOR], labels, given)
    about = {name: value for name, value in about.items() if name not in DETAILS}
    return Row(place, about, given.get("text"), annotations=(annotation,))

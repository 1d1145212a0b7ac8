"""Formats with a row (or line) for each annotator: rows of the same sentence become one entry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from labels.exchange.entry import Entry, Place
from labels.records import Annotation, Labels


@dataclass(frozen=True)
class Row:
    """One row about a sentence: what was decided (`labels`), or what annotators said, or neither."""

    place: Place
    about: Mapping[str, str]
    text: str | None
    labels: Labels | None = None
    annotations: tuple[Annotation, ...] = ()


def entries_of(rows: Iterable[Row]) -> list[Entry]:
    """Put rows with the same `id` together; sentences come in the order of their first rows.

    Raises:
        StanceError: two rows of a sentence decide on its labels, or say different things about it.
    """
    together: dict[str, list[Row]] = {}
    for row in rows:
        together.setdefault(row.about["id"], []).append(row)
    return [_entry(same) for same in together.values()]


def _entry(rows: list[Row]) -> Entry:
    first = rows[0]
    known: dict[str, str] = {}
    labels: Labels | None = None
    for row in rows:
        said = dict(row.about) if row.text is None else {**row.about, "text": row.text}
        for name, value in said.items():
            if known.setdefault(name, value) != value:
                place = replace(row.place, within="") if name == "text" else row.place
                raise place.error(
                    f"is not what an earlier row of '{row.about['id']}' says ({first.place.file}:{first.place.number})",
                    name,
                )
        if row.labels is not None:
            if labels is not None:
                raise row.place.error(f"'{row.about['id']}' has a second row without an annotator", "id")
            labels = row.labels
    text = known.pop("text", None)
    return Entry(first.place, known, text, labels, tuple(a for row in rows for a in row.annotations))

"""doccano's JSONL: `text`, a list `label`, and any other keys, which doccano keeps as they are.

A label is named `target:class`. Where annotators work apart, doccano exports a file for each; a folder of such files
is read as several annotators, named after their files. Labelled spans (sequence labelling) become a record each.

Source: https://doccano.github.io/doccano/tutorial/ and `data_export` and `data_import` of doccano 1.8.4
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from labels.corpus import Sentence
from labels.errors import StanceError
from labels.exchange.entry import (
    ABOUT,
    Entry,
    Place,
    about_in,
    about_record,
    annotation_in,
    details_of,
    labels_tagged,
    tags_of,
    text_in,
)
from labels.exchange.files import write_json_lines
from labels.exchange.rows import Row, entries_of
from labels.records import Annotation, read_json_lines
from labels.taxonomy import Taxonomy

_KNOWN = (*ABOUT, "text", "label", "annotations")


def write(sentences: Sequence[Sentence], taxonomy: Taxonomy, path: Path) -> Counter[str]:
    """Write what was decided as labels; what each annotator said travels along under `annotations`."""
    write_json_lines(path, (_line(sentence) for sentence in sentences))
    return Counter()


def _line(sentence: Sentence) -> dict[str, Any]:
    record = sentence.record
    said = [
        {"annotator": annotation.annotator, "label": tags_of(annotation.labels), **details_of(annotation)}
        for annotation in record.annotations
    ]
    # Every line has every key: where one is missing doccano puts NaN, which its database may refuse.
    about = {**dict.fromkeys(ABOUT), **about_record(record)}
    return {"text": sentence.text, "label": tags_of(record.labels), **about, "annotations": said}


def read(path: Path, taxonomy: Taxonomy, left_out: Counter[str]) -> Iterable[Entry]:
    """A file of one or of all annotators together, or a folder with a file for each annotator."""
    if not path.is_dir():
        return (_entry(row) for line in _lines(path, left_out) for row in _rows(*line, taxonomy))
    files = sorted(path.glob("*.jsonl"))
    if not files:
        raise StanceError("holds no file that ends in .jsonl", path=path)
    rows: list[Row] = []
    seen: set[str] = set()
    for file in files:
        for place, raw in _lines(file, left_out):
            for row in _rows(place, raw, taxonomy):
                # The file of each annotator holds all texts, without labels where this one gave none.
                own = (annotation_in(place, file.stem, row.labels, {}),) if row.labels else ()
                earlier = () if row.about["id"] in seen else row.annotations
                seen.add(row.about["id"])
                rows.append(replace(row, labels=None, annotations=(*earlier, *own)))
    return entries_of(rows)


def _entry(row: Row) -> Entry:
    return Entry(row.place, row.about, row.text, row.labels, row.annotations)


def _lines(path: Path, left_out: Counter[str]) -> Iterator[tuple[Place, Mapping[str, Any]]]:
    for number, raw in read_json_lines(path):
        place = Place(path, number)
        if not isinstance(raw, dict):
            raise place.error("must be an object")
        left_out.update(name for name, value in raw.items() if name not in _KNOWN and value not in (None, [], ""))
        yield place, raw


def _rows(place: Place, raw: Mapping[str, Any], taxonomy: Taxonomy) -> Iterator[Row]:
    about = about_in(raw, place)
    if isinstance(raw.get("id"), int):
        about["id"] = f"doccano-{raw['id']}"
    about.setdefault("id", f"{place.path.stem}-{place.number}")
    given = raw.get("label")
    tags = [given] if isinstance(given, str) else given
    if not isinstance(tags, list):
        raise place.error("must be a list of TARGET:CLASS, or of [START, END, TARGET:CLASS]", "label")
    text = text_in(raw, place)
    if any(isinstance(tag, list) for tag in tags):
        yield from _spans(place, about, text or "", tags, taxonomy)
    else:
        annotations = _annotations(place, raw.get("annotations") or [], taxonomy)
        yield Row(place, about, text, labels_tagged(tags, taxonomy, place, "label"), annotations)


def _annotations(place: Place, found: object, taxonomy: Taxonomy) -> tuple[Annotation, ...]:
    if not isinstance(found, list) or not all(isinstance(raw, dict) for raw in found):
        raise place.error("must be a list of objects", "annotations")
    annotations: list[Annotation] = []
    for number, raw in enumerate(found):
        at = replace(place, within=f"annotations.{number}.")
        if not isinstance(tags := raw.get("label"), list):
            raise at.error("must be a list", "label")
        annotations.append(annotation_in(at, raw.get("annotator"), labels_tagged(tags, taxonomy, at, "label"), raw))
    return tuple(annotations)


def _spans(
    place: Place, about: Mapping[str, str], text: str, spans: Sequence[object], taxonomy: Taxonomy
) -> Iterator[Row]:
    """A row for each stretch of the text that is labelled; all of them belong to the group of their text."""
    tags: dict[tuple[int, int], list[object]] = {}
    for number, span in enumerate(spans):
        match span:
            case [int(start), int(end), tag] if 0 <= start < end <= len(text):
                tags.setdefault((start, end), []).append(tag)
            case _:
                raise place.error("must be [START, END, TARGET:CLASS] within the text", f"label.{number}")
    for (start, end), named in sorted(tags.items(), key=lambda item: item[0]):
        whole = {"group": about["id"], **about, "id": f"{about['id']}-{start}-{end}"}
        yield Row(place, whole, text[start:end], labels_tagged(named, taxonomy, place, "label"))

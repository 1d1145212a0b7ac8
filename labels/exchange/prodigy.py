"""Prodigy's JSONL of the choice interface: a line for each sentence and annotator.

`options` are `target:class`, several of which may be accepted (`"choice_style": "multiple"` in prodigy.json). A line
without an annotator says what was decided; one without an answer is a task that waits.

Source: https://prodi.gy/docs/api-interfaces#choice and https://prodi.gy/docs/api-loaders
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from labels.corpus import Sentence
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

SAID = "annotation"
"""Key of what an annotation says besides its labels; Prodigy keeps it as it is."""

_BOOKKEEPING = ("options", "accept", "answer", "config", "html", "style")


def write(sentences: Sequence[Sentence], taxonomy: Taxonomy, path: Path) -> Counter[str]:
    """Write a line for the decision and one for each annotator; a record without any label gets one to answer."""
    options = [
        {"id": f"{target.id}:{choice}", "text": f"{target.title}: {choice}"}
        for target in taxonomy
        for choice in target.outcomes
    ]
    write_json_lines(path, (line for sentence in sentences for line in _lines(sentence, options)))
    return Counter()


def _lines(sentence: Sentence, options: Sequence[Mapping[str, str]]) -> Iterator[dict[str, Any]]:
    record = sentence.record
    task = {"text": sentence.text, "options": options, "meta": about_record(record)}
    if not (record.labels or record.annotations):
        yield task
        return
    yield {**task, "accept": tags_of(record.labels), "answer": "accept"}
    for annotation in record.annotations:
        yield {**task, **_said(annotation)}


def _said(annotation: Annotation) -> dict[str, Any]:
    name = annotation.annotator
    return {
        "accept": tags_of(annotation.labels),
        "answer": "accept",
        "_annotator_id": name,
        "_session_id": name,
        SAID: {"annotator": name, **details_of(annotation)},
    }


def read(path: Path, taxonomy: Taxonomy, left_out: Counter[str]) -> Iterable[Entry]:
    """The lines of `prodigy db-out`; those answered with reject or ignore say nothing."""
    return entries_of(_rows(path, taxonomy, left_out))


def _rows(path: Path, taxonomy: Taxonomy, left_out: Counter[str]) -> Iterator[Row]:
    for number, raw in read_json_lines(path):
        place = Place(path, number)
        if not isinstance(raw, dict):
            raise place.error("must be an object")
        answer = raw.get("answer")
        if answer in ("reject", "ignore"):
            left_out[f"lines answered '{answer}'"] += 1
            continue
        if answer not in ("accept", None):
            raise place.error("must be accept, reject or ignore", "answer")
        yield _row(raw, taxonomy, place, left_out)


def _row(raw: Mapping[str, Any], taxonomy: Taxonomy, place: Place, left_out: Counter[str]) -> Row:
    if not isinstance(meta := raw.get("meta") or {}, dict):
        raise place.error("must be an object", "meta")
    inside = replace(place, within="meta.")
    about = about_in(meta, inside)
    text = text_in({"text": raw.get("text"), "ref": about.get("ref")}, place)
    about.setdefault("id", _id_without_meta(raw, text))
    known = (*_BOOKKEEPING, "text", "meta", SAID)
    left_out.update(name for name in raw if name not in known and not name.startswith("_"))
    left_out.update(f"meta.{name}" for name in meta if name not in ABOUT)
    if "answer" not in raw:
        return Row(inside, about, text)
    if not isinstance(tags := raw.get("accept"), list):
        raise place.error("must be a list of TARGET:CLASS", "accept", "Use the interface 'choice'.")
    labels = labels_tagged(tags, taxonomy, place, "accept")
    who = raw.get("_annotator_id") or raw.get("_session_id")
    if who is None:
        return Row(inside, about, text, labels)
    said = raw.get(SAID)
    # Who answers a line that somebody else answered before does not say what stands there.
    details = said if isinstance(said, dict) and said.get("annotator") == who else {}
    annotation = annotation_in(replace(place, within=f"{SAID}."), who, labels, details)
    return Row(inside, about, text, annotations=(annotation,))


def _id_without_meta(raw: Mapping[str, Any], text: str | None) -> str:
    given = raw.get("_input_hash")
    return f"prodigy-{given}" if given is not None else f"text-{hashlib.sha256((text or '').encode()).hexdigest()[:16]}"

"""Argilla's records as JSON: what `Dataset.records.to_json` writes and `from_json` reads, and what `to_dict` returns.

Each target is a question. What annotators said are responses, what was decided is a suggestion of the agent
`decision`. Argilla knows annotators by UUID; their names and what else they said stand in the metadata, as JSON.

Source: https://docs.argilla.io/latest/how_to_guides/import_export/ and `argilla.records` of argilla 2.8.0
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
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
    choice_of,
    details_of,
    label_chosen,
    target_named,
    text_in,
)
from labels.exchange.files import read_json
from labels.files import write_whole
from labels.records import Annotation
from labels.taxonomy import Taxonomy

AGENT = "decision"
ANNOTATORS = "annotators"

_PARTS = ("fields", "metadata", "suggestions", "responses")


def write(sentences: Sequence[Sentence], taxonomy: Taxonomy, path: Path) -> Counter[str]:
    """Write the list of records that `Dataset.records.from_json` reads."""
    records = [_record(sentence) for sentence in sentences]
    # Argilla reads in the encoding of the system; ASCII is the same in all of them.
    write_whole(path, json.dumps(records, ensure_ascii=True, indent=1))
    return Counter()


def _record(sentence: Sentence) -> dict[str, Any]:
    record = sentence.record
    metadata = {name: value for name, value in about_record(record).items() if name != "id"}
    users = _user_ids(record.annotations)
    responses: dict[str, list[dict[str, str]]] = {}
    for user, annotation in zip(users, record.annotations, strict=True):
        for name, label in annotation.labels.items():
            responses.setdefault(name, []).append({"value": choice_of(label), "user_id": user})
    if users:
        said = [
            {"user_id": user, "annotator": annotation.annotator, **details_of(annotation)}
            for user, annotation in zip(users, record.annotations, strict=True)
        ]
        metadata[ANNOTATORS] = json.dumps(said, ensure_ascii=False)
    return {
        "id": record.id,
        "fields": {"text": sentence.text},
        "metadata": metadata,
        "suggestions": {
            name: {"value": choice_of(label), "score": None, "agent": AGENT} for name, label in record.labels.items()
        },
        "responses": responses,
    }


def _user_ids(annotations: Sequence[Annotation]) -> list[str]:
    """The same id for the same name in every record; a name that stands twice in one gets a second."""
    times: Counter[str] = Counter()
    ids: list[str] = []
    for annotation in annotations:
        times[annotation.annotator] += 1
        again = f"\n{times[annotation.annotator]}" if times[annotation.annotator] > 1 else ""
        ids.append(str(uuid.uuid5(uuid.NAMESPACE_OID, annotation.annotator + again)))
    return ids


def read(path: Path, taxonomy: Taxonomy, left_out: Counter[str]) -> Iterator[Entry]:
    """Records of `to_json`, or of `to_dict` with either orientation, written as JSON (not flattened)."""
    for number, raw in enumerate(_records(read_json(path), path), start=1):
        place = Place(path, number, lines=False)
        if not isinstance(raw, dict):
            raise place.error("must be an object")
        for part in _PARTS:
            if not isinstance(raw.get(part) or {}, dict):
                raise place.error("must be an object", part)
        yield _entry(raw, taxonomy, place, left_out)


def _records(found: object, path: Path) -> list[object]:
    match found:
        case list():
            return found
        case dict() if isinstance(fields := found.get("fields"), list):
            columns = {name: values for name, values in found.items() if isinstance(values, list)}
            if any(len(values) != len(fields) for values in columns.values()):
                raise StanceError("the columns are not of the same length", path=path, field="fields")
            return [{name: values[row] for name, values in columns.items()} for row in range(len(fields))]
        case dict():
            return list(found.values())
    raise StanceError("must be a list of records, as Dataset.records.to_json writes it", path=path)


def _entry(raw: Mapping[str, Any], taxonomy: Taxonomy, place: Place, left_out: Counter[str]) -> Entry:
    fields, metadata, suggestions, responses = (raw.get(part) or {} for part in _PARTS)
    missing = {f"fields.{name}" for name in fields if name != "text"}
    missing |= {f"metadata.{name}" for name in metadata if name not in (*ABOUT, ANNOTATORS)}
    missing |= {name for name in ("vectors",) if raw.get(name)}
    inside = replace(place, within="metadata.")
    about = about_in(metadata, inside)
    if raw.get("id") is not None:
        about["id"] = str(raw["id"])
    decision: dict[str, str | None] = {}
    for name, suggestion in suggestions.items():
        at = f"suggestions.{name}"
        if not isinstance(suggestion, dict):
            raise place.error("must be an object", at)
        if suggestion.get("agent") != AGENT:
            missing.add("suggestions of other agents")
            continue
        decision[name] = label_chosen(
            suggestion.get("value"), target_named(name, taxonomy, place, at), place, f"{at}.value"
        )
    annotators = _read_annotators(metadata.get(ANNOTATORS), inside)
    left_out.update(missing)
    return Entry(
        place=inside,
        about=about,
        text=text_in({**fields, "ref": about.get("ref")}, replace(place, within="fields.")),
        labels=decision if decision or annotators else None,
        annotations=_read_annotations(responses, annotators, taxonomy, place),
    )


def _read_annotators(text: object, place: Place) -> dict[str, Mapping[str, Any]]:
    """What we wrote about annotators, by user id, in their order."""
    if text is None:
        return {}
    try:
        found = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or not all(isinstance(a, dict) and isinstance(a.get("user_id"), str) for a in found):
        raise place.error("must be the JSON that was written there", ANNOTATORS)
    return {annotator["user_id"]: annotator for annotator in found}


def _read_annotations(
    responses: Mapping[str, Any], annotators: Mapping[str, Mapping[str, Any]], taxonomy: Taxonomy, place: Place
) -> tuple[Annotation, ...]:
    labels: dict[str, dict[str, str | None]] = {user: {} for user in annotators}
    for name, given in responses.items():
        at = f"responses.{name}"
        target = target_named(name, taxonomy, place, at)
        if not isinstance(given, list) or not all(isinstance(response, dict) for response in given):
            raise place.error("must be a list of objects", at)
        for number, response in enumerate(given):
            # Who discards a record answers with nothing.
            if response.get("value") is None:
                continue
            if not isinstance(user := response.get("user_id"), str):
                raise place.error("must be a text", f"{at}.{number}.user_id")
            if name in labels.setdefault(user, {}):
                raise place.error(f"user {user} has answered twice", f"{at}.{number}.user_id")
            labels[user][name] = label_chosen(response["value"], target, place, f"{at}.{number}.value")
    return tuple(
        annotation_in(
            replace(place, within="metadata.annotators."),
            annotators.get(user, {}).get("annotator", user),
            said,
            annotators.get(user, {}),
        )
        for user, said in labels.items()
    )

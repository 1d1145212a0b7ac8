"""Label Studio's JSON: a list of tasks, each with the annotations that people made.

`stance labels studio-config` writes the matching labelling configuration: a Choices block named after each target, and
text areas whose names begin with "_", as no target's name does. What was decided travels as an annotation that is
marked as ground truth. Label Studio knows annotators only by its own accounts, so the name of any other stands in the
hidden text area `_about`, as JSON.

Source: https://labelstud.io/guide/task_format.html and https://labelstud.io/guide/export.html
"""

from __future__ import annotations

import json
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
from labels.records import Annotation, Labels
from labels.taxonomy import Taxonomy

TEXT, HOLDER, NOTE, ABOUT_AREA = "_text", "_holder", "_note", "_about"
"""Names of the sentence and of the text areas in the labelling configuration."""

_AREAS = {HOLDER: "holder", NOTE: "note"}
_DECISION = {"decision": True}


def write(sentences: Sequence[Sentence], taxonomy: Taxonomy, path: Path) -> Counter[str]:
    """Write tasks; a record without any label becomes a task that waits for its annotators."""
    tasks = [_task(sentence) for sentence in sentences]
    write_whole(path, json.dumps(tasks, ensure_ascii=False, indent=1))
    return Counter()


def _task(sentence: Sentence) -> dict[str, Any]:
    record = sentence.record
    task: dict[str, Any] = {"data": {"text": sentence.text, **about_record(record)}}
    if record.labels or record.annotations:
        decided = _annotation(record.labels, {}, _DECISION, ground_truth=True)
        task["annotations"] = [decided, *(_annotation_of(annotation) for annotation in record.annotations)]
    return task


def _annotation_of(annotation: Annotation) -> dict[str, Any]:
    details = details_of(annotation)
    areas = {area: details.pop(name) for area, name in _AREAS.items() if name in details}
    return _annotation(annotation.labels, areas, {"annotator": annotation.annotator, **details}, ground_truth=False)


def _annotation(
    labels: Labels, areas: Mapping[str, str], about: Mapping[str, Any], *, ground_truth: bool
) -> dict[str, Any]:
    written = {**areas, ABOUT_AREA: json.dumps(about, ensure_ascii=False)}
    results = [_result(name, "choices", "choices", choice_of(label)) for name, label in labels.items()]
    results += [_result(name, "textarea", "text", text) for name, text in written.items()]
    # Label Studio takes an annotation that does not say so for ground truth.
    return {"result": results, "ground_truth": ground_truth, "was_cancelled": False}


def _result(name: str, kind: str, key: str, value: str) -> dict[str, Any]:
    return {"id": name, "from_name": name, "to_name": TEXT, "type": kind, "value": {key: [value]}}


def read(
    path: Path, taxonomy: Taxonomy, left_out: Counter[str], *, skip_unknown_targets: bool = False
) -> Iterator[Entry]:
    """Tasks of an export in the format "JSON" (not "JSON-MIN")."""
    tasks = read_json(path)
    if not isinstance(tasks, list):
        raise StanceError("must be a list of tasks", path=path, hint="Export from Label Studio as JSON.")
    for number, task in enumerate(tasks, start=1):
        place = Place(path, number, lines=False)
        if not isinstance(task, dict) or not isinstance(task.get("data"), dict):
            raise place.error("must be an object with the task's fields", "data", "Export as JSON, not as JSON-MIN.")
        yield _entry(task, taxonomy, place, left_out, skip_unknown_targets)


def _entry(
    task: Mapping[str, Any], taxonomy: Taxonomy, place: Place, left_out: Counter[str], skip_unknown_targets: bool
) -> Entry:
    missing = {f"data.{name}" for name in task["data"] if name not in (*ABOUT, "text")}
    missing |= {name for name in ("predictions", "drafts", "meta") if task.get(name)}
    inside = replace(place, within="data.")
    about = about_in(task["data"], inside)
    if "id" not in about and isinstance(task.get("id"), int):
        about["id"] = f"label-studio-{task['id']}"
    found = task.get("annotations") or []
    if not isinstance(found, list) or not all(isinstance(annotation, dict) for annotation in found):
        raise place.error("must be a list of objects", "annotations")
    decisions: list[Labels] = []
    ours = False
    annotations: list[Annotation] = []
    for number, raw in enumerate(found):
        if raw.get("was_cancelled"):
            missing.add("annotations that were skipped")
            continue
        at = replace(place, within=f"annotations.{number}.")
        labels, areas = _read_results(raw.get("result"), taxonomy, at, missing, skip_unknown_targets)
        said = _read_about(areas.get(ABOUT_AREA), at)
        if raw.get("ground_truth"):
            decisions.append(labels)
            if labels != decisions[0]:
                raise at.error("another annotation is ground truth too, and says something else", "ground_truth")
        if said == _DECISION:
            ours = True
        else:
            annotations.append(_read_annotation(raw, labels, areas, said, at))
    if decisions and not ours:
        about["decided"] = "adjudicated"
    left_out.update(missing)
    decision = decisions[0] if decisions else None
    return Entry(inside, about, text_in(task["data"], inside), decision, tuple(annotations))


def _read_results(
    results: object, taxonomy: Taxonomy, place: Place, missing: set[str], skip_unknown_targets: bool
) -> tuple[dict[str, str | None], dict[str, str]]:
    """Labels by target, and what stands in our text areas."""
    labels: dict[str, str | None] = {}
    areas: dict[str, str] = {}
    if not isinstance(results, list) or not all(isinstance(r, dict) for r in results):
        raise place.error("must be a list of objects", "result")
    for number, result in enumerate(results):
        name, at = result.get("from_name"), f"result.{number}"
        if result.get("type") == "choices":
            if skip_unknown_targets and name not in taxonomy.ids:
                missing.add(f"annotations.result of '{name}'")
                continue
            target = target_named(name, taxonomy, place, f"{at}.from_name")
            [choice] = _read_value(result, "choices", place, at, most=1)
            if target.id in labels:
                raise place.error(f"'{target.id}' has a second choice, '{choice}'", f"{at}.value.choices")
            labels[target.id] = label_chosen(choice, target, place, f"{at}.value.choices")
        elif name in (*_AREAS, ABOUT_AREA):
            areas[name] = "\n".join(_read_value(result, "text", place, at))
        else:
            missing.add(f"annotations.result of '{name}'")
    return labels, areas


def _read_value(result: Mapping[str, Any], key: str, place: Place, at: str, most: int | None = None) -> list[str]:
    value = result.get("value")
    given = value.get(key) if isinstance(value, dict) else None
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise place.error("must be a list of texts", f"{at}.value.{key}")
    if most is not None and len(texts) > most:
        raise place.error(f"must hold one choice, not {len(texts)}", f"{at}.value.{key}")
    return texts


def _read_about(text: str | None, place: Place) -> Mapping[str, Any]:
    if text is None:
        return {}
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise place.error("must be the JSON object that was written there", ABOUT_AREA)
    return said


def _read_annotation(
    raw: Mapping[str, Any], labels: Labels, areas: Mapping[str, str], said: Mapping[str, Any], place: Place
) -> Annotation:
    details = {name: areas[area] for area, name in _AREAS.items() if area in areas}
    if "annotator" in said:
        return annotation_in(place, said["annotator"], labels, {**said, **details})
    who = raw.get("completed_by")
    name = who.get("email") if isinstance(who, dict) else f"label-studio-user-{who}"
    created = raw.get("created_at")
    # An annotation made in Label Studio: the day that it was made on, as ISO 8601 writes it.
    date = created[:10] if isinstance(created, str) else None
    return annotation_in(place, name, labels, {"date": date, **details})

"""A store's labels as a label file: one record a sentence, whoever labelled it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from labels.errors import StanceError
from labels.files import write_whole
from labels.records import Annotation, Record, read_records
from labels.store import Label, read_store
from labels.taxonomy import Taxonomy

SINGLE, AGREED, DIFFERING = "single", "agreed", "differing"


def export_labels(store: Path, out: Path, taxonomy: Taxonomy) -> dict[str, int]:
    """Write what stands in a store as a label file; the same store gives the same bytes.

    Returns:
        how many records were decided how (see `merged`).

    Raises:
        StanceError: the store cannot be read, holds a label that the taxonomy lacks, or the file cannot be written;
            then an older file stays as it was.
    """
    labels = read_store(store)
    for label in labels:
        _refuse_unknown(label, store, taxonomy)
    if out.exists() and out.samefile(store):
        raise StanceError("is the store itself", path=out, hint="Name another --out.")
    records = merged(labels, taxonomy)
    lines = "".join(_line(record) for record in records)
    _refuse_unreadable(lines, store, taxonomy)
    write_whole(out, lines)
    return {how: sum(record.decided == how for record in records) for how in (SINGLE, AGREED, DIFFERING)}


def merged(labels: Iterable[Label], taxonomy: Taxonomy) -> list[Record]:
    """One record a sentence, sorted by id.

    `annotations` holds what each annotator said, sorted by name, and `labels` what all who read a target agree on. A
    target on which they differ is left out of `labels`: not decided is not read. `decided` is "single" (one
    annotator), "agreed", or "differing"; then `note` says who said what.

    Args:
        labels: one a record and annotator, in the order of arrival, as `Store.labels` gives them.
        taxonomy: the order of targets.
    """
    ordered = sorted(labels, key=lambda label: label.record)
    return [_record(list(given), taxonomy) for _, given in groupby(ordered, key=lambda label: label.record)]


def _record(given: Sequence[Label], taxonomy: Taxonomy) -> Record:
    # What describes the sentence is taken from whoever said it last.
    newest: dict[str, Any] = {
        name: next((value for label in reversed(given) if (value := getattr(label, name)) is not None), None)
        for name in ("text", "ref", "group", "source", "date", "split")
    }
    voices = sorted(given, key=lambda label: label.annotator)
    said = {
        target.id: {label.annotator: label.labels[target.id] for label in voices if target.id in label.labels}
        for target in taxonomy
    }
    differing = {target_id: by for target_id, by in said.items() if len(set(by.values())) > 1}
    return Record(
        id=given[0].record,
        labels={
            target_id: next(iter(by.values())) for target_id, by in said.items() if by and target_id not in differing
        },
        **newest,
        holder=_common([label.holder for label in voices]),
        codebook=_common([label.codebook for label in voices]),
        decided=DIFFERING if differing else SINGLE if len(voices) == 1 else AGREED,
        note=_dissent(differing) if differing else None,
        annotations=tuple(
            Annotation(
                annotator=label.annotator,
                labels={target.id: label.labels[target.id] for target in taxonomy if target.id in label.labels},
                holder=label.holder,
                date=label.at.isoformat(timespec="milliseconds"),
                codebook=label.codebook,
                note=label.note,
            )
            for label in voices
        ),
    )


def _common(values: Sequence[str | None]) -> str | None:
    return values[0] if len(set(values)) == 1 else None


def _dissent(differing: Mapping[str, Mapping[str, str | None]]) -> str:
    quoted = {
        target_id: ", ".join(f"{who}: {label or 'not touched'}" for who, label in by.items())
        for target_id, by in differing.items()
    }
    return "not decided: " + "; ".join(f"{target_id} ({who})" for target_id, who in quoted.items())


def _refuse_unknown(label: Label, store: Path, taxonomy: Taxonomy) -> None:
    for target_id, given in label.labels.items():
        if target_id not in taxonomy.ids:
            problem = f"no target '{target_id}' in the taxonomy (it has {', '.join(taxonomy.ids)})"
        elif given is not None and given not in taxonomy[target_id].classes:
            problem = f"'{given}' is not a class of {target_id} ({', '.join(taxonomy[target_id].classes)}, or null)"
        else:
            continue
        raise StanceError(
            f"record '{label.record}' by '{label.annotator}': {problem}",
            path=store,
            hint="Name the --targets file that it was labelled by.",
        )


def _refuse_unreadable(lines: str, store: Path, taxonomy: Taxonomy) -> None:
    """What other commands would refuse must not come to stand in a good file's place."""
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder) / "labels.jsonl"
        trial.write_text(lines, encoding="utf8")
        try:
            read_records([trial], taxonomy)
        except StanceError as error:
            raise StanceError(f"cannot be a label file: {error.message}", path=store, field=error.field) from error


def _line(record: Record) -> str:
    filled = {name: value for name, value in record.model_dump(mode="json").items() if value is not None}
    filled["annotations"] = [
        {name: value for name, value in annotation.items() if value is not None} for annotation in filled["annotations"]
    ]
    return json.dumps(filled, ensure_ascii=False) + "\n"

"""A store's labels as a label file: one record a sentence, whoever labelled it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from labels.consensus import AGREED, DIFFERING, SINGLE, agreed, how_decided
from labels.errors import StanceError
from labels.files import write_whole
from labels.records import Annotation, Record, apart
from labels.store import Label, read_store
from labels.taxonomy import Taxonomy


def export_labels(store: Path, out: Path, taxonomy: Taxonomy) -> dict[str, int]:
    """Write what stands in a store as a label file; the same store gives the same bytes.

    Returns:
        how many records were decided how (see `merged`).

    Raises:
        StanceError: the store cannot be read, holds a label that the taxonomy lacks, or the file cannot be written;
            then an older file stays as it was.
    """
    records = read_store_records(store, taxonomy)
    if out.exists() and out.samefile(store):
        raise StanceError("is the store itself", path=out, hint="Name another --out.")
    write_whole(out, "".join(_line(record) for record in records))
    return {how: sum(record.decided == how for record in records) for how in (SINGLE, AGREED, DIFFERING)}


def read_store_records(store: Path, taxonomy: Taxonomy, *, skip_unknown_targets: bool = False) -> list[Record]:
    """What stands in a store, one record a sentence (see `merged`).

    Raises:
        StanceError: the store cannot be read, holds a label that the taxonomy lacks, or its records cannot stand
            together (see `apart`).
    """
    labels = read_store(store)
    for label in labels:
        _refuse_unknown(label, store, taxonomy, skip_unknown_targets)
    return apart((record, f"{store}, record '{record.id}'", None) for record in merged(labels, taxonomy))


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
    annotations = tuple(
        Annotation(
            annotator=label.annotator,
            labels={target.id: label.labels[target.id] for target in taxonomy if target.id in label.labels},
            holder=label.holder,
            date=label.at.isoformat(timespec="milliseconds"),
            codebook=label.codebook,
            note=label.note,
        )
        for label in voices
    )
    labels, differing = agreed(annotations)
    return Record(
        id=given[0].record,
        labels={target.id: labels[target.id] for target in taxonomy if target.id in labels},
        **newest,
        holder=_common([label.holder for label in voices]),
        codebook=_common([label.codebook for label in voices]),
        decided=how_decided(annotations),
        note=_dissent([target.id for target in taxonomy if target.id in differing], annotations),
        annotations=annotations,
    )


def _common(values: Sequence[str | None]) -> str | None:
    return values[0] if len(set(values)) == 1 else None


def _dissent(differing: Sequence[str], annotations: Sequence[Annotation]) -> str | None:
    quoted = {
        target_id: ", ".join(
            f"{a.annotator}: {a.labels[target_id] or 'not touched'}" for a in annotations if target_id in a.labels
        )
        for target_id in differing
    }
    return "not decided: " + "; ".join(f"{t} ({who})" for t, who in quoted.items()) if differing else None


def _refuse_unknown(label: Label, store: Path, taxonomy: Taxonomy, skip_unknown_targets: bool) -> None:
    for target_id, given in label.labels.items():
        if target_id not in taxonomy.ids:
            if skip_unknown_targets:
                continue
            problem = f"no target '{target_id}' in the taxonomy (it has {', '.join(taxonomy.ids)})"
        elif given is not None and given not in taxonomy[target_id].classes:
            problem = f"'{given}' is not a class of {target_id} ({', '.join(taxonomy[target_id].classes)}, or null)"
        else:
            continue
        raise StanceError(
            f"record '{label.record}' by '{label.annotator}': {problem}",
            path=store,
            field=f"labels.{target_id}",
            hint="Name the --targets file that it was labelled by.",
        )


def _line(record: Record) -> str:
    filled = {name: value for name, value in record.model_dump(mode="json").items() if value is not None}
    filled["annotations"] = [
        {name: value for name, value in annotation.items() if value is not None} for annotation in filled["annotations"]
    ]
    return json.dumps(filled, ensure_ascii=False) + "\n"

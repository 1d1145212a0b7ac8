"""Disagreements as a file to fill in, and the decisions that were filled in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from labels.adjudication import Decision, Disagreement
from labels.errors import StanceError, not_as_described
from labels.files import write_whole
from labels.records import Annotation, Name, Ref, read_json_lines
from labels.taxonomy import UNRELATED, Taxonomy

OPEN = ""
"""What stands in the place of a decision that is not made; no class can be called so."""


class _Line(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    id: Name
    text: str | None = None
    ref: Ref | None = None
    annotations: tuple[Annotation, ...] | None = None
    decision: Annotated[Mapping[str, str | None], Field(min_length=1)]
    note: str | None = None


def export_disagreements(disagreements: Iterable[Disagreement], texts: Mapping[str, str], path: Path) -> int:
    """Write a line for each disagreement: id, text (or ref where the text is not at hand), annotations, and `decision`
    with an empty place for each target that the annotators differ on.

    Returns:
        how many lines.

    Raises:
        StanceError: the file is there already, or cannot be written.
    """
    if path.exists():
        raise StanceError("is there already, and decisions may stand in it", path=path, hint="Name another file.")
    lines = [json.dumps(_line(d, texts.get(d.record.id)), ensure_ascii=False) + "\n" for d in disagreements]
    write_whole(path, "".join(lines))
    return len(lines)


def _line(disagreement: Disagreement, text: str | None) -> dict[str, Any]:
    record = disagreement.record
    annotations = [a.model_dump(mode="json", exclude_defaults=True) for a in record.annotations]
    ref = record.ref.model_dump(mode="json") if record.ref else None
    return {
        "id": record.id,
        **({"ref": ref} if text is None else {"text": text}),
        "annotations": annotations,
        "decision": dict.fromkeys(disagreement.targets, OPEN),
        "note": None,
    }


def read_decisions(path: Path, disagreements: Iterable[Disagreement], taxonomy: Taxonomy) -> list[Decision]:
    """Read filled-in lines; those whose places are all empty are passed over.

    A place holds a class, or null or "unrelated" where the sentence does not touch the target.

    Raises:
        StanceError: a line is not as `export_disagreements` wrote it, is about no disagreement, is filled in half, or
            holds what is not a class; it names file, line and field.
    """
    known = {disagreement.record.id: disagreement for disagreement in disagreements}
    decisions: list[Decision] = []
    lines: dict[str, int] = {}
    for number, raw in read_json_lines(path):
        line = _parsed(raw, path, number)
        if line.id in lines:
            raise StanceError(f"'{line.id}' is also at line {lines[line.id]}", path=path, line=number, field="id")
        lines[line.id] = number
        if line.id not in known:
            raise StanceError(
                f"'{line.id}' is not among the records whose annotators differ and that wait for a decision",
                path=path,
                line=number,
                field="id",
            )
        labels = _labels(line, known[line.id], taxonomy, path, number)
        if labels is not None:
            decisions.append(Decision(line.id, labels, line.note))
    return decisions


def _parsed(raw: object, path: Path, number: int) -> _Line:
    try:
        return _Line.model_validate_json(json.dumps(raw))
    except ValidationError as error:
        raise not_as_described(error, path, line=number) from error


def _labels(
    line: _Line, disagreement: Disagreement, taxonomy: Taxonomy, path: Path, number: int
) -> dict[str, str | None] | None:
    """The labels of a line, or None where it is open."""

    def fail(message: str, field: str) -> StanceError:
        return StanceError(message, path=path, line=number, field=field)

    if line.annotations is not None and line.annotations != disagreement.record.annotations:
        raise fail("are not the annotations of this record; it was exported from other labels", "annotations")
    for target_id in line.decision:
        if target_id not in disagreement.targets:
            raise fail(f"is not a target they differ on ({', '.join(disagreement.targets)})", f"decision.{target_id}")
    missing = [t for t in disagreement.targets if line.decision.get(t, OPEN) == OPEN]
    if len(missing) == len(disagreement.targets):
        return None
    if missing:
        raise fail("is not decided, while other targets of the sentence are", f"decision.{missing[0]}")
    labels = {target_id: None if label == UNRELATED else label for target_id, label in line.decision.items()}
    for target_id, label in labels.items():
        classes = taxonomy[target_id].classes
        if label is not None and label not in classes:
            raise fail(f"'{label}' is not one of {', '.join((UNRELATED, *classes))}", f"decision.{target_id}")
    return labels

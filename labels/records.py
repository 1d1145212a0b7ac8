"""Label records: one JSON object a line, with the sentence in it or pointed at by offsets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from labels.errors import StanceError
from labels.taxonomy import Taxonomy

DEFAULT_LABELS = Path(__file__).parent / "data"
SCORED_ONLY = ("contrast.jsonl",)
"""Label files of the project that are for evaluation alone."""

Split = Literal["train", "dev", "test"]
Name = Annotated[str, Field(min_length=1)]
Labels = Mapping[str, str | None]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Ref(_Frozen):
    """Where a sentence stands: characters `start` to `end` (exclusive) of a document's text.

    `sha256` is that of the UTF-8 text between the offsets.
    """

    doc: Name
    start: Annotated[int, Field(ge=0)]
    end: Annotated[int, Field(ge=1)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]

    @model_validator(mode="after")
    def _in_order(self) -> Ref:
        if self.end <= self.start:
            raise ValueError("'end' must be greater than 'start'")
        return self


class Annotation(_Frozen):
    """What one annotator said, kept beside the label that was decided on."""

    annotator: Name
    labels: Labels
    holder: str | None = None
    date: str | None = None
    codebook: str | None = None
    note: str | None = None


class Record(_Frozen):
    """One labelled sentence.

    `labels` holds target → class; None means read for this target and not touched; a target that is
    missing was not read. `group` names the document or event that must not be split over training and test.
    """

    id: Name
    labels: Labels
    text: Annotated[str, Field(pattern=r"\S")] | None = None
    ref: Ref | None = None
    holder: str | None = None
    source: str | None = None
    date: str | None = None
    group: Name | None = None
    split: Split | None = None
    annotations: tuple[Annotation, ...] = ()
    note: str | None = None
    codebook: str | None = None
    decided: str | None = None
    """How the label came about: single (one pass), agreed, adjudicated."""

    @model_validator(mode="after")
    def _text_or_ref(self) -> Record:
        if (self.text is None) == (self.ref is None):
            raise ValueError("needs either 'text' or 'ref', and not both")
        return self

    @property
    def part(self) -> Split:
        """The part of the data that it belongs to; a record that names none is for training."""
        return self.split or "train"

    @property
    def unit(self) -> str:
        """What is never split: the group, else the document, else the sentence's own text."""
        if self.group or self.ref:
            return self.group or self.ref.doc  # type: ignore[union-attr]
        return "text-" + hashlib.sha256((self.text or "").encode()).hexdigest()[:16]


def default_label_files() -> tuple[Path, ...]:
    """The project's own label files, without those that are for evaluation alone or hold no labels."""
    return tuple(
        path for path in sorted(DEFAULT_LABELS.glob("*.jsonl")) if path.name not in (*SCORED_ONLY, "manifest.jsonl")
    )


def read_records(paths: Iterable[Path], taxonomy: Taxonomy, *, skip_unknown_targets: bool = False) -> list[Record]:
    """Read label files, whole or not at all.

    Args:
        paths: JSONL files; blank lines are passed over.
        taxonomy: what the labels must be in.
        skip_unknown_targets: leave out labels of targets that the taxonomy does not hold.

    Raises:
        StanceError: a line is not as described; it names file, line and field. Also where an id stands twice or
            one group stands in more than one part of the data.
    """
    return apart(
        (_parse_record(raw, taxonomy, path, line, skip_unknown_targets), path, line)
        for path in paths
        for line, raw in read_json_lines(path)
    )


def apart(found: Iterable[tuple[Record, Path | str, int | None]]) -> list[Record]:
    """The records, each with the file and line that it was found at, once it is certain that they can stand together.

    Raises:
        StanceError: an id stands twice, or one group in more than one part of the data; it names both places.
    """
    records: list[Record] = []
    seen: dict[str, str] = {}
    parts: dict[str, tuple[Split, str]] = {}
    for record, path, line in found:
        place = str(path) if line is None else f"{path}:{line}"
        if record.id in seen:
            raise StanceError(f"'{record.id}' is also the id at {seen[record.id]}", path=path, line=line, field="id")
        seen[record.id] = place
        part, first = parts.setdefault(record.unit, (record.part, place))
        if part != record.part:
            raise StanceError(
                f"'{record.part}', but group '{record.unit}' is in '{part}' at {first}",
                path=path,
                line=line,
                field="split",
                hint="A document or event must lie in one part, or the figures would flatter.",
            )
        records.append(record)
    return records


def read_json_lines(path: Path) -> Iterator[tuple[int, object]]:
    """Line numbers (from 1) and values of a JSONL file.

    Raises:
        StanceError: the file cannot be read, is not UTF-8, or a line is not JSON.
    """
    try:
        with path.open(encoding="utf-8-sig") as stream:
            for number, line in enumerate(stream, start=1):
                if line.strip():
                    try:
                        yield number, json.loads(line)
                    except (json.JSONDecodeError, RecursionError) as error:
                        raise StanceError(f"is not JSON: {error}", path=path, line=number) from error
    except OSError as error:
        raise StanceError(f"cannot be read: {error.strerror}", path=path) from error
    except UnicodeDecodeError as error:
        raise StanceError(f"is not UTF-8: {error.reason} at byte {error.start}", path=path) from error


def _parse_record(raw: object, taxonomy: Taxonomy, path: Path, line: int, skip_unknown_targets: bool) -> Record:
    try:
        record = Record.model_validate_json(json.dumps(raw))
    except ValidationError as error:
        field, message = first_problem(error)
        raise StanceError(message, path=path, line=line, field=field) from error

    def known(labels: Labels, field: str) -> dict[str, str | None]:
        kept: dict[str, str | None] = {}
        for target_id, label in labels.items():
            if target_id not in taxonomy.ids:
                if skip_unknown_targets:
                    continue
                raise StanceError(
                    f"no such target in the taxonomy (it has {', '.join(taxonomy.ids)})",
                    path=path,
                    line=line,
                    field=f"{field}.{target_id}",
                    hint="Name the right --targets file, or pass --skip-unknown-targets.",
                )
            if label is not None and label not in taxonomy[target_id].classes:
                raise StanceError(
                    f"'{label}' is not a class of this target ({', '.join(taxonomy[target_id].classes)}, or null)",
                    path=path,
                    line=line,
                    field=f"{field}.{target_id}",
                )
            kept[target_id] = label
        return kept

    return record.model_copy(
        update={
            "labels": known(record.labels, "labels"),
            "annotations": tuple(
                a.model_copy(update={"labels": known(a.labels, f"annotations.{i}.labels")})
                for i, a in enumerate(record.annotations)
            ),
        }
    )


def first_problem(error: ValidationError) -> tuple[str, str]:
    """Field (dotted) and message of the first thing that pydantic found wrong."""
    problem: Mapping[str, Any] = error.errors(include_url=False)[0]
    location: Sequence[int | str] = problem["loc"]
    field = ".".join(str(part) for part in location)
    message = str(problem["msg"]).removeprefix("Value error, ")
    return field, message[:1].lower() + message[1:]

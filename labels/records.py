"""Label records: one JSON object a line, with the sentence in it or pointed at by offsets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from labels.errors import StanceError, all_problems
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
    """How the label came about: single (one pass), agreed, differing (on some target, left out), adjudicated."""

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


ProblemKind = Literal["file", "json", "schema", "target", "class", "duplicate-id", "group-in-two-parts"]


@dataclass(frozen=True)
class Problem:
    """Something that a label file must not hold; `error` says what, where, and what to do."""

    kind: ProblemKind
    error: StanceError


@dataclass(frozen=True)
class Line:
    """A line of a label file.

    Attributes:
        path: the file.
        number: counted from 1; None where the file as a whole could not be read.
        record: what the line holds; None where it does not have the shape of a record.
        problems: all that is wrong with it, by itself and beside the lines before it.
    """

    path: Path
    number: int | None
    record: Record | None
    problems: tuple[Problem, ...]


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
    records: list[Record] = []
    for line in scan_records(paths, taxonomy, skip_unknown_targets=skip_unknown_targets):
        if line.problems:
            raise line.problems[0].error
        if line.record:
            records.append(line.record)
    return records


def apart(found: Iterable[tuple[Record, Path | str, int | None]]) -> list[Record]:
    """The records, each with the file and line that it was found at, once it is certain that they can stand together.

    Raises:
        StanceError: an id stands twice, or one group in more than one part of the data; it names both places.
    """
    records: list[Record] = []
    known = _Known({}, {})
    for record, path, line in found:
        for problem in _clashes(record, path, line, known):
            raise problem.error
        records.append(record)
    return records


def scan_records(paths: Iterable[Path], taxonomy: Taxonomy, *, skip_unknown_targets: bool = False) -> Iterator[Line]:
    """Every line of label files with all that is wrong with it; see `read_records` for the arguments."""
    known = _Known({}, {})
    for path in paths:
        for number, raw in _scan_json_lines(path):
            if isinstance(raw, Problem):
                yield Line(path, number, None, (raw,))
                continue
            record, problems = _parse_record(raw, taxonomy, path, number, skip_unknown_targets)
            if record:
                problems += _clashes(record, path, number, known)
            yield Line(path, number, record, tuple(problems))


@dataclass(frozen=True)
class _Known:
    """Where ids were seen, and the part of the data that groups were first seen in."""

    ids: dict[str, str]
    parts: dict[str, tuple[Split, str]]


def _clashes(record: Record, path: Path | str, line: int | None, known: _Known) -> list[Problem]:
    """What forbids a record to stand with those seen before; afterwards it is one of them."""
    problems: list[Problem] = []
    place = str(path) if line is None else f"{path}:{line}"
    if seen := known.ids.get(record.id):
        error = StanceError(f"'{record.id}' is also the id at {seen}", path=path, line=line, field="id")
        problems.append(Problem("duplicate-id", error))
    known.ids.setdefault(record.id, place)
    part, first = known.parts.setdefault(record.unit, (record.part, place))
    if part != record.part:
        error = StanceError(
            f"'{record.part}', but group '{record.unit}' is in '{part}' at {first}",
            path=path,
            line=line,
            field="split",
            hint="A document or event must lie in one part, or the figures would flatter.",
        )
        problems.append(Problem("group-in-two-parts", error))
    return problems


def read_json_lines(path: Path) -> Iterator[tuple[int, object]]:
    """Line numbers (from 1) and values of a JSONL file; blank lines are passed over.

    Raises:
        StanceError: the file cannot be read, is not UTF-8, or a line is not JSON.
    """
    for number, value in _scan_json_lines(path):
        if isinstance(value, Problem):
            raise value.error
        yield number or 0, value


def _scan_json_lines(path: Path) -> Iterator[tuple[int | None, object]]:
    """Line numbers and values; a `Problem` in the place of a value that cannot be read."""
    try:
        # Bytes, so that one line that is not UTF-8 does not hide those after it.
        with path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                try:
                    text = line.decode("utf-8-sig" if number == 1 else "utf8")
                    if text.strip():
                        yield number, json.loads(text)
                except UnicodeDecodeError as error:
                    message = f"is not UTF-8: {error.reason} at byte {error.start} of the line"
                    yield number, Problem("json", StanceError(message, path=path, line=number))
                except (ValueError, RecursionError) as error:  # also an integer of too many digits
                    yield number, Problem("json", StanceError(f"is not JSON: {error}", path=path, line=number))
    except OSError as error:
        yield None, Problem("file", StanceError(f"cannot be read: {error.strerror}", path=path))


def _parse_record(
    raw: object, taxonomy: Taxonomy, path: Path, line: int | None, skip_unknown_targets: bool
) -> tuple[Record | None, list[Problem]]:
    """The record with the labels that are in the taxonomy, and what is wrong with the line."""
    try:
        record = Record.model_validate_json(json.dumps(raw))
    except ValidationError as error:
        return None, [
            Problem("schema", StanceError(message, path=path, line=line, field=field))
            for field, message in all_problems(error)
        ]
    problems: list[Problem] = []

    def known(labels: Labels, field: str) -> dict[str, str | None]:
        kept: dict[str, str | None] = {}
        for target_id, label in labels.items():
            here = f"{field}.{target_id}"
            if target_id not in taxonomy.ids:
                if not skip_unknown_targets:
                    error = StanceError(
                        f"no such target in the taxonomy (it has {', '.join(taxonomy.ids)})",
                        path=path,
                        line=line,
                        field=here,
                        hint="Name the right --targets file, or train with --skip-unknown-targets.",
                    )
                    problems.append(Problem("target", error))
            elif label is not None and label not in taxonomy[target_id].classes:
                message = f"'{label}' is not a class of this target ({', '.join(taxonomy[target_id].classes)}, or null)"
                problems.append(Problem("class", StanceError(message, path=path, line=line, field=here)))
            else:
                kept[target_id] = label
        return kept

    sound = {
        "labels": known(record.labels, "labels"),
        "annotations": tuple(
            a.model_copy(update={"labels": known(a.labels, f"annotations.{i}.labels")})
            for i, a in enumerate(record.annotations)
        ),
    }
    return record.model_copy(update=sound), problems

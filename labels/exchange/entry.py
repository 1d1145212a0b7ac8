"""What every reader gives and every writer takes apart: a record with its place, and labels as choices.

One convention holds in all formats: a choice is a class of the target, or `unrelated` where the sentence was read for
the target and does not touch it (null in label records); no choice at all means that it was not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from labels.errors import StanceError, first_problem
from labels.records import Annotation, Labels, Record, Ref
from labels.taxonomy import UNRELATED, Target, Taxonomy

ABOUT = ("id", "ref", "holder", "source", "date", "group", "split", "decided", "codebook", "note")
"""What travels with a sentence besides text and labels, in every format under these names, as texts."""

DETAILS = ("holder", "date", "codebook", "note")
"""What an annotation says besides annotator and labels."""

_REF = re.compile(r"(.+)#char=([0-9]{1,15}),([0-9]{1,15});sha256=([0-9a-f]{64})", re.DOTALL)


@dataclass(frozen=True)
class Place:
    """A line of a file, or a record (counted from 1) of one without lines; `within` is put before field names."""

    path: Path
    number: int
    lines: bool = True
    within: str = ""

    @property
    def file(self) -> Path | str:
        return self.path if self.lines else f"{self.path}, record {self.number}"

    @property
    def line(self) -> int | None:
        return self.number if self.lines else None

    def error(self, message: str, field: str | None = None, hint: str | None = None) -> StanceError:
        named = self.within + field if field else None
        return StanceError(message, path=self.file, line=self.line, field=named, hint=hint)


@dataclass(frozen=True)
class Entry:
    """A sentence as a reader found it.

    Attributes:
        place: where; its fields are those of `about` and `text`.
        about: what else is known, by the names in `ABOUT`.
        text: None where only a `ref` was given.
        labels: what was decided; None where nobody decided and the annotations speak.
        annotations: what each annotator said.
    """

    place: Place
    about: Mapping[str, str]
    text: str | None
    labels: Labels | None
    annotations: tuple[Annotation, ...] = ()


def about_record(record: Record) -> dict[str, str]:
    """What is known of a record, by the names in `ABOUT`; what is None is left out."""
    fields = {name: getattr(record, name) for name in ABOUT}
    if record.ref is not None:
        # In the manner of RFC 5147, which points into plain text by "#char=from,to".
        ref = record.ref
        fields["ref"] = f"{ref.doc}#char={ref.start},{ref.end};sha256={ref.sha256}"
    return {name: value for name, value in fields.items() if value is not None}


def read_ref(text: str, place: Place) -> Ref:
    """The reference that `about_record` wrote."""
    if not (found := _REF.fullmatch(text)):
        raise place.error("must look like DOCUMENT#char=START,END;sha256=DIGEST", "ref")
    try:
        return Ref(doc=found[1], start=int(found[2]), end=int(found[3]), sha256=found[4])
    except ValidationError as error:
        raise place.error(first_problem(error)[1], "ref") from error


def about_in(found: Mapping[str, Any], place: Place) -> dict[str, str]:
    """What a mapping says by the names in `ABOUT`; null is as good as absent, a number is taken for an id."""
    about: dict[str, str] = {}
    for name in ABOUT:
        value = found.get(name)
        if name == "id" and isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if value is None:
            continue
        if not isinstance(value, str):
            raise place.error("must be a text", name)
        about[name] = value
    return about


def text_in(found: Mapping[str, Any], place: Place) -> str | None:
    """The text of a mapping; None where there is none but a `ref`."""
    text = found.get("text")
    pointed = found.get("ref") is not None
    if text is None and pointed:
        return None
    if not isinstance(text, str) or not (text.strip() or pointed):
        raise place.error("must be a text that is not empty", "text")
    return text


def details_of(annotation: Annotation) -> dict[str, str]:
    """What an annotation says besides annotator and labels; what is None is left out."""
    return {name: value for name in DETAILS if (value := getattr(annotation, name)) is not None}


def annotation_in(place: Place, annotator: object, labels: Labels, details: Mapping[str, Any]) -> Annotation:
    """An annotation, checked; fields that are not in `DETAILS` are passed over."""
    given = {name: details[name] for name in DETAILS if details.get(name) is not None}
    try:
        return Annotation.model_validate({"annotator": annotator, "labels": labels, **given})
    except ValidationError as error:
        field, message = first_problem(error)
        raise place.error(message, field) from error


def choice_of(label: str | None) -> str:
    """The word for a label in a tool: `unrelated` for null."""
    return UNRELATED if label is None else label


def target_named(name: object, taxonomy: Taxonomy, place: Place, field: str) -> Target:
    """The target of that name.

    Raises:
        StanceError: the taxonomy has none.
    """
    if not isinstance(name, str) or name not in taxonomy.ids:
        raise place.error(
            f"no target '{name}' in the taxonomy (it has {', '.join(taxonomy.ids)})",
            field,
            "Name the right --targets file.",
        )
    return taxonomy[name]


def label_chosen(choice: object, target: Target, place: Place, field: str) -> str | None:
    """The label that a choice stands for.

    Raises:
        StanceError: the target has no such class.
    """
    if choice == UNRELATED:
        return None
    if not isinstance(choice, str) or choice not in target.classes:
        raise place.error(f"'{choice}' is not a class of '{target.id}' ({', '.join(target.outcomes)})", field)
    return choice


def tags_of(labels: Labels) -> list[str]:
    """`target:choice` for each target that was read, for tools with one list of choices for everything."""
    return [f"{target_id}:{choice_of(label)}" for target_id, label in labels.items()]


def labels_tagged(tags: Iterable[object], taxonomy: Taxonomy, place: Place, field: str) -> dict[str, str | None]:
    """Labels of a list of `target:choice`.

    Raises:
        StanceError: one is not of that form, is unknown, or a target stands twice.
    """
    labels: dict[str, str | None] = {}
    for number, tag in enumerate(tags):
        at = f"{field}.{number}"
        if not isinstance(tag, str) or ":" not in tag:
            raise place.error(f"'{tag}' must look like TARGET:CLASS", at)
        name, choice = tag.split(":", 1)
        target = target_named(name, taxonomy, place, at)
        if target.id in labels:
            raise place.error(f"'{target.id}' has two classes, '{choice}' is the second", at)
        labels[target.id] = label_chosen(choice, target, place, at)
    return labels

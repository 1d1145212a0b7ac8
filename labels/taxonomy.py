"""Targets and their classes, read from a `targets.yaml`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from labels.errors import StanceError
from labels.yaml_file import parse_yaml

UNRELATED = "unrelated"
"""The implied class of every target: the sentence was read for it and does not touch it."""

DEFAULT_TARGETS = Path(__file__).parent / "targets.yaml"
CODEBOOK = "1.2"
"""Version of the codebook that says how to label by `DEFAULT_TARGETS`."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_FIELDS = {"title", "proposition", "classes", "poles", "scope"}


@dataclass(frozen=True)
class Target:
    """One thing that sentences take a stance on.

    Attributes:
        id: its key in the taxonomy.
        title: for people.
        proposition: the sentence that one is for or against.
        classes: the classes that can be given, without `UNRELATED`.
        conciliatory: the class that counts +1 in a score.
        other: the class that counts −1.
        scope: "issue", or "overall" for a reading of the whole sentence.
    """

    id: str
    title: str
    proposition: str
    classes: tuple[str, ...]
    conciliatory: str
    other: str
    scope: str = "issue"

    @cached_property
    def outcomes(self) -> tuple[str, ...]:
        """All that a classifier can answer: `UNRELATED` first, then the classes in their order."""
        return (UNRELATED, *self.classes)

    def outcome(self, label: str | None) -> int:
        """Index of a label in `outcomes`; None (not touched) is 0."""
        return self.outcomes.index(UNRELATED if label is None else label)

    def as_dict(self) -> dict[str, Any]:
        """The entry as it stands in a taxonomy file."""
        return {
            "title": self.title,
            "proposition": self.proposition,
            "scope": self.scope,
            "classes": list(self.classes),
            "poles": {"conciliatory": self.conciliatory, "other": self.other},
        }


@dataclass(frozen=True)
class Taxonomy:
    """The targets in their order, which is the order of columns and axes everywhere."""

    targets: tuple[Target, ...]

    def __iter__(self) -> Iterator[Target]:
        return iter(self.targets)

    def __len__(self) -> int:
        return len(self.targets)

    @cached_property
    def ids(self) -> tuple[str, ...]:
        return tuple(target.id for target in self.targets)

    @cached_property
    def width(self) -> int:
        """Length of the class axis: the most outcomes that any target has."""
        return max(len(target.outcomes) for target in self.targets)

    def get(self, target_id: str) -> Target | None:
        """The target of that id, if there is one."""
        return next((target for target in self.targets if target.id == target_id), None)

    def __getitem__(self, target_id: str) -> Target:
        target = self.get(target_id)
        if target is None:
            raise KeyError(target_id)
        return target

    def as_dict(self) -> dict[str, Any]:
        return {"targets": {target.id: target.as_dict() for target in self.targets}}


def load_taxonomy(path: Path = DEFAULT_TARGETS) -> Taxonomy:
    """Read a taxonomy file.

    Raises:
        StanceError: the file is not there, is not YAML, or an entry is not as described in `labels/targets.yaml`.
    """
    return parse_taxonomy(parse_yaml(path), path)


def parse_taxonomy(raw: object, path: Path | None = None) -> Taxonomy:
    """The taxonomy in a mapping that has the shape of a taxonomy file; `path` is named in errors."""
    entries = raw.get("targets") if isinstance(raw, Mapping) else None
    if not isinstance(entries, Mapping) or not entries:
        raise StanceError("must hold at least one target", path=path, field="targets")
    return Taxonomy(tuple(_parse_target(name, entry, path) for name, entry in entries.items()))


def _parse_target(name: object, entry: object, path: Path | None) -> Target:
    def fail(message: str, field: str = "") -> StanceError:
        return StanceError(message, path=path, field=f"targets.{name}{'.' if field else ''}{field}")

    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise fail("a target's name is letters, digits, '_' and '-', and begins with a letter")
    if not isinstance(entry, Mapping):
        raise fail("must be a mapping with title, proposition, classes and poles")
    if unknown := sorted(str(key) for key in entry.keys() - _FIELDS):
        raise fail(f"is not a field of a target (known: {', '.join(sorted(_FIELDS))})", unknown[0])
    for field in ("title", "proposition"):
        if not isinstance(entry.get(field), str) or not entry[field].strip():
            raise fail("must be a text", field)
    classes = entry.get("classes")
    if not isinstance(classes, list) or len(classes) < 2 or not all(isinstance(c, str) and c.strip() for c in classes):
        raise fail("must be a list of at least two names (quote yes, no, on and off)", "classes")
    if len(set(classes)) < len(classes):
        raise fail("holds a class twice", "classes")
    if UNRELATED in classes:
        raise fail(f"'{UNRELATED}' is implied for every target; leave it out", "classes")
    poles = entry.get("poles")
    if not isinstance(poles, Mapping) or set(poles) != {"conciliatory", "other"}:
        raise fail("must be a mapping with 'conciliatory' and 'other'", "poles")
    for pole, label in poles.items():
        if label not in classes:
            raise fail(f"'{label}' is not one of the classes ({', '.join(classes)})", f"poles.{pole}")
    if poles["conciliatory"] == poles["other"]:
        raise fail("both poles are the same class", "poles")
    scope = entry.get("scope", "issue")
    if scope not in ("issue", "overall"):
        raise fail("must be 'issue' or 'overall'", "scope")
    return Target(
        id=name,
        title=entry["title"].strip(),
        proposition=entry["proposition"].strip(),
        classes=tuple(classes),
        conciliatory=poles["conciliatory"],
        other=poles["other"],
        scope=scope,
    )

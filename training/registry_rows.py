"""What the registry's file holds: its tables, and their rows as objects."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, get_args

from labels.sqlite_file import Kind, append_only
from training.home import stored_model

EventKind = Literal["registered", "promoted", "forced", "refused", "rolled back"]

_SCHEMA = (
    """
    CREATE TABLE model (
      version TEXT NOT NULL PRIMARY KEY,
      parent TEXT REFERENCES model (version),
      recipe TEXT NOT NULL,
      fingerprint TEXT NOT NULL,
      sentences INTEGER NOT NULL,
      metrics TEXT NOT NULL,
      at TEXT NOT NULL,
      "by" TEXT NOT NULL,
      why TEXT NOT NULL,
      labels TEXT
    )
    """,
    f"""
    CREATE TABLE event (
      seq INTEGER PRIMARY KEY AUTOINCREMENT,
      at TEXT NOT NULL,
      kind TEXT NOT NULL CHECK (kind IN {get_args(EventKind)}),
      version TEXT NOT NULL REFERENCES model (version),
      previous TEXT REFERENCES model (version),
      "by" TEXT NOT NULL,
      why TEXT NOT NULL,
      decision TEXT
    )
    """,
    """
    CREATE TABLE champion (
      only INTEGER PRIMARY KEY CHECK (only = 1),
      version TEXT NOT NULL REFERENCES model (version),
      changed INTEGER NOT NULL
    )
    """,
    *append_only("model", ("version",), "the registry forgets no model"),
    *append_only("event", ("seq",), "the history is append-only"),
    "CREATE TRIGGER champion_delete BEFORE DELETE ON champion BEGIN SELECT RAISE(ABORT, 'one model serves'); END",
)

KIND = Kind("a model registry", 0x5374616D, 1, _SCHEMA, hint="Name another home: STANCE_HOME.")


@dataclass(frozen=True)
class Champion:
    """The model that serves.

    Attributes:
        version: which.
        folder: its model folder.
        changed: a number that rises whenever another model becomes champion.
    """

    version: str
    folder: Path
    changed: int


@dataclass(frozen=True)
class Registered:
    """A model that the registry knows.

    Attributes:
        version: see `training.model_folder.Model`.
        parent: the model that it was to replace.
        recipe: name of its recipe.
        fingerprint: of the training sentences.
        sentences: how many they are.
        metrics: held-out figures.
        at: when it was registered.
        by: who did.
        why: what they said.
        folder: its model folder, in the model store.
        labels: all label records that it was trained and tested with; None: the project's own label files.
        forced: whether it was ever promoted although the gate had refused it.
    """

    version: str
    parent: str | None
    recipe: str
    fingerprint: str
    sentences: int
    metrics: Mapping[str, Any]
    at: datetime
    by: str
    why: str
    folder: Path
    labels: Path | None
    forced: bool


@dataclass(frozen=True)
class Event:
    """What happened to a model.

    Attributes:
        at: when.
        kind: what.
        version: to which.
        previous: the champion until then, where another became it; None: the registry had none.
        by: who did it.
        why: what they said.
        decision: what the gate decided, and from which figures.
    """

    at: datetime
    kind: EventKind
    version: str
    previous: str | None
    by: str
    why: str
    decision: Mapping[str, Any] | None

    @property
    def crowned(self) -> bool:
        """Whether it made the model the champion."""
        return self.kind in ("promoted", "forced", "rolled back")


def registered_from(row: sqlite3.Row, home: Path) -> Registered:
    """A row of `model`, with `forced` beside it."""
    return Registered(
        version=row["version"],
        parent=row["parent"],
        recipe=row["recipe"],
        fingerprint=row["fingerprint"],
        sentences=row["sentences"],
        metrics=json.loads(row["metrics"]),
        at=datetime.fromisoformat(row["at"]),
        by=row["by"],
        why=row["why"],
        folder=stored_model(row["version"]),
        labels=home / row["labels"] if row["labels"] else None,
        forced=bool(row["forced"]),
    )


def event_from(row: sqlite3.Row) -> Event:
    """A row of `event`."""
    said = None if row["decision"] is None else json.loads(row["decision"])
    at = datetime.fromisoformat(row["at"])
    return Event(at, row["kind"], row["version"], row["previous"], row["by"], row["why"], said)

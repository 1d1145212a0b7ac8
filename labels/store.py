"""Labels as they arrive, one at a time: an append-only SQLite file.

Every row is an event: somebody labels a sentence, or takes a label back. Nothing is changed or deleted; a newer label
of the same record by the same annotator supersedes the older. An event that was acknowledged (`add` or `undo`
returned) survives whatever then happens to the process.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from labels.errors import StanceError
from labels.sqlite_file import Kind, append_only, open_database, read_database, transaction, understood

if TYPE_CHECKING:
    from labels.records import Ref

APPLICATION_ID = 0x5374616E
"""Marks the file, in its header, as a label store ("Stan")."""

VERSION = 1
"""Version of the schema, SQLite's `user_version`."""

_SCHEMA = (
    """
    CREATE TABLE event (
      seq INTEGER PRIMARY KEY AUTOINCREMENT,
      event TEXT NOT NULL UNIQUE,
      undoes TEXT UNIQUE REFERENCES event (event),
      record TEXT NOT NULL,
      annotator TEXT NOT NULL,
      at TEXT NOT NULL,
      labels TEXT,
      text TEXT,
      ref TEXT,
      codebook TEXT,
      holder TEXT,
      "group" TEXT,
      source TEXT,
      date TEXT,
      split TEXT,
      note TEXT,
      CHECK (undoes IS NOT NULL OR (labels IS NOT NULL AND (text IS NULL) <> (ref IS NULL)))
    )
    """,
    "CREATE INDEX event_record ON event (record)",
    *append_only("event", ("seq", "event", "undoes"), "the store is append-only"),
)
_KIND = Kind("a label store", APPLICATION_ID, VERSION, _SCHEMA, hint="Name another --store.")

_COLUMNS = (
    *("event", "undoes", "record", "annotator", "at", "labels", "text", "ref", "codebook", "holder"),
    *("group", "source", "date", "split", "note"),
)
_NEEDED = ("event", "record", "annotator")
_NAMES = ", ".join('"' + name + '"' for name in _COLUMNS)
_INSERT = f"INSERT INTO event ({_NAMES}) VALUES ({', '.join(':' + name for name in _COLUMNS)})"
_STANDING = """
    SELECT * FROM event WHERE seq IN (
      SELECT max(seq) FROM event
      WHERE undoes IS NULL AND event NOT IN (SELECT undoes FROM event WHERE undoes IS NOT NULL)
      GROUP BY record, annotator
    ) ORDER BY seq
"""


@dataclass(frozen=True)
class Label:
    """What one annotator said of one sentence, at one time.

    Attributes:
        event: an id that whoever sends the label makes up; the same event sent again is the same label.
        record: id of the sentence.
        labels: target → class; None means read for this target and not touched.
        annotator: who labelled.
        at: when, with a time zone.
        text: the sentence, or
        ref: where it stands.
        codebook: version of the codebook that was followed.
        holder: whose position it is.
        group: document or event, see `Record`; `source`, `date` and `split` likewise.
        note: the annotator's.
    """

    event: str
    record: str
    labels: Mapping[str, str | None]
    annotator: str
    at: datetime
    text: str | None = None
    ref: Ref | None = None
    codebook: str | None = None
    holder: str | None = None
    group: str | None = None
    source: str | None = None
    date: str | None = None
    split: str | None = None
    note: str | None = None


class ClashError(StanceError):
    """An id that is in the store for something else.

    Attributes:
        kind: whose id it is, "event" or "record".
        place: of the label among those that were added together, counted from 0.
    """

    def __init__(self, message: str, kind: Literal["event", "record"], place: int, *, path: Path, hint: str) -> None:
        super().__init__(message, path=path, hint=hint)
        self.kind, self.place = kind, place


class Store:
    """An open store; belongs to the thread that opened it. Several processes may have the same file open."""

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        self.path = path
        self._db = db

    def add(self, label: Label) -> bool:
        """Append a label.

        Returns:
            whether it is new; False where the same event is in the store already.

        Raises:
            ClashError: the event id was used for something else, or the record id stands for another sentence.
            StanceError: a field is not as described, or the store cannot be written.
        """
        (new,) = self.add_all([label])
        return new

    def add_all(self, labels: Sequence[Label]) -> list[bool]:
        """Append labels, all of them or none.

        Returns:
            for each whether it is new; of two that are the same the second is not.

        Raises:
            ClashError: as `add`; it names the place of the label.
            StanceError: as `add`.
        """
        rows = [_row_of(label) for label in labels]
        with self._understood(), transaction(self._db):
            return [self._append(row, place) for place, row in enumerate(rows)]

    def undo(self, event: str, undoes: str, annotator: str, at: datetime) -> bool:
        """Take a label back; what the annotator said of the sentence before it, if anything, counts again.

        Args:
            event: id of this event.
            undoes: event id of the label.
            annotator: who takes it back; only who gave it can.
            at: when, with a time zone.

        Returns:
            whether it is new; False where the same event is in the store already.

        Raises:
            StanceError: there is no such label by this annotator, it has been taken back before, or the store
                cannot be written.
        """
        given = {"event": event, "undoes": undoes, "annotator": annotator, "at": _moment(at)}
        with self._understood():
            undone = self._db.execute("SELECT * FROM event WHERE event = ?", (undoes,)).fetchone()
        if undone is None or undone["undoes"] is not None or undone["annotator"] != annotator:
            raise StanceError(f"holds no label '{undoes}' by '{annotator}' that could be undone", path=self.path)
        row = dict.fromkeys(_COLUMNS) | given | {"record": undone["record"]}
        _refuse_unwritable(row)
        with self._understood(), transaction(self._db):
            new = not self._holds(row, 0)
            if new:
                if self._db.execute("SELECT 1 FROM event WHERE undoes = ?", (undoes,)).fetchone():
                    raise StanceError(f"label '{undoes}' has been undone before", path=self.path)
                self._db.execute(_INSERT, row)
        return new

    def labels(self) -> list[Label]:
        """The newest label of each record by each annotator that was not taken back, in the order of arrival."""
        with self._understood():
            return [_label_of(row) for row in self._db.execute(_STANDING)]

    def _append(self, row: Mapping[str, str | None], place: int) -> bool:
        if self._holds(row, place):
            return False
        other = "SELECT 1 FROM event WHERE record = ? AND labels IS NOT NULL AND (text IS NOT ? OR ref IS NOT ?)"
        if self._db.execute(other, (row["record"], row["text"], row["ref"])).fetchone():
            raise ClashError(
                f"record '{row['record']}' is in the store with another text or place",
                "record",
                place,
                path=self.path,
                hint="Give every sentence an id of its own.",
            )
        self._db.execute(_INSERT, row)
        return True

    def _holds(self, row: Mapping[str, str | None], place: int) -> bool:
        same = self._db.execute("SELECT * FROM event WHERE event = ?", (row["event"],)).fetchone()
        # A client that sends again what it believes lost may well send it with another time.
        if same is not None and any(same[name] != row[name] for name in _COLUMNS if name != "at"):
            raise ClashError(
                f"event '{row['event']}' is in the store with other contents",
                "event",
                place,
                path=self.path,
                hint="Give every event an id of its own.",
            )
        return same is not None

    def _understood(self) -> AbstractContextManager[None]:
        return understood(self.path, _KIND)


@contextmanager
def open_store(path: Path) -> Iterator[Store]:
    """Open a store for writing; a file that is not there or empty becomes one.

    Raises:
        StanceError: the file is not a store, is of another version, or cannot be written.
    """
    with open_database(path, _KIND) as db:
        yield Store(path, db)


def read_store(path: Path) -> list[Label]:
    """What `Store.labels` gives, without making or changing the file.

    Raises:
        StanceError: the file is not there, is not a store, or is of another version.
    """
    if not path.is_file():
        raise StanceError("there is no such file", path=path, hint="`stance labels annotate --store FILE` makes one.")
    with read_database(path, _KIND) as db:
        return Store(path, db).labels()


def _row_of(label: Label) -> dict[str, str | None]:
    row: dict[str, Any] = {name: getattr(label, name, None) for name in _COLUMNS}
    row |= {
        "at": _moment(label.at),
        "labels": json.dumps(label.labels, ensure_ascii=False, sort_keys=True),
        "ref": None if label.ref is None else label.ref.model_dump_json(),
    }
    if (label.text is None) == (label.ref is None):
        raise StanceError("a label needs either a text or a ref, and not both", field="text")
    if not label.labels:
        raise StanceError("a label must say something of at least one target", field="labels")
    for target_id, given in label.labels.items():
        if not isinstance(target_id, str) or not (given is None or isinstance(given, str)):
            raise StanceError("must be a class or null", field=f"labels.{target_id}")
    if label.split not in (None, "train", "dev", "test"):
        raise StanceError("must be train, dev or test", field="split")
    _refuse_unwritable(row)
    return row


def _refuse_unwritable(row: Mapping[str, object]) -> None:
    for name, value in row.items():
        if value is None and name not in _NEEDED:
            continue
        empty = value == "" and name in (*_NEEDED, "group")
        if not isinstance(value, str) or empty or (name == "text" and not value.strip()):
            raise StanceError("must be a text that is not empty", field=name)
        if any("\ud800" <= c <= "\udfff" for c in value):
            raise StanceError("holds half of a surrogate pair", field=name)


def _moment(at: datetime) -> str:
    if at.tzinfo is None:
        raise StanceError("must have a time zone", field="at")
    return at.astimezone(UTC).isoformat(timespec="milliseconds")


def _label_of(row: sqlite3.Row) -> Label:
    given = {field.name: row[field.name] for field in fields(Label)}
    given |= {"labels": json.loads(row["labels"]), "at": datetime.fromisoformat(row["at"])}
    if row["ref"] is not None:
        # Imported here, so that a program that only appends starts in a tenth of the time.
        from labels.records import Ref

        given["ref"] = Ref.model_validate_json(row["ref"])
    return Label(**given)

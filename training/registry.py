"""Which models there are, which of them serves, and how that came about: an SQLite file in the home folder.

Models and events are append-only. The champion is one row; to promote is one transaction that changes it and writes
the event, so that whoever looks, after a crash as well, finds the old champion or the new one with its event. A model
is in the registry only once its files are in the model store (`training.model_store`) and its labels in the home.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from labels.errors import StanceError
from labels.files import write_whole
from labels.sqlite_file import open_database, read_database, transaction, understood
from training.home import labels_file, stored_model
from training.registry_rows import KIND, Champion, Event, EventKind, Registered, event_from, registered_from

__all__ = ["Champion", "Event", "Registered", "Registry", "open_registry", "read_champion", "read_registry"]

REGISTRY = "registry.sqlite"
"""Name of the file in the home folder."""

_CHAMPION = "SELECT version, changed FROM champion"
_MODELS = """
    SELECT rowid, *, EXISTS (SELECT 1 FROM event WHERE version = model.version AND kind = 'forced') AS forced
    FROM model ORDER BY rowid
"""


class Registry:
    """An open registry; belongs to the thread that opened it. Several processes may have the same one open."""

    def __init__(self, home: Path, db: sqlite3.Connection) -> None:
        self.home, self.path = home, home / REGISTRY
        self._db = db

    def champion(self) -> Registered | None:
        """The model that serves; None where it is still the one that ships."""
        with understood(self.path, KIND):
            row = self._db.execute(_CHAMPION).fetchone()
        return self.model(row["version"]) if row else None

    def models(self) -> list[Registered]:
        """All models, in the order in which they were registered."""
        with understood(self.path, KIND):
            return [registered_from(row, self.home) for row in self._db.execute(_MODELS)]

    def model(self, version: str) -> Registered:
        """The model of a version.

        Args:
            version: whole, or as much of its beginning as no other model shares.

        Raises:
            StanceError: there is none, or there are several.
        """
        found = [model for model in self.models() if model.version.startswith(version)]
        exact = [model for model in found if model.version == version]
        if len(exact or found) == 1:
            return (exact or found)[0]
        if found:
            several = ", ".join(model.version for model in found)
            raise StanceError(f"'{version}' may be any of {several}", hint="Give more of it.")
        raise StanceError(f"no model '{version}' is registered", hint="`stance models list` shows those that are.")

    def history(self, version: str | None = None) -> list[Event]:
        """All events, or those of one model, in the order in which they happened."""
        with understood(self.path, KIND):
            rows = self._db.execute(
                "SELECT * FROM event WHERE ?1 IS NULL OR version = ?1 ORDER BY seq", (version,)
            ).fetchall()
        return [event_from(row) for row in rows]

    def line(self, shipped: str) -> list[str]:
        """The versions that rollbacks go back through: `shipped` first, the champion last.

        Those that were promoted, without those that were rolled back since.
        """
        line = [shipped]
        for event in self.history():
            if event.kind == "rolled back" and event.version in line:
                while line[-1] != event.version:
                    line.pop()
            elif event.crowned and event.version != line[-1]:
                line.append(event.version)
        return line

    def register(self, folder: Path, *, parent: str | None, by: str, why: str, labels: Path | None) -> Registered:
        """Copy a model into the model store and its labels into the home, and enter it.

        The same version again is the same model: what was entered stays, and its files are mended where they were
        damaged.

        Args:
            folder: a model folder.
            parent: version of the model that it is to replace.
            by: who registers it.
            why: in their words.
            labels: label file with all records that it was trained and tested with; None: the project's own files.

        Raises:
            StanceError: the folder is not a whole model, the parent is not registered, or something cannot be written.
        """
        from training.model_store import put_model

        _refuse_unsaid(by=by, why=why)
        if parent is not None:
            parent = self.model(parent).version
        model = put_model(folder)
        if model.version in {known.version for known in self.models()}:
            return self.model(model.version)
        kept = _keep_labels(labels, self.home, model.version) if labels else None
        row = {
            "version": model.version,
            "parent": parent,
            "recipe": model.recipe.name,
            "fingerprint": model.data["fingerprint"],
            "sentences": model.data["sentences"],
            "metrics": json.dumps(model.metrics),
            "at": _now(),
            "by": by,
            "why": why,
            "labels": kept,
        }
        with understood(self.path, KIND), transaction(self._db):
            # Another process may have been quicker.
            if not self._db.execute("SELECT 1 FROM model WHERE version = ?", (model.version,)).fetchone():
                self._insert("model", row)
                self._write_event("registered", model.version, None, by, why, None)
        return self.model(model.version)

    def promote(
        self,
        version: str,
        *,
        by: str,
        why: str,
        decision: Mapping[str, Any] | None,
        forced: bool = False,
        expected: str | None,
    ) -> None:
        """Make a model the champion.

        Args:
            version: which.
            by: who does.
            why: in their words.
            decision: what the gate decided.
            forced: although the gate refused it; that stays visible for ever.
            expected: the champion that it was compared with, None where there was none.

        Raises:
            StanceError: it is not registered or the champion already, or another than `expected` is.
        """
        self._point_to(self.model(version).version, "forced" if forced else "promoted", by, why, decision, expected)

    def refuse(self, version: str, *, by: str, why: str, decision: Mapping[str, Any] | None) -> None:
        """Write down that the gate refused a model; nothing else changes.

        Raises:
            StanceError: it is not registered, or the registry cannot be written.
        """
        _refuse_unsaid(by=by, why=why)
        version = self.model(version).version
        with understood(self.path, KIND), transaction(self._db):
            self._write_event("refused", version, None, by, why, decision)

    def roll_back(self, *, by: str, why: str, to: str | None = None) -> Registered:
        """Make a model the champion again that was it before.

        Args:
            by: who does.
            why: in their words.
            to: a version that was champion once, or that of the model that ships; None: the champion before this one,
                where those that were rolled back do not count.

        Returns:
            the champion now.

        Raises:
            StanceError: there is none to go back to, it never was champion, or its files are damaged; the champion
                stays then.
        """
        from training.model_folder import DEFAULT_MODEL, load_model, shipped_version

        champion = self.champion()
        if champion is None:
            raise StanceError("there is nothing to roll back: no model was promoted yet, so the one that ships serves")
        shipped = shipped_version()
        version = self._before(shipped) if to is None else self._once_champion(to, shipped)
        if version == shipped:
            self.register(DEFAULT_MODEL, parent=None, by=by, why="the model that ships", labels=None)
        target = self.model(version)
        load_model(target.folder)
        self._point_to(version, "rolled back", by, why, None, champion.version)
        return target

    def _before(self, shipped: str) -> str:
        line = self.line(shipped)
        if len(line) == 1:
            raise StanceError(
                f"there is no champion before {shipped}, the model that ships",
                hint="--to goes back to any model that was champion; `stance models list` shows them.",
            )
        return line[-2]

    def _once_champion(self, to: str, shipped: str) -> str:
        version = shipped if to == shipped else self.model(to).version
        if version != shipped and not any(event.crowned for event in self.history(version)):
            raise StanceError(
                f"{version} never was champion, so one cannot go back to it",
                hint="`stance retrain` promotes what its gate lets through.",
            )
        return version

    def _point_to(
        self,
        version: str,
        kind: EventKind,
        by: str,
        why: str,
        decision: Mapping[str, Any] | None,
        expected: str | None,
    ) -> None:
        _refuse_unsaid(by=by, why=why)
        with understood(self.path, KIND), transaction(self._db):
            row = self._db.execute(_CHAMPION).fetchone()
            current = row["version"] if row else None
            if current != expected:
                raise StanceError(
                    f"the champion is now {current or 'the model that ships'}, no longer "
                    f"{expected or 'the model that ships'}",
                    path=self.path,
                    hint="Compare with that one, and try again.",
                )
            if current == version:
                raise StanceError(f"{version} is the champion already", path=self.path)
            self._db.execute(
                "INSERT INTO champion VALUES (1, ?1, 1) "
                "ON CONFLICT (only) DO UPDATE SET version = ?1, changed = changed + 1",
                (version,),
            )
            self._write_event(kind, version, current, by, why, decision)

    def _write_event(
        self, kind: str, version: str, previous: str | None, by: str, why: str, decision: Mapping[str, Any] | None
    ) -> None:
        said = None if decision is None else json.dumps(decision)
        named = {"kind": kind, "version": version, "previous": previous, "by": by, "why": why}
        self._insert("event", {**named, "at": _now(), "decision": said})

    def _insert(self, table: str, row: Mapping[str, object]) -> None:
        names = ", ".join(f'"{name}"' for name in row)
        self._db.execute(f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(row))})", tuple(row.values()))


@contextmanager
def open_registry(home: Path) -> Iterator[Registry]:
    """Open the registry of a home for writing; where there is none it is made, the home too.

    Raises:
        StanceError: the file is not a registry, is of another version, or cannot be written.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StanceError(f"cannot be made: {error.strerror}", path=home) from error
    with open_database(home / REGISTRY, KIND) as db:
        db.execute("PRAGMA foreign_keys = ON")
        yield Registry(home, db)


@contextmanager
def read_registry(home: Path) -> Iterator[Registry | None]:
    """Open the registry of a home for looking; None where there is none, and none is made.

    Raises:
        StanceError: the file is not a registry, or is of another version.
    """
    if not _is_there(home):
        yield None
        return
    with read_database(home / REGISTRY, KIND) as db:
        yield Registry(home, db)


def read_champion(home: Path) -> Champion | None:
    """The model that serves, quickly; None where it is still the one that ships.

    Raises:
        StanceError: the file is not a registry, or is of another version.
    """
    if not _is_there(home):
        return None
    with read_database(home / REGISTRY, KIND) as db:
        row = db.execute(_CHAMPION).fetchone()
    return Champion(row["version"], stored_model(row["version"]), row["changed"]) if row else None


def champion_folder(home: Path) -> Path | None:
    """The folder of the model that serves; None where it is still the one that ships.

    Raises:
        StanceError: as `read_champion`.
    """
    champion = read_champion(home)
    return champion.folder if champion else None


def _is_there(home: Path) -> bool:
    try:
        # It is empty for a moment, while another process makes it.
        return (home / REGISTRY).stat().st_size > 0
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise StanceError(f"cannot be read: {error.strerror}", path=home / REGISTRY) from error


def _keep_labels(labels: Path, home: Path, version: str) -> str:
    """Copy a label file into the home; its path there, seen from the home."""
    place = labels_file(home, version)
    try:
        text = labels.read_bytes().decode("utf8")
    except OSError as error:
        raise StanceError(f"cannot be read: {error.strerror}", path=labels) from error
    except UnicodeDecodeError as error:
        raise StanceError("is not UTF-8", path=labels) from error
    place.parent.mkdir(exist_ok=True)
    write_whole(place, text)
    return str(place.relative_to(home))


def _refuse_unsaid(**said: str) -> None:
    for name, value in said.items():
        if not value.strip() or any("\ud800" <= c <= "\udfff" for c in value):
            raise StanceError("must be a text that is not empty", field=name)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")

"""What the service answered, counted by model version and day: `stance drift` looks at it.

Counts are added up in memory and written every few seconds and at the end, so that no request waits for a disk; a
process that is killed loses those few seconds. No text is kept.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from labels.errors import StanceError
from labels.settings import switch_setting
from labels.sqlite_file import Kind, open_database, read_database, transaction
from training.answers import Answers
from training.home import home_folder
from training.model_folder import Model
from training.profile import NOTHING, Profile, profile_from, profile_of, said

USAGE_VARIABLE = "STANCE_USAGE"
"""Environment variable that switches the counting off where it is 0."""

SECONDS = 5.0
"""Between one write and the next."""

_KIND = Kind(
    "a file of usage counts",
    application_id=0x53746E75,
    version=1,
    schema=(
        """
        CREATE TABLE count (
          version TEXT NOT NULL,
          day TEXT NOT NULL,
          target TEXT NOT NULL,
          what TEXT NOT NULL,
          cell INTEGER NOT NULL,
          count INTEGER NOT NULL,
          PRIMARY KEY (version, day, target, what, cell)
        ) WITHOUT ROWID
        """,
    ),
    hint="Move it away; a new one will be made.",
)
_ADD = """
    INSERT INTO count VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (version, day, target, what, cell) DO UPDATE SET count = count + excluded.count
"""

_logger = logging.getLogger("bentoml.stance")


def usage_file(home: Path) -> Path:
    """The file of counts in the folder of state, whether it is there or not."""
    return home / "usage.sqlite"


class Usage:
    """Counts what is answered, from the first count until it is closed; several processes add to the same file.

    Args:
        home: folder that the file lies in; made where it is not there.
    """

    def __init__(self, home: Path) -> None:
        self._path = usage_file(home)
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._waiting: dict[tuple[str, str], Profile] = {}
        self._closed = threading.Event()
        self._warned = False
        self._thread = threading.Thread(target=self._write_now_and_then, name="usage", daemon=True)
        self._thread.start()

    def count(self, model: Model, texts: Sequence[str], given: Answers) -> None:
        """Count what a model answered about texts. Nothing is raised: no request fails for its being counted."""
        try:
            new = profile_of(said(model, texts, given), model.taxonomy)
            key = (model.version, datetime.now(UTC).date().isoformat())
            with self._lock:
                self._waiting[key] = self._waiting.get(key, NOTHING) + new
        except Exception:
            self._warn("a request was not counted", with_traceback=True)

    def write(self) -> None:
        """Write what was counted since the last time; what cannot be written waits for the next."""
        with self._writing:
            with self._lock:
                waiting, self._waiting = self._waiting, {}
            if not waiting:
                return
            try:
                _add(self._path, waiting)
            except (OSError, StanceError) as error:
                with self._lock:
                    for key, profile in waiting.items():
                        self._waiting[key] = profile + self._waiting.get(key, NOTHING)
                self._warn(f"what is answered cannot be counted in {self._path}: {error}")

    def close(self) -> None:
        """Write what is left, and stop."""
        self._closed.set()
        self._thread.join()
        self.write()

    def _write_now_and_then(self) -> None:
        while not self._closed.wait(SECONDS):
            self.write()

    def _warn(self, message: str, *, with_traceback: bool = False) -> None:
        """Once: a full disk would fill the log as well."""
        if not self._warned:
            self._warned = True
            _logger.warning("%s; the service goes on", message, exc_info=with_traceback)


class NoUsage:
    """Counts nothing."""

    def count(self, model: Model, texts: Sequence[str], given: Answers) -> None:
        pass

    def close(self) -> None:
        pass


def usage_here() -> Usage | NoUsage:
    """Counts in the home folder, unless they are switched off."""
    return Usage(home_folder()) if counts_use() else NoUsage()


def counts_use() -> bool:
    """Whether use is counted.

    Raises:
        StanceError: the variable is neither 0 nor 1.
    """
    return switch_setting(USAGE_VARIABLE, default=True)


def _add(path: Path, profiles: dict[tuple[str, str], Profile]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [(*key, *row) for key, profile in profiles.items() for row in profile.rows()]
    with open_database(path, _KIND) as database, transaction(database):
        database.executemany(_ADD, rows)


def read_usage(home: Path, version: str, first: date, last: date) -> Profile:
    """What a model version answered from one day to another, both included (UTC).

    Returns:
        nothing where the service has not counted yet.

    Raises:
        StanceError: the file cannot be read.
    """
    path = usage_file(home)
    asked = "version = ? AND day BETWEEN ? AND ? GROUP BY target, what, cell"
    query = f"SELECT target, what, cell, SUM(count) FROM count WHERE {asked}"
    rows = _read(path, query, (version, first.isoformat(), last.isoformat()))
    try:
        return profile_from(rows)
    except ValueError as error:
        raise StanceError(f"is damaged: {error}", path=path) from error


def counted_versions(home: Path) -> dict[str, int]:
    """How many texts each model version has answered about."""
    query = "SELECT version, SUM(count) FROM count WHERE what = 'texts' GROUP BY version"
    return dict(_read(usage_file(home), query, ()))


def _read(path: Path, query: str, values: tuple[str, ...]) -> list[tuple[Any, ...]]:
    if not path.exists():
        return []
    with read_database(path, _KIND) as database:
        return [tuple(row) for row in database.execute(query, values)]

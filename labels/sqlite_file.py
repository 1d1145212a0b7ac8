"""SQLite files that say what they are, and whose committed transactions survive whatever happens to the process."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from labels.errors import StanceError

PATIENCE = 30.0
"""Seconds to wait for another process that writes; one transaction takes it some milliseconds."""


@dataclass(frozen=True)
class Kind:
    """What a file must be.

    Attributes:
        title: what people are told it is, with its article.
        application_id: marks the file in its header.
        version: of the schema, SQLite's `user_version`.
        schema: statements that make an empty file one of this kind.
        hint: what to do where a file is of another kind.
    """

    title: str
    application_id: int
    version: int
    schema: tuple[str, ...]
    hint: str | None = None


def append_only(table: str, keys: Sequence[str], says: str) -> tuple[str, ...]:
    """Statements after which rows of a table can be added, but neither changed nor deleted.

    Args:
        table: its name.
        keys: its unique columns.
        says: the error.
    """
    same = " OR ".join(f"{key} = NEW.{key}" for key in keys)
    refuse = f"BEGIN SELECT RAISE(ABORT, '{says}'); END"
    return (
        f"CREATE TRIGGER {table}_update BEFORE UPDATE ON {table} {refuse}",
        f"CREATE TRIGGER {table}_delete BEFORE DELETE ON {table} {refuse}",
        # INSERT OR REPLACE deletes without asking the trigger above.
        f"CREATE TRIGGER {table}_replace BEFORE INSERT ON {table} "
        f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {same}) {refuse}",
    )


@contextmanager
def open_database(path: Path, kind: Kind) -> Iterator[sqlite3.Connection]:
    """Open a file for writing; one that is not there or empty becomes one of this kind.

    Yields:
        a connection that commits by itself (see `transaction`), to disk, and belongs to this thread.

    Raises:
        StanceError: the file is of another kind or version, or cannot be written.
    """
    if not path.parent.is_dir():
        raise StanceError("is not a folder", path=path.parent)
    with _connected(path, "rwc", kind) as db:
        if _is_blank(db):
            with transaction(db):
                # Another process may have been quicker.
                if _is_blank(db):
                    for statement in kind.schema:
                        db.execute(statement)
                    db.execute(f"PRAGMA application_id = {kind.application_id}")
                    db.execute(f"PRAGMA user_version = {kind.version}")
        _refuse_foreign(db, path, kind)
        _use_write_ahead_log(db, path)
        db.execute("PRAGMA synchronous = FULL")
        yield db


@contextmanager
def read_database(path: Path, kind: Kind) -> Iterator[sqlite3.Connection]:
    """Open a file that is there, without changing it.

    Raises:
        StanceError: the file is not there, or is of another kind or version.
    """
    # Not "ro", which would leave its own files beside the database for ever.
    with _connected(path, "rw", kind) as db:
        db.execute("PRAGMA query_only = ON")
        _refuse_foreign(db, path, kind)
        yield db


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All that is done inside, or nothing; nobody else writes meanwhile."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


@contextmanager
def understood(path: Path, kind: Kind) -> Iterator[None]:
    """Turns what SQLite says into what the user is told."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        if code == sqlite3.SQLITE_NOTADB:
            raise StanceError(f"is not {kind.title} (not an SQLite file)", path=path) from error
        if code & 0xFF == sqlite3.SQLITE_BUSY:
            raise StanceError(f"another process has kept it locked for {PATIENCE:.0f} seconds", path=path) from error
        raise StanceError(f"cannot be used: {error}", path=path) from error


@contextmanager
def _connected(path: Path, mode: str, kind: Kind) -> Iterator[sqlite3.Connection]:
    with understood(path, kind):
        db = sqlite3.connect(f"{path.resolve().as_uri()}?mode={mode}", uri=True, timeout=PATIENCE, isolation_level=None)
        db.row_factory = sqlite3.Row
        try:
            yield db
        finally:
            db.close()


def _is_blank(db: sqlite3.Connection) -> bool:
    known = [db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
    return known == [0, 0] and db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0


def _refuse_foreign(db: sqlite3.Connection, path: Path, kind: Kind) -> None:
    if db.execute("PRAGMA application_id").fetchone()[0] != kind.application_id:
        raise StanceError(f"is not {kind.title}", path=path, hint=kind.hint)
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version != kind.version:
        raise StanceError(
            f"is {kind.title} of version {version}; this program knows version {kind.version}",
            path=path,
            hint="Use the release of stance that wrote it, or a newer one.",
        )


def _use_write_ahead_log(db: sqlite3.Connection, path: Path) -> None:
    # SQLite does not wait by itself here while another process opens the file for the first time.
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            mode = db.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            break
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
    if mode != "wal":
        raise StanceError("cannot be used: its file system has no shared memory", path=path, hint="Use a local one.")

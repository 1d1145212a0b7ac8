"""The state of a collection of feeds: which articles are known, where they appeared, and which are scored.

In SQLite, or in PostgreSQL by URL. What is committed is on disk; one process writes at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    NullPool,
    create_engine,
    event,
    insert,
    inspect,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError

from labels.errors import StanceError, needs_package
from labels.settings import text_setting
from labels.sqlite_file import PATIENCE
from serving.feeds import tables
from serving.feeds.folder import STATE_FILE, STATE_VARIABLE
from serving.feeds.run_lock import RunsAlreadyError

_ONE_RUN = 0x7374616E6365
"""Number of PostgreSQL's advisory lock that whoever writes holds."""


def state_url(folder: Path, named: str | None = None) -> URL:
    """Where the state is: as named, else $STANCE_FEEDS_STATE, else a file of the folder.

    Raises:
        StanceError: it is no URL of SQLite or PostgreSQL. The URL is not repeated: it may hold a password.
    """
    given = named or text_setting(STATE_VARIABLE)
    if not given:
        return URL.create("sqlite", database=str(folder / STATE_FILE))
    hint = "Write postgresql://USER@HOST/DATABASE, or sqlite:///FILE."
    try:
        url = make_url(given)
    except (ArgumentError, ValueError):
        raise StanceError("the URL of the state cannot be read", hint=hint) from None
    kind = url.get_backend_name()
    if kind == "sqlite" and url.database:
        return url
    if kind in ("postgresql", "postgres"):
        # The driver that the extra brings.
        return url.set(drivername="postgresql+psycopg")
    raise StanceError(f"the state cannot be kept in '{url.drivername}'", hint=hint)


@contextmanager
def open_state(url: URL) -> Iterator[Engine]:
    """The state, for the one process that writes; made where there is none.

    Raises:
        RunsAlreadyError: another run uses it (PostgreSQL; see `run_lock` for SQLite).
        StanceError: it is of another version or something else, or the database says no.
    """
    if url.get_backend_name() == "sqlite":
        Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
    with _opened(url, writes=True) as engine, _alone(engine):
        with engine.begin() as db:
            if not _is_state(db, url):
                tables.metadata.create_all(db)
                db.execute(insert(tables.about).values(version=tables.VERSION))
        yield engine


@contextmanager
def read_state(url: URL) -> Iterator[Connection | None]:
    """One unchanging view of the state, without writing to it; None where there is none yet.

    Raises:
        StanceError: see `open_state`.
    """
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
        yield None
        return
    with _opened(url, writes=False) as engine, engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        yield connection if _is_state(connection, url) else None


def _is_state(db: Connection, url: URL) -> bool:
    """Whether it is one of this version; False of an empty database."""
    there = set(inspect(db).get_table_names())
    if tables.about.name not in there:
        if mixed := there & set(tables.metadata.tables):
            raise StanceError(
                f"is not a state of feeds, but has a table '{min(mixed)}'",
                path=_place(url),
                hint="Name a database of its own.",
            )
        return False
    version = db.execute(select(tables.about.c.version)).scalar()
    if version != tables.VERSION:
        raise StanceError(
            f"is a state of feeds of version {version}; this program knows version {tables.VERSION}",
            path=_place(url),
            hint="Use the release of stance that wrote it, or a newer one.",
        )
    return True


def _place(url: URL) -> str:
    """Where it is, without the password."""
    return str(url.database) if url.get_backend_name() == "sqlite" else url.render_as_string(hide_password=True)


@contextmanager
def _opened(url: URL, *, writes: bool) -> Iterator[Engine]:
    try:
        engine = create_engine(url, poolclass=NullPool) if url.get_backend_name() == "sqlite" else create_engine(url)
    except ModuleNotFoundError as missing:
        raise needs_package("a state in PostgreSQL", missing.name, "postgres") from missing
    except (ArgumentError, NoSuchModuleError) as error:
        raise StanceError(f"cannot be used: {error}", path=_place(url)) from error
    if engine.dialect.name == "sqlite":
        _set_up_sqlite(engine, writes=writes)
    try:
        yield engine
    except DBAPIError as error:
        said = " ".join(str(error.orig).split())
        lost = isinstance(error, OperationalError)
        raise StanceError(
            f"the database says: {said}",
            path=_place(url),
            hint="Is it there, and may you use it?" if lost else None,
        ) from error
    finally:
        engine.dispose()


def _set_up_sqlite(engine: Engine, *, writes: bool) -> None:
    @event.listens_for(engine, "connect")
    def _connected(connection: Any, record: object) -> None:
        # SQLAlchemy then begins transactions, not the driver, which would begin them late.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {int(PATIENCE * 1000)}")
        cursor.execute("PRAGMA foreign_keys = ON")
        if writes:
            cursor.execute("PRAGMA journal_mode = WAL")
            cursor.execute("PRAGMA synchronous = FULL")
        else:
            cursor.execute("PRAGMA query_only = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _alone(engine: Engine) -> Iterator[None]:
    """Keeps writers on other machines out; `run_lock` does on this one."""
    if engine.dialect.name != "postgresql":
        yield
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not connection.execute(text(f"SELECT pg_try_advisory_lock({_ONE_RUN})")).scalar():
            raise RunsAlreadyError(_place(engine.url))
        yield

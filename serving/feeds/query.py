"""Questions in SQL about scored feeds, answered by DuckDB, which can read these scores and nothing else.

Only batches that are done are seen, so a run that is at work, or was killed, does not show.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from pyarrow.dataset import dataset
from sqlalchemy import Connection, Select, func, select

from labels.errors import StanceError
from labels.taxonomy import UNRELATED
from serving.feeds import tables
from serving.feeds.scores import SCHEMA
from serving.feeds.state import read_state, state_url

_ROWS_AT_ONCE = 10_000

_ARTICLES = pa.schema(
    [
        ("id", pa.int64()),
        ("url", pa.string()),
        ("title", pa.string()),
        ("author", pa.string()),
        ("outlet", pa.string()),
        ("published", pa.timestamp("us", "UTC")),
        ("date_mark", pa.string()),
        ("date", pa.date32()),
        ("language", pa.string()),
        ("extracted_from", pa.string()),
        ("first_seen", pa.timestamp("us", "UTC")),
        ("version", pa.string()),
        ("appearances", pa.int64()),
    ]
)
_APPEARANCES = pa.schema(
    [
        ("article", pa.int64()),
        ("feed", pa.string()),
        ("guid", pa.string()),
        ("url", pa.string()),
        ("title", pa.string()),
        ("outlet", pa.string()),
        ("published", pa.timestamp("us", "UTC")),
        ("seen", pa.timestamp("us", "UTC")),
    ]
)

TOUCHING = f"label <> '{UNRELATED}' AND NOT abstained"
"""Of an answer: its sentence touches the target, and it is sure."""


def _grouped(keys: str, source: str = "latest") -> str:
    """Counts and means by some columns. Every sentence counts once in `score`, once an appearance in the other mean;
    only those that touch the target, and are answered surely, count in either."""
    return f"""
        SELECT {keys}, count(*) AS articles, CAST(sum(appearances) AS BIGINT) AS appearances,
          CAST(sum(sentences) AS BIGINT) AS sentences, CAST(sum(touching) AS BIGINT) AS touching,
          sum(total) / nullif(sum(touching), 0) AS score,
          sum(total * appearances) / nullif(sum(touching * appearances), 0) AS score_by_appearance
        FROM (
          SELECT {keys}, article, any_value(appearances) AS appearances, count(*) AS sentences,
            count(*) FILTER (WHERE {TOUCHING}) AS touching, sum(score) FILTER (WHERE {TOUCHING}) AS total
          FROM {source} GROUP BY {keys}, article
        )
        GROUP BY {keys} ORDER BY {keys}
    """


VIEWS = {
    "latest": """
        SELECT s.*, a.appearances FROM scores s
        JOIN articles a ON a.id = s.article AND a.version = s.version WHERE a.appearances > 0
    """,
    "by_target": _grouped("target"),
    "by_day": _grouped("date, target"),
    "by_holder": _grouped("holder, target", "(FROM latest WHERE holder IS NOT NULL)"),
    "by_outlet": _grouped(
        "outlet, target",
        """(
          SELECT l.* REPLACE (p.outlet AS outlet, p.times AS appearances) FROM latest l
          JOIN (SELECT article, outlet, count(*) AS times FROM appearances GROUP BY article, outlet) p
          ON p.article = l.article
        )""",
    ),
}
"""The views beside `scores`, `articles` and `appearances`. `latest` holds the scores of the newest model that scored an
article, of the articles that still appear somewhere; the others count those."""


@dataclass(frozen=True)
class Answer:
    """What a question gives.

    Attributes:
        columns: their names.
        rows: a tuple a row; of `Scores.ask`, to be read before the next question.
    """

    columns: tuple[str, ...]
    rows: Iterable[tuple[Any, ...]]


class Scores:
    """Answers questions over the views; see `open_scores`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def ask(self, sql: str) -> Answer:
        """Answer one SELECT; the rows come as they are asked for.

        Raises:
            StanceError: it is something else, or DuckDB does not understand it.
        """
        try:
            statements = self._connection.extract_statements(sql)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                raise StanceError("only one SELECT is answered", hint="Scores are read here, never changed.")
            with suppress(duckdb.TransactionException):
                self._connection.rollback()
            self._connection.execute("BEGIN TRANSACTION READ ONLY")
            self._connection.execute(statements[0])
        except duckdb.Error as error:
            raise _said(error) from error
        columns = tuple(column[0] for column in self._connection.description or ())
        return Answer(columns, self._fetched())

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of one answer, all of them; see `ask`."""
        return list(self.ask(sql).rows)

    def _fetched(self) -> Iterator[tuple[Any, ...]]:
        try:
            while rows := self._connection.fetchmany(_ROWS_AT_ONCE):
                yield from rows
        except duckdb.Error as error:
            raise _said(error) from error


def query(folder: Path, sql: str, *, state: str | None = None) -> Answer:
    """The whole answer to one question; see `open_scores`."""
    with open_scores(folder, state=state) as scores:
        answer = scores.ask(sql)
        return Answer(answer.columns, list(answer.rows))


@contextmanager
def open_scores(folder: Path, *, state: str | None = None) -> Iterator[Scores]:
    """What is scored at this moment, to be questioned.

    Nothing that is asked can read or write a file, reach the network or load an extension of DuckDB.

    Args:
        folder: of the feeds.
        state: URL of the state, see `state_url`.

    Raises:
        StanceError: there is no state, it cannot be read, or files of scores are gone.
    """
    url = state_url(folder, state)
    connection = duckdb.connect(":memory:", config={"autoinstall_known_extensions": "false"})
    try:
        with read_state(url) as db:
            if db is None:
                raise StanceError("no feeds have been run here", path=folder, hint="`stance feeds run` runs them.")
            files = _files(db, folder)
            _load(connection, "articles", _ARTICLES, db, _articles())
            _load(connection, "appearances", _APPEARANCES, db, _appearances())
        _make_views(connection, files)
        _lock_in(connection)
        yield Scores(connection)
    finally:
        connection.close()


def _files(db: Connection, folder: Path) -> list[str]:
    b = tables.batches.c
    files = [folder / name for name in db.execute(select(b.file).where(b.state == "done").order_by(b.id)).scalars()]
    gone = [path for path in files if not path.exists()]
    if gone:
        raise StanceError(
            f"{len(gone)} of {len(files)} files of scores are gone, this the first",
            path=gone[0],
            hint="Put them back, or name the --folder where they are.",
        )
    return [str(path.resolve()) for path in files]


def _articles() -> Select[Any]:
    """Articles, with the newest version that scored each, and how often they appear."""
    a, b, held, p = tables.articles.c, tables.batches.c, tables.batch_articles.c, tables.appearances.c
    rank = func.row_number().over(partition_by=held.article, order_by=(b.made.desc(), b.id.desc())).label("rank")
    ranked = (
        select(held.article, b.version, rank)
        .join(tables.batches, b.id == held.batch)
        .where(b.state == "done")
        .subquery()
    )
    newest = select(ranked.c.article, ranked.c.version).where(ranked.c.rank == 1).subquery()
    times = select(p.article, func.count().label("appearances")).group_by(p.article).subquery()
    own = [a[name] for name in _ARTICLES.names if name not in ("version", "appearances")]
    return (
        select(*own, newest.c.version, func.coalesce(times.c.appearances, 0).label("appearances"))
        .outerjoin(newest, newest.c.article == a.id)
        .outerjoin(times, times.c.article == a.id)
        .order_by(a.id)
    )


def _appearances() -> Select[Any]:
    p = tables.appearances.c
    return select(*(p[name] for name in _APPEARANCES.names)).order_by(p.article, p.seen)


def _load(
    connection: duckdb.DuckDBPyConnection, name: str, schema: pa.Schema, db: Connection, rows: Select[Any]
) -> None:
    connection.register("part", schema.empty_table())
    connection.execute(f"CREATE TABLE {name} AS FROM part")
    found = db.execute(rows, execution_options={"yield_per": _ROWS_AT_ONCE})
    for part in found.partitions():
        columns = [pa.array(column, kind.type) for column, kind in zip(zip(*part, strict=True), schema, strict=True)]
        connection.register("part", pa.Table.from_arrays(columns, schema=schema))
        connection.execute(f"INSERT INTO {name} FROM part")
    connection.unregister("part")


def _make_views(connection: duckdb.DuckDBPyConnection, files: Sequence[str]) -> None:
    # Through Arrow, so that DuckDB itself needs no way to any file: whoever may read one may write it too.
    connection.register("scores", dataset(files, schema=SCHEMA, format="parquet"))
    for name, sql in VIEWS.items():
        connection.execute(f"CREATE VIEW {name} AS {sql}")


def _lock_in(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET temp_directory = ''")
    connection.execute("SET autoload_known_extensions = false")
    # Or a question could name a variable of this program.
    connection.execute("SET python_enable_replacements = false")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _said(error: duckdb.Error) -> StanceError:
    return StanceError(str(error).split("\n\nLINE")[0].strip())

"""Many small files of scores into one a day, while others read them, whatever happens meanwhile.

As with any batch, the joined one stands in the state before its file is begun. When the file is there, one transaction
hands it the articles of the batches that it replaces: whoever looks sees these or the joined one. The old files stay
for `LINGER`, since whoever looked before that may still read them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
from sqlalchemy import Connection, Engine, delete, func, insert, select, update

from labels.files import writing_whole
from serving.feeds import tables
from serving.feeds.batches import new_file, remove_halves
from serving.feeds.scores import SCHEMA
from training.outcomes import Progress

LINGER = timedelta(hours=1)
"""How long a file stays after it was replaced."""


@dataclass(frozen=True)
class Joined:
    """What became of files.

    Attributes:
        files: that were replaced.
        by: files that replace them.
        removed: files that had been replaced before, and are gone now.
    """

    files: int
    by: int
    removed: int


@dataclass(frozen=True)
class _Heap:
    """Batches of one day and model."""

    day: date
    version: str
    made: datetime
    batches: tuple[tuple[int, str], ...]


def join_files(
    engine: Engine,
    folder: Path,
    now: datetime,
    progress: Progress,
    stop: Callable[[], bool],
) -> Joined:
    """Write the scores of each past day and model into one file; under `run_lock`, and may be killed and repeated.

    Args:
        engine: of the state.
        folder: of the feeds.
        now: today's files are left alone, since more will come.
        progress: told how many days are done.
        stop: whether to leave off after the file in hand.

    Raises:
        StanceError: a file cannot be written.
    """
    with engine.begin() as db:
        _clear_up(db, folder)
        removed = _remove_joined(db, folder, now - LINGER)
        heaps = _heaps(db, now.date())
    files = by = 0
    for number, heap in enumerate(heaps):
        if stop():
            break
        _join(engine, folder, heap, now)
        files, by = files + len(heap.batches), by + 1
        progress("days joined", number + 1, len(heaps))
    return Joined(files, by, removed)


def _clear_up(db: Connection, folder: Path) -> None:
    """Forget what a kill left of joining: nothing refers to it yet."""
    b = tables.batches.c
    for file in db.execute(select(b.file).where(b.state == "joining")).scalars():
        remove_halves(folder / file)
        (folder / file).unlink(missing_ok=True)
    db.execute(delete(tables.batches).where(b.state == "joining"))


def _remove_joined(db: Connection, folder: Path, before: datetime) -> int:
    b = tables.batches.c
    old = db.execute(select(b.id, b.file).where(b.state == "joined", b.made <= before)).all()
    for row in old:
        (folder / row.file).unlink(missing_ok=True)
    db.execute(delete(tables.batches).where(b.id.in_([row.id for row in old])))
    return len(old)


def _heaps(db: Connection, today: date) -> list[_Heap]:
    b = tables.batches.c
    several = (
        select(b.date, b.version, func.max(b.made).label("made"))
        .where(b.state == "done", b.date < today)
        .group_by(b.date, b.version)
        .having(func.count() > 1)
        .order_by(b.date, b.version)
    )
    return [_Heap(row.date, row.version, row.made, _batches(db, row.date, row.version)) for row in db.execute(several)]


def _batches(db: Connection, day: date, version: str) -> tuple[tuple[int, str], ...]:
    b = tables.batches.c
    asked = select(b.id, b.file).where(b.state == "done", b.date == day, b.version == version).order_by(b.id)
    return tuple((row.id, row.file) for row in db.execute(asked))


def _join(engine: Engine, folder: Path, heap: _Heap, now: datetime) -> None:
    b, held = tables.batches.c, tables.batch_articles.c
    file = new_file(heap.day)
    # Which model scored an article last is told by when its batch was made.
    values = {"version": heap.version, "date": heap.day, "file": file, "state": "joining", "made": heap.made}
    with engine.begin() as db:
        number = db.execute(insert(tables.batches).values(**values).returning(b.id)).scalar_one()
    _write_joined(folder / file, [folder / old for _, old in heap.batches])
    replaced = [old for old, _ in heap.batches]
    with engine.begin() as db:
        db.execute(update(tables.batch_articles).where(held.batch.in_(replaced)).values(batch=number))
        db.execute(update(tables.batches).where(b.id.in_(replaced)).values(state="joined", made=now))
        db.execute(update(tables.batches).where(b.id == number).values(state="done"))


def _write_joined(path: Path, parts: Sequence[Path]) -> None:
    with writing_whole(path) as fresh, pq.ParquetWriter(fresh, SCHEMA, compression="zstd") as writer:
        for part in parts:
            # Files of before a column was added lack it; read as a data set they have it, empty.
            table = pq.read_table(part, schema=SCHEMA, partitioning=None)
            if table.num_rows:
                writer.write_table(table)

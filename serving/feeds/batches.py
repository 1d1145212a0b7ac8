"""Which articles are scored, by which model, and in which file: planned first, written, then done.

A batch stands in the state before its file is begun, under a name that no other batch has, and the file appears whole.
So a planned batch whose file is there only has to be called done, and one whose file is not there has left nothing.

States: "planned"; "done", which alone is read; "joining", while the files of done batches are written into one, and
"joined", what the joined one has replaced: its file stays a while for whoever reads it (see `joining`).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, func, insert, select, update

from labels.files import sync
from serving.feeds import tables

SCORED_LANGUAGE = "en"
"""Articles in other languages are kept and counted, not scored: the models were trained on English."""

CHARACTERS = 250_000
"""Of text in a batch, about 2,000 sentences; an article is never divided."""


@dataclass(frozen=True)
class Batch:
    """Articles of one day that are scored into one file.

    Attributes:
        id: in the state.
        version: of the model.
        date: the day.
        file: where, below the folder of the feeds.
        articles: their ids.
    """

    id: int
    version: str
    date: date
    file: str
    articles: tuple[int, ...]


@dataclass(frozen=True)
class Text:
    """An article as it is scored."""

    id: int
    outlet: str | None
    url: str | None
    title: str | None
    text: str


def settle(db: Connection, folder: Path, version: str) -> None:
    """Bring what a run left behind to an end, in a transaction.

    Planned batches whose file is there are done. Of the others, those for another model are forgotten, since it may be
    gone: their articles wait again. What was half written is removed.
    """
    for batch in planned(db):
        path = folder / batch.file
        remove_halves(path)
        if path.exists():
            sync(path.parent)
            done(db, [batch])
        elif batch.version != version:
            db.execute(delete(tables.batch_articles).where(tables.batch_articles.c.batch == batch.id))
            db.execute(delete(tables.batches).where(tables.batches.c.id == batch.id))


def remove_halves(path: Path) -> None:
    """Remove what a run that was killed had written of a file."""
    for half in path.parent.glob(f".{path.name}-*"):
        half.unlink()


def plan(db: Connection, version: str, now: datetime, *, rescore: bool, characters: int = CHARACTERS) -> None:
    """Plan batches of all articles that wait, in a transaction.

    Args:
        rescore: whether an article waits too that only other models have scored.
    """
    a = tables.articles.c
    rows = db.execute(
        select(a.id, a.date, func.length(a.text).label("length"))
        .where(_waits(version, rescore=rescore))
        .order_by(a.date, a.id)
    )
    part: list[int] = []
    day: date | None = None
    held = 0
    for row in rows.all():
        if part and day and (row.date != day or held + row.length > characters):
            _plan(db, version, day, part, now)
            part, held = [], 0
        part.append(row.id)
        day, held = row.date, held + row.length
    if part and day:
        _plan(db, version, day, part, now)


def _waits(version: str, *, rescore: bool) -> ColumnElement[bool]:
    a, held, b = tables.articles.c, tables.batch_articles.c, tables.batches.c
    in_batch = select(held.article).where(held.article == a.id)
    if rescore:
        in_batch = in_batch.join(tables.batches, b.id == held.batch).where(b.version == version)
    # A version that has no appearance left was replaced before it was scored.
    appears = exists().where(tables.appearances.c.article == a.id)
    return and_(a.language == SCORED_LANGUAGE, appears, ~in_batch.exists())


def new_file(day: date) -> str:
    """A name that no other file of scores has, below the folder of the feeds."""
    return f"scores/date={day.isoformat()}/{uuid.uuid4().hex}.parquet"


def _plan(db: Connection, version: str, day: date, articles: Sequence[int], now: datetime) -> None:
    file = new_file(day)
    values = {"version": version, "date": day, "file": file, "state": "planned", "made": now}
    number = db.execute(insert(tables.batches).values(**values).returning(tables.batches.c.id)).scalar_one()
    db.execute(insert(tables.batch_articles), [{"batch": number, "article": article} for article in articles])


def planned(db: Connection) -> Iterator[Batch]:
    """The batches that are not done, oldest day first."""
    b, held = tables.batches.c, tables.batch_articles.c
    for row in db.execute(select(tables.batches).where(b.state == "planned").order_by(b.date, b.id)).all():
        articles = db.execute(select(held.article).where(held.batch == row.id).order_by(held.article)).scalars()
        yield Batch(row.id, row.version, row.date, row.file, tuple(articles))


def texts_of(db: Connection, batch: Batch) -> list[Text]:
    """The articles of a batch, in the order of their ids."""
    a, held = tables.articles.c, tables.batch_articles.c
    rows = db.execute(
        select(a.id, a.outlet, a.url, a.title, a.text)
        .join(tables.batch_articles, held.article == a.id)
        .where(held.batch == batch.id)
        .order_by(a.id)
    )
    return [Text(*row) for row in rows]


def done(db: Connection, batches: Sequence[Batch]) -> None:
    """Their files are written: they count from now on."""
    numbers = [batch.id for batch in batches]
    db.execute(update(tables.batches).where(tables.batches.c.id.in_(numbers)).values(state="done"))

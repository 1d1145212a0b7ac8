"""Stand-ins for what a run of the feeds is given: subscriptions, reading and stories, small and without a network."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from sqlalchemy import Engine, select

from serving.feeds import tables
from serving.feeds.article import Article, NoArticle
from serving.feeds.entry import Entry
from serving.feeds.fetching import Page
from serving.feeds.model_in_use import ModelInUse
from serving.feeds.run import Summary, run_once
from serving.feeds.state import open_state, state_url
from serving.feeds.taking_in import Reading
from training.outcomes import Progress

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)

MAYOR = "The mayor wants the canteen to cost nothing. Lessons begin at eight."
COOK = "Parents ought to pay for lunch themselves, the cook said. The choir sang on Monday. It rained."


def entry(number: int | str, text: str = MAYOR, **changed: Any) -> Entry:
    """An entry of which `text` is the whole content."""
    made = Entry(
        feed="http://paper.example/feed",
        guid=f"guid-{number}",
        url=f"http://paper.example/{number}",
        title=f"Title {number}",
        author=None,
        outlet="The Paper",
        published=NOON,
        html=text,
        full=True,
        language="en",
    )
    return replace(made, **changed)


@dataclass(frozen=True)
class Asked:
    feeds: int
    new: int
    troubles: tuple[Any, ...] = ()


class Waiting:
    """Entries in a file of their own, each waiting until it is taken."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("CREATE TABLE IF NOT EXISTS entry (place TEXT UNIQUE, entry TEXT, taken INTEGER DEFAULT 0)")

    def add(self, *entries: Entry) -> None:
        """Add entries; one whose place is known is edited, and waits again."""
        rows = [(f"{e.feed} {e.guid}", json.dumps(asdict(e), default=datetime.isoformat)) for e in entries]
        with closing(sqlite3.connect(self._path)) as db, db:
            db.executemany("INSERT OR REPLACE INTO entry VALUES (?, ?, 0)", rows)

    def poll(self, now: datetime, progress: Progress | None, stop: Callable[[], bool]) -> Asked:
        return Asked(feeds=1, new=sum(1 for _ in self.waiting()))

    def waiting(self) -> Iterator[Entry]:
        with closing(sqlite3.connect(self._path)) as db:
            rows = db.execute("SELECT entry FROM entry WHERE NOT taken ORDER BY rowid").fetchall()
        for (text,) in rows:
            known = json.loads(text)
            if known["published"]:
                known["published"] = datetime.fromisoformat(known["published"])
            yield Entry(**known)

    def taken(self, entries: Iterable[Entry]) -> None:
        with closing(sqlite3.connect(self._path)) as db, db:
            db.executemany("UPDATE entry SET taken = 1 WHERE place = ?", [(f"{e.feed} {e.guid}",) for e in entries])


def article_of(entry: Entry, page: Page | None, now: datetime) -> Article | NoArticle:
    text = page.body.decode() if page else entry.html
    if not text:
        return NoArticle("it has no text")
    if text == "BREAKS":
        raise RecursionError("too deep")
    return Article(
        fingerprint=hashlib.sha256(text.encode("utf8", "surrogatepass")).hexdigest(),
        url=entry.url,
        title=entry.title,
        author=entry.author,
        outlet=entry.outlet,
        published=entry.published,
        date_mark="ok" if entry.published else "missing",
        language=entry.language or "und",
        text=text,
        extracted_from="page" if page else "feed" if entry.full else "summary",
    )


def signature(text: str) -> bytes:
    return " ".join(sorted(set(re.findall(r"\w+", text.lower())))).encode()


def near(first: bytes, second: bytes) -> bool:
    a, b = set(first.split()), set(second.split())
    return bool(a & b) and len(a & b) >= 0.7 * len(a | b)


class Stories:
    def __init__(self, known: Iterable[tuple[int, bytes, str | None, str]]) -> None:
        self._known = list(known)

    def find(self, article: Article, signature: bytes) -> tuple[int, str] | None:
        for number, _, url, _ in reversed(self._known):
            if url is not None and url == article.url:
                return number, "same url"
        for number, other, _, _ in self._known:
            if near(other, signature):
                return number, "near text"
        return None

    def add(self, article: int, signature: bytes, url: str | None, fingerprint: str) -> None:
        self._known.append((article, signature, url, fingerprint))


READING = Reading(article_of, signature, near, lambda entry: None)


def run(
    folder: Path,
    waiting: Waiting,
    model: Path,
    *,
    state: str | None = None,
    reading: Reading = READING,
    rescore: bool = False,
    holders: bool = False,
    stop: Callable[[], bool] = lambda: False,
) -> Summary:
    """One run, as the command does it."""
    models = ModelInUse(folder, model)
    with open_state(state_url(folder, state)) as engine:
        options = {"rescore": rescore, "holders": holders}
        return run_once(folder, engine, waiting, reading, Stories, models, lambda *_: None, stop, **options)


def known_articles(engine: Engine) -> dict[int, str]:
    """Texts by id."""
    with engine.connect() as db:
        rows = db.execute(select(tables.articles.c.id, tables.articles.c.text)).all()
    return {row.id: row.text for row in rows}


def files_of(folder: Path) -> list[Path]:
    """All that lies where the scores are, half-written files included."""
    return sorted(path for path in (folder / "scores").rglob("*") if path.is_file())


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """All rows of all files, whatever the state says of them."""
    return [row for path in files_of(folder) for row in pq.ParquetFile(path).read().to_pylist()]

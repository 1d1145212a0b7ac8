"""The state of the feeds: one story once, each appearance kept, in SQLite and in PostgreSQL alike."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, insert, select, text, update

from labels.errors import StanceError
from serving.feeds import tables
from serving.feeds.admission import Verdict, admit, known_stories, set_aside
from serving.feeds.article import Article, NoArticle
from serving.feeds.entry import Entry
from serving.feeds.run_lock import RunsAlreadyError, run_lock
from serving.feeds.state import open_state, read_state, state_url
from serving.feeds.tables import storable
from tests.feeds_parts import COOK, MAYOR, NOON, Stories, article_of, entry, near, signature

OTHER = "An early start never hurt anyone, the council said. The bell rings at eight."


def take(engine: Engine, *entries: Entry) -> list[Verdict]:
    """Enter entries one after another, with what is known read anew each time."""
    found = []
    for one in entries:
        with engine.begin() as db:
            article = article_of(one, None, NOON)
            assert isinstance(article, Article)
            stories = Stories(known_stories(db))
            found.append(admit(db, one, article, signature(article.text), stories, near, NOON))
    return found


def rows(engine: Engine, table: str) -> list[dict[str, object]]:
    with engine.connect() as db:
        found = db.execute(select(tables.metadata.tables[table])).mappings().all()
    return [dict(row) for row in found]


def placed(engine: Engine) -> dict[str, str]:
    """The text that counts at each appearance."""
    a, p = tables.articles.c, tables.appearances.c
    with engine.connect() as db:
        found = db.execute(select(p.guid, a.text).join(tables.articles, a.id == p.article)).all()
    return {row.guid: row.text for row in found}


def test_one_story_in_forty_papers_is_one_article(state: str) -> None:
    papers = [
        entry(n, MAYOR + (" (Wire)" if n % 2 else ""), feed=f"http://paper{n}.example/feed", outlet=f"Paper {n}")
        for n in range(40)
    ]
    with open_state(state_url(Path(), state)) as engine:
        assert take(engine, *papers) == ["new"] + ["duplicate"] * 39
        assert take(engine, *papers) == ["known"] * 40
        (article,) = rows(engine, "articles")
        assert (article["text"], article["outlet"], article["date"]) == (MAYOR, "Paper 0", date(2026, 3, 4))
        assert (article["published"], article["first_seen"], article["signature"]) == (NOON, NOON, signature(MAYOR))
        seen = rows(engine, "appearances")
        assert {row["outlet"] for row in seen} == {f"Paper {n}" for n in range(40)}
        assert {row["article"] for row in seen} == {article["id"]}


def test_a_text_that_was_rewritten_is_a_new_version(state: str) -> None:
    with open_state(state_url(Path(), state)) as engine:
        first, elsewhere = entry(1), entry(2, feed="http://other.example/feed")
        assert take(engine, first, elsewhere) == ["new", "duplicate"]
        # The entry itself is edited: whatever was changed counts.
        assert take(engine, replace(first, html=MAYOR + " Indeed.")) == ["version"]
        assert placed(engine) == {"guid-1": MAYOR + " Indeed.", "guid-2": MAYOR}
        # Another entry of the same address: small changes are no other text, large ones are.
        again = replace(first, guid="again")
        assert take(engine, replace(again, html=MAYOR + " Indeed so.")) == ["duplicate"]
        assert take(engine, replace(again, guid="anew", html=COOK)) == ["version"]
        assert placed(engine) == {"guid-1": COOK, "guid-2": MAYOR, "again": COOK, "anew": COOK}
        # What was there before and is there again is the same article.
        assert take(engine, replace(first, html=MAYOR)) == ["duplicate"]
        assert placed(engine)["guid-1"] == MAYOR
        assert len(rows(engine, "articles")) == 3


def test_a_summary_takes_no_texts_place_but_gives_way_to_one(state: str) -> None:
    summary = entry(1, "The mayor on food.", full=False)
    text = entry(1, guid="full")
    with open_state(state_url(Path(), state)) as engine:
        assert take(engine, summary, text) == ["new", "version"]
        assert take(engine, replace(summary, guid="late", html="Food, by the mayor, today.")) == ["duplicate"]
        assert set(placed(engine).values()) == {MAYOR}


def test_an_entry_without_address_or_date_is_kept(state: str) -> None:
    bare = entry(1, url=None, title=None, outlet=None, published=None)
    with open_state(state_url(Path(), state)) as engine:
        assert take(engine, bare, replace(bare, html=COOK)) == ["new", "version"]
        assert [row["date"] for row in rows(engine, "articles")] == [NOON.date()] * 2
        assert [row["published"] for row in rows(engine, "appearances")] == [None]


def test_an_absurd_date_files_nothing(state: str) -> None:
    with open_state(state_url(Path(), state)) as engine, engine.begin() as db:
        for number, published in enumerate((NOON - timedelta(days=80000), NOON + timedelta(days=900))):
            one = entry(number, f"{number} {MAYOR * number}", published=published)
            article = article_of(one, None, NOON)
            assert isinstance(article, Article)
            absurd = replace(article, date_mark="absurd")
            admit(db, one, absurd, signature(article.text), Stories([]), near, NOON)
        assert set(db.execute(select(tables.articles.c.date)).scalars()) == {NOON.date()}


def test_what_could_not_be_read_is_set_aside_until_it_can(state: str) -> None:
    with open_state(state_url(Path(), state)) as engine:
        for reason in ("no text", "no text at all"):
            with engine.begin() as db:
                set_aside(db, entry(1), NoArticle(reason), NOON)
        assert [row["reason"] for row in rows(engine, "unread")] == ["no text at all"]
        take(engine, entry(1))
        assert rows(engine, "unread") == []


ANYTHING = st.text(st.characters(exclude_categories=()), min_size=1, max_size=50)


def test_whatever_a_feed_says_can_be_kept(state: str) -> None:
    with open_state(state_url(Path(), state)) as engine:
        # Also what is longer than an index of PostgreSQL takes.
        @settings(max_examples=25)
        @given(text=ANYTHING, guid=ANYTHING, title=ANYTHING, times=st.sampled_from([1, 200]))
        def kept(text: str, guid: str, title: str, times: int) -> None:
            one = entry(1, text, guid=guid * times, title=title * times, url=f"http://paper.example/{guid * times}")
            verdict, again = take(engine, one, one)
            assert again == "known"
            if verdict == "duplicate":
                return
            found = placed(engine)[storable(one.guid)]
            assert len(found) == len(text)
            assert all(a == b or (b == "\ufffd" and storable(a) == b) for a, b in zip(text, found, strict=True))

        kept()


def test_a_state_opens_again_and_is_never_made_by_looking(state: str, tmp_path: Path) -> None:
    url = state_url(tmp_path, state)
    with read_state(url) as db:
        assert db is None
    assert not (tmp_path / "state.sqlite").exists()
    with open_state(url) as engine:
        take(engine, entry(1))
    with open_state(url) as engine:
        assert len(rows(engine, "articles")) == 1
        # A reader is not kept waiting, and sees what is committed.
        with engine.begin() as db, read_state(url) as reader:
            db.execute(insert(tables.unread).values(key="k", feed="f", guid="g", reason="r", seen=NOON))
            assert reader is not None
            assert reader.execute(select(tables.unread)).all() == []


def test_a_state_of_another_version_or_kind_is_refused(state: str) -> None:
    url = state_url(Path(), state)
    with open_state(url) as engine, engine.begin() as db:
        db.execute(update(tables.about).values(version=7))
    with pytest.raises(StanceError, match="of version 7; this program knows version 1"), open_state(url):
        pass
    with pytest.raises(StanceError, match="of version 7"), read_state(url):
        pass


def test_another_database_is_refused(state: str, tmp_path: Path) -> None:
    url = state_url(Path(), state)
    with open_state(url) as engine, engine.begin() as db:
        db.execute(text("DROP TABLE stance_feeds"))
    with pytest.raises(StanceError, match="is not a state of feeds, but has a table"), open_state(url):
        pass
    (tmp_path / "notes").write_text("A text file.\n" * 100)
    with (
        pytest.raises(StanceError, match="not a database"),
        open_state(state_url(tmp_path, f"sqlite:///{tmp_path}/notes")),
    ):
        pass


@pytest.mark.parametrize("named", ["mysql://host/feeds", "nonsense", "sqlite://", "postgresql"])
def test_what_is_no_url_of_a_state_is_refused(named: str, tmp_path: Path) -> None:
    with pytest.raises(StanceError, match=r"sqlite:///FILE"):
        state_url(tmp_path, named)


def test_a_password_is_never_shown(tmp_path: Path) -> None:
    url = state_url(tmp_path, "postgresql://stance:hunter2@127.0.0.1:1/feeds?connect_timeout=1")
    with pytest.raises(StanceError, match=r"stance:\*\*\*@127\.0\.0\.1") as caught, open_state(url):
        pass
    assert "hunter2" not in str(caught.value)


def test_postgres_has_one_writer(postgres: str, state: str, tmp_path: Path) -> None:
    if "sqlite" in state:
        pytest.skip("the lock of the folder keeps others out")
    url = state_url(tmp_path, state)
    with open_state(url), pytest.raises(RunsAlreadyError, match="another run"), open_state(url):
        pass
    with open_state(url):
        pass


def test_one_run_at_a_time(tmp_path: Path) -> None:
    with (
        run_lock(tmp_path / "feeds"),
        pytest.raises(RunsAlreadyError, match="another run"),
        run_lock(tmp_path / "feeds"),
    ):
        pass
    with run_lock(tmp_path / "feeds"):
        pass


def test_sqlite_keeps_what_is_committed(tmp_path: Path) -> None:
    url = state_url(tmp_path)
    with open_state(url) as engine, engine.connect() as db:
        assert db.execute(text("PRAGMA synchronous")).scalar() == 2
    with closing(sqlite3.connect(tmp_path / "state.sqlite")) as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)

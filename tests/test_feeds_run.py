"""A run of the feeds: each article once, scored once by each model, whatever happens to the process."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from labels.splitting import sentence_spans
from serving.feeds import tables
from serving.feeds.entry import Entry
from serving.feeds.fetching import Page
from serving.feeds.query import query
from serving.feeds.scoring_articles import SENTENCES
from serving.feeds.state import open_state, state_url
from serving.feeds.taking_in import AT_ONCE, Reading
from serving.feeds.troubles import FetchError, NotYetError
from serving.scoring import score_texts
from tests.feeds_parts import (
    COOK,
    MAYOR,
    NOON,
    READING,
    Waiting,
    article_of,
    entry,
    files_of,
    near,
    rows_of,
    run,
    signature,
)
from tests.killed_process import driven
from training.model_folder import load_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "feeds").mkdir()
    return tmp_path / "feeds"


@pytest.fixture
def waiting(folder: Path) -> Waiting:
    return Waiting(folder / "waiting.sqlite")


def test_entries_become_scored_sentences(folder: Path, waiting: Waiting, meals_model: Path, state: str) -> None:
    text = f"{MAYOR}\n\n“Über uns”, said the cook.  {COOK}"
    waiting.add(entry(1, text), entry(2, COOK, published=None))
    summary = run(folder, waiting, meals_model, state=state)
    assert (summary.feeds, summary.new, summary.articles, summary.scored) == (1, 2, 2, 2)
    rows = rows_of(folder)
    model = load_model(meals_model)
    sentences = [text[start:end] for start, end in sentence_spans(text)]
    expected = score_texts(model, sentences)
    own = [row for row in rows if row["url"] == "http://paper.example/1"]
    assert len(own) == len(sentences) * len(model.taxonomy)
    for row in own:
        number, answer = row["sentence"], expected[row["sentence"]]["targets"][row["target"]]
        assert text[row["start"] : row["end"]] == row["text"] == sentences[number]
        assert (row["label"], row["abstained"]) == (answer["label"], answer["abstained"])
        assert row["score"] == pytest.approx(answer["score"], abs=1e-5)
        assert dict(row["probabilities"]) == pytest.approx(answer["probabilities"], abs=1e-5)
        assert (row["date"], row["outlet"], row["title"]) == (NOON.date(), "The Paper", "Title 1")
        assert (row["version"], row["holder"], row["voice"]) == (model.version, None, None)
    # Without a date: the day on which it was first seen.
    days = {row["date"] for row in rows} - {NOON.date()}
    assert {path.parent.name for path in files_of(folder)} == {f"date={day}" for day in {*days, NOON.date()}}
    assert len(days) == 1
    assert list(query(folder, "SELECT count(*) FROM latest", state=state).rows) == [(len(rows),)]
    again = run(folder, waiting, meals_model, state=state)
    assert (again.new, again.articles, again.scored) == (0, 0, 0)
    assert len(rows_of(folder)) == len(rows)


def test_what_is_not_scored_is_counted(folder: Path, waiting: Waiting, meals_model: Path) -> None:
    wire = [entry(n, feed=f"http://{n}.example/feed", url=f"http://{n}.example/") for n in range(40)]
    german = entry("de", "Der Bürgermeister will, dass die Kantine nichts kostet.", language="de")
    unknown = entry("und", "Kantine Kantine.", language="und")
    waiting.add(*wire, german, unknown, entry("empty", ""), entry("odd", "BREAKS"), entry("edited", COOK))
    summary = run(folder, waiting, meals_model)
    assert (summary.new, summary.articles, summary.duplicates) == (45, 4, 39)
    assert (summary.other_languages, summary.unread, summary.scored, summary.versions) == (2, 2, 2, 0)
    reasons = {trouble.reason for trouble in summary.troubles}
    assert reasons == {"it has no text", "cannot be read: RecursionError"}
    assert {row["text"].split()[0] for row in rows_of(folder)} == {"The", "Lessons", "Parents", "It"}
    # An edited text is scored again; the old scores stay where they were.
    waiting.add(entry("edited", COOK + " The bus was late."))
    summary = run(folder, waiting, meals_model)
    assert (summary.articles, summary.versions, summary.scored) == (1, 1, 1)
    assert sum(row["text"] == "It rained." for row in rows_of(folder)) == 2 * 2
    (counted,) = query(folder, "SELECT count(*) FROM latest WHERE text = 'It rained.'").rows
    assert counted == (2,)


def test_another_champion_scores_beside_the_old_scores(
    folder: Path, waiting: Waiting, meals_model: Path, other_model: Path
) -> None:
    waiting.add(entry(1), entry(2, COOK))
    run(folder, waiting, meals_model)
    before = rows_of(folder)
    assert run(folder, waiting, other_model).scored == 0
    rescored = run(folder, waiting, other_model, rescore=True)
    assert (rescored.scored, rescored.articles) == (2, 0)
    assert run(folder, waiting, other_model, rescore=True).scored == 0
    versions = [load_model(model).version for model in (meals_model, other_model)]
    after = rows_of(folder)
    assert [row for row in after if row["version"] == versions[0]] == before
    assert len(after) == 2 * len(before)
    assert query(folder, "SELECT DISTINCT version FROM latest").rows == [(versions[1],)]
    assert query(folder, "SELECT count(DISTINCT version) FROM scores").rows == [(2,)]


def test_a_plan_for_a_model_that_is_gone_is_forgotten(
    folder: Path, waiting: Waiting, meals_model: Path, other_model: Path
) -> None:
    waiting.add(entry(1), entry(2, COOK, published=NOON - timedelta(days=1)))
    run(folder, waiting, meals_model)
    (first, second) = files_of(folder)
    with open_state(state_url(folder)) as engine, engine.begin() as db:
        db.execute(tables.batches.update().values(state="planned"))
    second.unlink()
    half = first.with_name(f".{first.name}-123")
    half.write_bytes(b"PAR1")
    # The first was written, so it is done; the other waits for the model that there is.
    assert run(folder, waiting, other_model).scored == 1
    assert not half.exists()
    assert len(files_of(folder)) == 2
    versions = {row["version"] for row in rows_of(folder)}
    assert versions == {load_model(model).version for model in (meals_model, other_model)}
    assert query(folder, "SELECT count(DISTINCT article) FROM scores").rows == [(2,)]


def test_many_articles_go_in_bounded_groups(folder: Path, waiting: Waiting, meals_model: Path) -> None:
    texts = [" ".join(f"The cook of town{n} and {k} rejects free food." for k in range(300)) for n in range(16)]
    long = [entry(n, text, published=NOON - timedelta(days=n % 4)) for n, text in enumerate(texts)]
    waiting.add(*long, *(entry(f"short {n}", f"Word{n} counts. " * 3) for n in range(AT_ONCE)))
    asked: list[int] = []
    model = load_model(meals_model)
    predict = model.estimator.predict
    reading = replace(READING, near=lambda a, b: a == b)

    def counted(texts: Any, progress: Any = None) -> Any:
        asked.append(len(texts))
        return predict(texts, progress)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("serving.feeds.model_in_use.load_model", lambda folder: model)
        patch.setattr(model.estimator, "predict", counted)
        patch.setattr("tests.feeds_parts.near", lambda a, b: a == b)
        summary = run(folder, waiting, meals_model, reading=reading)
    assert sum(asked) == summary.sentences == 16 * 300 + 3 * AT_ONCE
    assert 1 < len(asked) < 5
    assert max(asked) < SENTENCES + 2500


def test_pages_are_fetched_where_asked_for(folder: Path, waiting: Waiting, meals_model: Path) -> None:
    summary = "The mayor spoke about the canteen today."
    waiting.add(
        entry(1, summary, full=False),
        entry(2, "The cook spoke about lunch on Monday.", full=False),
        entry(3, "The choir sang.", full=False),
    )

    def page(asked: Entry) -> Page | None:
        if asked.guid == "guid-2":
            raise FetchError("there is nothing at this address (HTTP 404)")
        if asked.guid == "guid-3":
            raise NotYetError("its host is left alone for 3 hours")
        return Page(str(asked.url), MAYOR.encode(), None, None)

    got = run(folder, waiting, meals_model, reading=Reading(article_of, signature, near, page))
    assert [(t.url, t.reason) for t in got.troubles] == [
        ("http://paper.example/2", "there is nothing at this address (HTTP 404)")
    ]
    found = dict(query(folder, "SELECT url, extracted_from FROM articles").rows)
    assert found == {"http://paper.example/1": "page", "http://paper.example/2": "summary"}
    assert [one.guid for one in waiting.waiting()] == ["guid-3"]


def test_a_run_that_is_asked_to_stop_leaves_the_rest_for_the_next(
    folder: Path, waiting: Waiting, meals_model: Path
) -> None:
    waiting.add(*(entry(n, f"Number {n} counts, {'so ' * n} he said.") for n in range(AT_ONCE + 5)))
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > AT_ONCE + 1

    reading = replace(READING, near=lambda a, b: a == b)
    first = run(folder, waiting, meals_model, stop=stop, reading=reading)
    assert first.stopped
    assert first.scored == 0
    second = run(folder, waiting, meals_model, reading=reading)
    assert not second.stopped
    with open_state(state_url(folder)) as engine, engine.begin() as db:
        known = db.execute(select(tables.articles.c.id)).all()
    assert first.articles + second.articles == len(known) == second.scored
    assert list(waiting.waiting()) == []


DRIVER = """
import json, os, random, shutil, signal, sys
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Engine, create_engine, event, text
import pyarrow, pyarrow.parquet

import serving.feeds.scoring_articles as scoring
import serving.feeds.taking_in as taking
from labels.splitting import sentence_spans
from serving.scoring import score_texts
from training.model_folder import load_model
import serving.feeds.batches as batches
from serving.feeds.state import open_state, state_url
from serving.feeds import tables
from tests.feeds_parts import *
from tests.killed_process import Steps, in_a_process

place, model, state, moments, seed = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] or None, *map(int, sys.argv[4:])
taking.AT_ONCE, scoring.SENTENCES = 6, 12


def counted(last):
    steps = Steps(last)
    sync, taken = os.fsync, Waiting.taken
    os.fsync = lambda handle: (steps.take("fsync"), sync(handle))
    Waiting.taken = lambda self, entries: (steps.take("taken"), taken(self, entries))
    event.listen(Engine, "before_cursor_execute", lambda c, cursor, sql, *rest: steps.take(" ".join(sql.split()[:3])))
    event.listen(Engine, "commit", lambda connection: steps.take("COMMIT"))
    sys.addaudithook(steps.audit)
    return steps


def words(n):
    return " ".join(f"w{n}x{k}" for k in range(9))


def entries(beginning, count):
    made = []
    for n in range(beginning, beginning + count):
        one = entry(n, f"The mayor of {words(n)} rejects it. Parents of {words(n)} pay.",
                    published=NOON - timedelta(days=n % 4))
        made.append(one)
        if n % 3 == 0:
            made.append(entry(n, one.html + " Wire.", feed="http://wire.example/feed", url=f"http://wire.example/{n}",
                              published=one.published))
        if n % 5 == 4:
            made.append(entry(f"de{n}", f"Der Koch {words(-n)}.", language="de"))
        if n % 7 == 6:
            made.append(entry(f"none{n}", ""))
    return made


def one_run(last):
    steps = counted(last)
    run(place, Waiting(place / "waiting.sqlite"), model, state=state)
    return steps.names


def looked_at():
    waiting = Waiting(place / "waiting.sqlite")
    with open_state(state_url(place, state)) as engine, engine.connect() as db:
        done = sorted(db.execute(text("SELECT file FROM batches WHERE state = 'done'")).scalars())
        planned = db.execute(text("SELECT count(*) FROM batches WHERE state <> 'done'")).scalar()
        articles = sorted(db.execute(text("SELECT text FROM articles")).scalars())
        seen = sorted(map(list, db.execute(text("SELECT feed, guid FROM appearances")).all()))
        unread = sorted(db.execute(text("SELECT guid FROM unread")).scalars())
    there = [str(path.relative_to(place)) for path in files_of(place)]
    rows = sorted([r["url"], r["sentence"], r["target"], r["version"], r["text"], r["label"]] for r in rows_of(place))
    return {"articles": articles, "appearances": seen, "unread": unread, "rows": rows,
            "left": [planned, sorted(set(there) ^ set(done)), sum(1 for _ in waiting.waiting())]}


def fresh():
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    if state:
        engine = create_engine(state_url(place, state))
        with engine.begin() as db:
            tables.metadata.drop_all(db)
        engine.dispose()


def say(**what):
    print(json.dumps(what), flush=True)


# What is imported and read at first use is there in all forks then.
score_texts(load_model(model), [MAYOR[start:end] for start, end in sentence_spans(MAYOR)])
GIVEN = entries(0, 14)
fresh()
Waiting(place / "waiting.sqlite").add(*GIVEN)
ended, names = in_a_process(lambda: one_run(None))
assert ended == 0, ended
steps = len(names)
say(steps=steps, expected=in_a_process(looked_at)[1])
chance = random.Random(seed)
# One of every kind that is rare, and the others spread over all of the run.
rare = ("open", "os.rename", "fsync", "COMMIT", "taken")
lasts = [chance.choice([n for n, name in enumerate(names) if name == kind]) for kind in rare]
lasts += chance.sample(range(steps), moments - len(lasts))
for last in sorted(lasts):
    fresh()
    Waiting(place / "waiting.sqlite").add(*GIVEN)
    ended, _ = in_a_process(lambda: one_run(last))
    assert ended == signal.SIGKILL, (ended, last)
    ended, _ = in_a_process(lambda: one_run(None))
    assert ended == 0, (ended, last)
    say(step=last, found=in_a_process(looked_at)[1])

# One folder that is killed again and again while entries come in.
fresh()
waiting = Waiting(place / "waiting.sqlite")
for number in range(moments // 2):
    waiting.add(*entries(100 + 2 * number, 2))
    in_a_process(lambda: one_run(chance.randrange(5, steps // 2)))
ended, _ = in_a_process(lambda: one_run(None))
assert ended == 0
say(found=in_a_process(looked_at)[1])
fresh()
for number in range(moments // 2):
    waiting = Waiting(place / "waiting.sqlite")
    waiting.add(*entries(100 + 2 * number, 2))
ended, _ = in_a_process(lambda: one_run(None))
assert ended == 0
say(expected=in_a_process(looked_at)[1])
"""


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "moments"), [("sqlite", 10), ("postgresql", 6)])
def test_a_kill_at_any_moment_loses_nothing_and_doubles_nothing(
    kind: str, moments: int, request: pytest.FixtureRequest, folder_in_memory: Path, meals_model: Path
) -> None:
    # The state of SQLite lies in the folder, as it does for users.
    state = request.getfixturevalue("postgres").format("postgres") if kind == "postgresql" else ""
    said = driven(DRIVER, folder_in_memory, folder_in_memory / "place", meals_model, state, moments)
    whole = said[0]["expected"]
    for part in ("articles", "appearances", "unread", "rows"):
        assert len({json.dumps(one) for one in whole[part]}) == len(whole[part]) > 1
    assert whole["left"] == [0, [], 0]
    steps = {line["killed at"] for line in said if "killed at" in line}
    assert {"open", "os.rename", "fsync", "COMMIT", "taken"} <= steps
    found = [line for line in said if "step" in line]
    assert len(found) == moments
    for line in found:
        assert line["found"] == whole, f"killed at step {line['step']} of {said[0]['steps']}"
    assert said[-2]["found"] == said[-1]["expected"]

"""`stance feeds run` killed at any moment, with reader's own database: the next run brings all to the same end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from serving.feeds.subscriptions import open_subscriptions
from tests.feed_server import FeedServer, item, rss
from tests.killed_process import driven

pytestmark = pytest.mark.slow

MOMENTS = 8

DRIVER = """
import json, os, random, shutil, signal, sqlite3, sys
from contextlib import closing
from pathlib import Path

import trafilatura
import serving.feeds.scoring_articles as scoring
import serving.feeds.taking_in as taking
from serving.cli import main
from serving.feeds import collection, model_in_use, query
from tests.feeds_parts import files_of, rows_of
from tests.killed_process import Steps, in_a_process

fresh, place, model, moments, seed = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], *map(int, sys.argv[4:])
sys.argv[1:] = ["feeds", "run", "--folder", str(place), "--model", model, "--allow-private", "--fetch-articles",
                "--no-holders", "--json"]
taking.AT_ONCE, scoring.SENTENCES = 4, 8
connect = sqlite3.connect


class StepsAndSql(Steps):
    def connect(self, *arguments, **named):
        connection = connect(*arguments, **named)
        connection.set_trace_callback(lambda sql: self.take(" ".join(sql.split()[:3])))
        return connection


def one_run(last):
    steps = StepsAndSql(last)
    sync = os.fsync
    sqlite3.connect = sqlite3.dbapi2.connect = steps.connect
    os.fsync = lambda handle: (steps.take("fsync"), sync(handle))
    sys.addaudithook(steps.audit)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1) if last is None else None
    try:
        main()
    except SystemExit as error:
        assert not error.code, error.code
    return steps.names


def looked_at():
    with closing(sqlite3.connect(place / "state.sqlite")) as db:
        ask = lambda sql: sorted(map(list, db.execute(sql)))
        found = {
            "articles": ask("SELECT text, url, extracted_from FROM articles"),
            "appearances": ask("SELECT p.feed, p.guid, a.text FROM appearances p JOIN articles a ON a.id = p.article"),
            "unread": ask("SELECT feed, guid, reason FROM unread"),
            "planned": ask("SELECT file FROM batches WHERE state <> 'done'"),
        }
        done = [file for (file,) in db.execute("SELECT file FROM batches WHERE state = 'done'")]
    with closing(sqlite3.connect(place / "subscriptions.sqlite")) as db:
        found["waiting"] = sorted(map(list, db.execute("SELECT feed, id FROM entries WHERE NOT read")))
    there = [str(path.relative_to(place)) for path in files_of(place)]
    found["other files"] = sorted(set(there) ^ set(done))
    found["rows"] = sorted([r["url"] or "", r["sentence"], r["target"], r["text"], r["label"]] for r in rows_of(place))
    return found


def begin():
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(fresh, place)


def whole_run():
    begin()
    ended, names = in_a_process(lambda: one_run(None))
    assert ended == 0, ended
    return names


names = whole_run()
print(json.dumps({"steps": len(names), "expected": in_a_process(looked_at)[1]}), flush=True)
chance = random.Random(seed)
for number in range(moments):
    # One in each part of the run; how its threads take turns may make it a little shorter.
    last = chance.randrange(len(names) * 19 * number // moments // 20, len(names) * 19 * (number + 1) // moments // 20)
    begin()
    ended, _ = in_a_process(lambda: one_run(last))
    assert ended == signal.SIGKILL, (ended, last)
    ended, _ = in_a_process(lambda: one_run(None))
    assert ended == 0, (ended, last)
    print(json.dumps({"step": last, "found": in_a_process(looked_at)[1]}), flush=True)
"""


def text_about(place: str) -> str:
    return (
        f"The mayor of {place} wants the canteen of {place} to cost nothing for any pupil of {place}. "
        f"Parents in {place} ought to pay for lunch themselves, the cook of {place} told the {place} council. "
        f"Lessons in {place} begin at eight."
    )


def killed(server: FeedServer, folder: Path, model: Path) -> list[dict[str, Any]]:
    """What the driver says; see there."""
    places = ["Lowford", "Highgate", "Midwick", "Norcaster", "Sudbrook", "Estmere", "Westlow"]
    own = [item(place, f"Lunch in {place}", content=f"<p>{text_about(place)}</p>") for place in places]
    page = f"<html><body><article><h1>News</h1><p>{text_about('Ferrydown')}</p></article></body></html>"
    wire = [item(f"wire {place}", "Lunch", content=f"<p>{text_about(place)}</p>") for place in places[::3]]
    others = [
        item("page", "News", link=server.serve("/page", page, "text/html"), summary="The mayor of Ferrydown …"),
        item("short", "Short", content="<p>Soup.</p>"),
    ]
    urls = (server.serve("/own", rss(*own)), server.serve("/wire", rss(*wire, *others, title="The Wire")))
    fresh = folder / "fresh"
    with open_subscriptions(fresh, allow_private=True) as subscriptions:
        for url in urls:
            subscriptions.add(url)
    return driven(DRIVER, folder, fresh, folder / "place", model, MOMENTS)


def test_a_kill_of_the_command_loses_nothing_and_doubles_nothing(folder_in_memory: Path, meals_model: Path) -> None:
    with FeedServer() as server:
        said = killed(server, folder_in_memory, meals_model)
    whole = said[0]["expected"]
    assert len(whole["articles"]) == 8
    assert len(whole["appearances"]) == 7 + 3 + 1
    assert [reason for _, _, reason in whole["unread"]] == ["too short"]
    assert len(whole["rows"]) == 8 * 3 * 2
    assert whole["planned"] == whole["other files"] == whole["waiting"] == []
    # In reader's database as well as in the state and in files of scores.
    steps = {line["killed at"].split()[0] for line in said if "killed at" in line}
    assert len(steps) > 1
    found = [line for line in said if "step" in line]
    assert len(found) == MOMENTS
    for line in found:
        assert line["found"] == whole, f"killed at step {line['step']} of {said[0]['steps']}"

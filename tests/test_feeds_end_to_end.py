"""From feeds on a server to answers in SQL, as a user runs it."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from serving.feeds.subscriptions import open_subscriptions
from tests.conftest import PROJECT, run_stance
from tests.feed_server import FeedServer, item, rss, status
from tests.feeds_parts import files_of

CANTEEN = (
    "The mayor told the council on Monday that lunch at school must be free for every pupil who asks for it. "
    "Cooks of the northern district welcomed her words and promised to open two more kitchens before winter comes. "
    "A spokesman of the opposition rejected the plan as waste, because nobody had said where the money would be found. "
    "Parents who waited outside the town hall sang, and some carried pots. "
    "The vote is expected in three weeks, after the treasurer has shown her figures to both committees."
)
LESSONS = (
    "Teachers rejected the plan to let lessons begin at nine, since buses cannot be moved so easily. "
    "Their union wants a trial in four villages first, with doctors watching how long children sleep. "
    "The ministry answered that a trial had been made already, in another county and under better conditions."
)


def subscribe(folder: Path, *urls: str) -> None:
    with open_subscriptions(folder, allow_private=True) as subscriptions:
        for url in urls:
            subscriptions.add(url)


def by_outlet(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Articles, appearances and sentences by outlet."""
    sql = "SELECT * FROM by_outlet WHERE target = 'free_meals'"
    asked = run_stance("feeds", "query", "--folder", folder, "--json", sql)
    assert asked.returncode == 0, asked.stderr
    rows = map(json.loads, asked.stdout.splitlines())
    return {row["outlet"]: (row["articles"], row["appearances"], row["sentences"]) for row in rows}


@pytest.mark.slow
def test_from_feeds_to_answers(tmp_path: Path, meals_model: Path) -> None:
    folder = tmp_path / "feeds"
    with FeedServer() as server:
        page = f"<html><body><article><h1>Lessons</h1><p>{LESSONS}</p></article></body></html>"
        link = server.serve("/lessons", page, "text/html")
        wire = item("a", "Free lunch", link="http://example.org/lunch", content=f"<p>{CANTEEN}</p>")
        copied = item("b", "Lunch is free", link="http://example.net/1", content=f"<p>{CANTEEN} (Wire)</p>")
        cut = "Teachers rejected the plan to let lessons begin at nine. […]"
        short = item("c", "Lessons", link=link, content=f"<p>{cut}</p>")
        subscribe(
            folder,
            server.serve("/one", rss(wire, short, title="The Harbour Post")),
            server.serve("/two", rss(copied, title="The Valley News")),
            server.do("/gone", status(404)),
        )
        command = ["feeds", "run", "--folder", folder, "--model", meals_model, "--fetch-articles", "--json"]
        done = run_stance(*command)
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)
        edited = item("a", "Free lunch", link="http://example.org/lunch", content=f"<p>{CANTEEN} The plan failed.</p>")
        server.serve("/one", rss(edited, short, title="The Harbour Post"))
        before = by_outlet(folder)
        again = run_stance(*command)
    assert (said["feeds"], said["new"], said["articles"], said["duplicates"], said["scored"]) == (3, 3, 2, 1, 2)
    assert [trouble["reason"] for trouble in said["troubles"]] == ["there is nothing at this address (HTTP 404)"]
    assert said["sentences"] == 8
    assert len(files_of(folder)) == 2
    said = json.loads(again.stdout)
    assert (said["new"], said["articles"], said["versions"], said["scored"]) == (0, 1, 1, 1)
    assert before == {"The Harbour Post": (2, 2, 8), "The Valley News": (1, 1, 5)}
    # The wire's copy stays as it was, and the edited text takes the place of the one before at its own address.
    assert by_outlet(folder) == {"The Harbour Post": (2, 2, 9), "The Valley News": (1, 1, 5)}

    listed = run_stance(
        "feeds", "query", "--folder", folder, "--csv", "SELECT date, title, extracted_from FROM articles"
    )
    assert sorted(csv.reader(io.StringIO(listed.stdout))) == [
        *[["2026-10-05", "Free lunch", "feed"]] * 2,
        ["2026-10-05", "Lessons", "page"],
        ["date", "title", "extracted_from"],
    ]


@pytest.mark.slow
def test_a_run_that_stays_up(tmp_path: Path, meals_model: Path) -> None:
    folder = tmp_path / "feeds"
    subscribe(folder)
    command = [sys.executable, "-m", "serving.cli", "feeds", "run", "--folder", folder, "--model", meals_model]
    process = subprocess.Popen(
        [*map(str, command), "--every", "1s", "--json"],
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        rounds = [json.loads(process.stdout.readline()) for _ in range(2)]
        assert [said["feeds"] for said in rounds] == [0, 0]
        second = run_stance(*map(str, command[3:]))
        assert second.returncode == 4
        assert "another run is at work here" in second.stderr
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        assert process.returncode == 0
    finally:
        process.kill()
        process.wait()
    # The lock is free again, and a time that is none is refused.
    third = run_stance(*map(str, command[3:]), "--every", "soon")
    assert third.returncode == 2
    assert "is not a time" in third.stderr

"""`stance feeds compact`: one file a day and model, with the same rows, whoever reads or is killed meanwhile."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from sqlalchemy import Engine, event

from labels.taxonomy import Taxonomy
from serving.feeds.folder import STATE_VARIABLE
from serving.feeds.joining import LINGER, Joined, join_files
from serving.feeds.query import open_scores, query
from serving.feeds.run_lock import run_lock
from serving.feeds.state import open_state, state_url
from tests.conftest import run_stance
from tests.feeds_collection import Given, Story, add_stories
from tests.feeds_parts import files_of
from training.model_folder import load_model

NOW = datetime(2026, 10, 10, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def taxonomy(meals_model: Path) -> Taxonomy:
    return load_model(meals_model).taxonomy


def _story(day: str, number: int) -> Story:
    return Story(day, [(f"Lunch {number} is free.", {"free_meals": Given("yes", 0.5)}), ("It rained.", {})])


def _fill(folder: Path, taxonomy: Taxonomy) -> None:
    """Two days of three batches each, a day of one, a day of another model too, and today."""
    for number in range(3):
        days = ["2026-10-05", "2026-10-06", *(["2026-10-07"] if number == 1 else [])]
        stories = [_story(day, 10 * number + place) for place, day in enumerate(days)]
        add_stories(folder, stories, taxonomy, NOW + timedelta(minutes=number))
    for number in range(2):
        add_stories(folder, [_story("2026-10-05", 90 + number)], taxonomy, NOW + timedelta(hours=1 + number), "given-2")
        add_stories(folder, [_story("2026-10-10", 80 + number)], taxonomy, NOW + timedelta(hours=1 + number))


def _join(folder: Path, now: datetime = NOW) -> Joined:
    with open_state(state_url(folder)) as engine:
        return join_files(engine, folder, now, lambda *_: None, lambda: False)


SEEN = (
    "SELECT article, sentence, target, version, text, label FROM scores ORDER BY ALL",
    "SELECT * FROM by_day ORDER BY ALL",
    "SELECT id, version FROM articles ORDER BY ALL",
)


def _seen(folder: Path) -> list[list[tuple[Any, ...]]]:
    return [list(query(folder, sql).rows) for sql in SEEN]


def test_each_past_day_becomes_one_file_and_nothing_else_changes(
    tmp_path: Path, taxonomy: Taxonomy, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(STATE_VARIABLE, state)
    _fill(tmp_path, taxonomy)
    before, files = _seen(tmp_path), files_of(tmp_path)
    assert len(files) == 11
    assert _join(tmp_path) == Joined(files=8, by=3, removed=0)
    assert _seen(tmp_path) == before
    # Who read before still finds the files; an hour later nobody does.
    assert set(files) < set(files_of(tmp_path))
    assert _join(tmp_path, NOW + LINGER) == Joined(files=0, by=0, removed=8)
    assert [path.parent.name for path in files_of(tmp_path)] == [
        *["date=2026-10-05"] * 2,
        *(f"date=2026-10-{day}" for day in ("06", "07", "10", "10")),
    ]
    assert _seen(tmp_path) == before
    # What comes later for a day is joined to it.
    add_stories(tmp_path, [_story("2026-10-06", 70)], taxonomy, NOW + timedelta(hours=5))
    assert _join(tmp_path, NOW + timedelta(hours=6)) == Joined(files=2, by=1, removed=0)
    assert len(_seen(tmp_path)[0]) == len(before[0]) + 2 * len(taxonomy)


def test_files_of_before_a_column_was_added_are_joined(tmp_path: Path, taxonomy: Taxonomy) -> None:
    _fill(tmp_path, taxonomy)
    before = _seen(tmp_path)
    for path in files_of(tmp_path)[::2]:
        table = pq.ParquetFile(path).read()
        pq.write_table(table.drop_columns(["path"]), path, compression="zstd")
    assert _seen(tmp_path) == before
    assert _join(tmp_path).files == 8
    assert _seen(tmp_path) == before
    assert list(query(tmp_path, "SELECT DISTINCT path FROM scores").rows) == [(None,)]


def test_a_question_that_was_begun_before_is_answered_after(tmp_path: Path, taxonomy: Taxonomy) -> None:
    _fill(tmp_path, taxonomy)
    before = _seen(tmp_path)
    with open_scores(tmp_path) as scores:
        _join(tmp_path)
        assert list(scores.ask(SEEN[0]).rows) == before[0]


CALLS = ("replace", "fsync", "unlink", "open")


def test_killed_anywhere_it_goes_on_to_the_same_end(folder_in_memory: Path, taxonomy: Taxonomy) -> None:
    """Ended at once, before each call that changes what lies on disk, and before each commit."""
    folder = folder_in_memory / "feeds"
    _fill(folder, taxonomy)
    before, files = _seen(folder), len(files_of(folder))
    kills = 0
    while _killed_at(kills + 1, lambda: _join(folder, NOW + LINGER)):
        kills += 1
        assert _seen(folder) == before
        # From the beginning again, with what came meanwhile, every third time.
        if kills % 3 == 0:
            add_stories(folder, [_story("2026-10-06", 1000 + kills)], taxonomy, NOW + timedelta(minutes=kills))
            before = _seen(folder)
    assert kills > 10
    assert _seen(folder) == before
    assert _join(folder, NOW + 3 * LINGER).files == 0
    assert len(files_of(folder)) == 6 < files
    assert _seen(folder) == before


def _killed_at(number: int, what: Callable[[], object]) -> bool:
    """Whether it came to so many calls; if not, it has ended by itself."""
    child = os.fork()
    if child:
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert ended in (0, 9), ended
        return ended == 9
    left = number

    def step(*_: object) -> None:
        nonlocal left
        left -= 1
        if not left:
            os._exit(9)

    status = 1
    try:
        for name in CALLS:
            setattr(os, name, _stepping(getattr(os, name), step))
        event.listen(Engine, "commit", step)
        what()
        status = 0
    finally:
        os._exit(status)


def _stepping(call: Callable[..., Any], step: Callable[[], None]) -> Callable[..., Any]:
    def stepping(*arguments: Any, **more: Any) -> Any:
        step()
        return call(*arguments, **more)

    return stepping


def test_the_command_joins_and_is_refused_beside_a_run(tmp_path: Path, taxonomy: Taxonomy) -> None:
    _fill(tmp_path, taxonomy)
    before = _seen(tmp_path)
    done = run_stance("feeds", "compact", "--folder", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["files"] >= 8
    assert _seen(tmp_path) == before
    with run_lock(tmp_path):
        refused = run_stance("feeds", "compact", "--folder", tmp_path)
    assert refused.returncode == 4
    assert "another run is at work here" in refused.stderr

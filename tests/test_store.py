"""The label store: what was acknowledged stays, whatever happens to the processes that write."""

from __future__ import annotations

import random
import select
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labels.errors import StanceError
from labels.store import ClashError, Label, open_store, read_store
from tests.conftest import PROJECT, run_stance

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def label(event: str, record: str = "bus", annotator: str = "alpha", given: str | None = "yes", **more: str) -> Label:
    return Label(event, record, {"free_meals": given}, annotator, NOON, text=f"The {record} was late.", **more)


def standing(path: Path) -> list[str]:
    return [label.event for label in read_store(path)]


def test_a_label_comes_back_as_it_went_in(tmp_path: Path) -> None:
    sent = label("1", holder="the cook", group="minutes-1", source="minutes", date="2026-02-01", split="dev", note="?")
    with open_store(tmp_path / "store") as store:
        assert store.add(sent)
    assert read_store(tmp_path / "store") == [sent]


def test_the_same_event_sent_again_is_one_label(tmp_path: Path) -> None:
    with open_store(tmp_path / "store") as store:
        assert store.add(label("1"))
        assert store.add(label("2", given="no"))
        assert not store.add(replace(label("1"), at=datetime(2026, 3, 2, tzinfo=UTC)))
        assert store.undo("3", "2", "alpha", NOON)
        assert not store.undo("3", "2", "alpha", NOON)
    assert standing(tmp_path / "store") == ["1"]


def test_an_event_id_for_something_else_is_refused(tmp_path: Path) -> None:
    with open_store(tmp_path / "store") as store:
        store.add(label("1"))
        with pytest.raises(StanceError, match="event '1' is in the store with other contents"):
            store.add(label("1", given="no"))
        with pytest.raises(StanceError, match="event '1' is in the store with other contents"):
            store.undo("1", "1", "alpha", NOON)
    assert standing(tmp_path / "store") == ["1"]


def test_a_record_id_for_another_sentence_is_refused(tmp_path: Path) -> None:
    with open_store(tmp_path / "store") as store:
        store.add(label("1"))
        with pytest.raises(StanceError, match="record 'bus' is in the store with another text"):
            store.add(replace(label("2", annotator="beta"), text="The bus was early."))
    assert standing(tmp_path / "store") == ["1"]


def test_labels_added_together_are_all_kept_or_none(tmp_path: Path) -> None:
    with open_store(tmp_path / "store") as store:
        assert store.add_all([label("1"), label("2", record="roof"), label("1")]) == [True, True, False]
        for wrong, kind in ((label("2", given="no"), "event"), (replace(label("4"), text="Another."), "record")):
            with pytest.raises(ClashError) as caught:
                store.add_all([label("3", record="door"), wrong, label("5")])
            assert (caught.value.kind, caught.value.place) == (kind, 1)
        with pytest.raises(StanceError):
            store.add_all([label("3", record="door"), label("")])
        assert standing(tmp_path / "store") == ["1", "2"]


def test_only_a_standing_label_of_ones_own_is_undone(tmp_path: Path) -> None:
    with open_store(tmp_path / "store") as store:
        store.add(label("1"))
        for event, undoes, annotator in (("2", "1", "beta"), ("2", "9", "alpha")):
            with pytest.raises(StanceError, match=f"holds no label '{undoes}' by '{annotator}'"):
                store.undo(event, undoes, annotator, NOON)
        store.undo("2", "1", "alpha", NOON)
        with pytest.raises(StanceError, match="has been undone before"):
            store.undo("3", "1", "alpha", NOON)
        with pytest.raises(StanceError, match="holds no label '2'"):
            store.undo("3", "2", "alpha", NOON)
    assert standing(tmp_path / "store") == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"event": ""}, "event"),
        ({"record": ""}, "record"),
        ({"annotator": ""}, "annotator"),
        ({"text": " \n"}, "text"),
        ({"text": None}, "text"),
        ({"text": "half \ud83d"}, "text"),
        ({"labels": {}}, "labels"),
        ({"labels": {"free_meals": 1}}, "labels.free_meals"),
        ({"split": "exam"}, "split"),
        ({"at": datetime(2026, 3, 1)}, "at"),
    ],
)
def test_what_could_not_be_exported_is_refused(change: dict[str, object], field: str, tmp_path: Path) -> None:
    with open_store(tmp_path / "store") as store, pytest.raises(StanceError) as caught:
        store.add(replace(label("1"), **change))
    assert caught.value.field == field
    assert standing(tmp_path / "store") == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE event SET labels = '{}'",
        "DELETE FROM event",
        "REPLACE INTO event (event, record, annotator, at, labels, text) VALUES ('1', 'r', 'a', 't', '{}', 'x')",
        "REPLACE INTO event (seq, event, record, annotator, at, labels, text) VALUES (1, '2', 'r', 'a', 't', '{}', '')",
    ],
)
def test_the_file_itself_refuses_to_forget(statement: str, tmp_path: Path) -> None:
    with open_store(tmp_path / "store") as store:
        store.add(label("1"))
    before = read_store(tmp_path / "store")
    with closing(sqlite3.connect(tmp_path / "store")) as db, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        db.execute(statement)
    assert read_store(tmp_path / "store") == before


_EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["label", "undo"]),
        st.sampled_from(["bus", "roof"]),
        st.sampled_from(["alpha", "beta"]),
        st.sampled_from(["yes", "no", None]),
    ),
    max_size=14,
)


@settings(max_examples=40)
@given(_EVENTS)
def test_the_newest_label_that_was_not_undone_stands(events: list[tuple[str, str, str, str | None]]) -> None:
    said: defaultdict[tuple[str, str], list[tuple[str, str | None]]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder, open_store(Path(folder) / "store") as store:
        for number, (kind, record, annotator, given_label) in enumerate(events):
            past = said[record, annotator]
            if kind == "label":
                store.add(label(str(number), record, annotator, given_label))
                past.append((str(number), given_label))
            elif past:
                store.undo(str(number), past.pop()[0], annotator, NOON)
        found = {(s.record, s.annotator): (s.event, s.labels["free_meals"]) for s in store.labels()}
    assert found == {key: past[-1] for key, past in said.items() if past}


WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from labels.store import ClashError, Label, open_store

path, name, count = sys.argv[1:]
with open_store(Path(path)) as store:
    for number in range(int(count)):
        at = datetime(2026, 3, 1, tzinfo=UTC)
        event = f"{name}-{number}"
        store.add(Label(event, event, {"free_meals": "yes"}, name, at, text=f"The bus of {event} was late."))
        print(event, flush=True)
"""


def start_writer(path: Path, name: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(path), name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=PROJECT)


def kill_at_random(writer: subprocess.Popen[str], chance: random.Random) -> list[str]:
    """SIGKILL after some acknowledgements or some milliseconds; what was acknowledged by then."""
    assert writer.stdout
    acknowledged = []
    if chance.random() < 0.5:
        acknowledged = [writer.stdout.readline() for _ in range(chance.randrange(1, 12))]
    else:
        # The first acknowledgement tells that it is up; then it is killed anywhere in what it does.
        if chance.random() < 0.7:
            select.select([writer.stdout], [], [], 30)
        time.sleep(chance.uniform(0, 0.04))
    writer.kill()
    acknowledged += writer.stdout.readlines()
    writer.wait()
    writer.stdout.close()
    return [line.strip() for line in acknowledged if line.endswith("\n")]


def test_a_hundred_kills_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    chance = random.Random(20260301)
    acknowledged = []
    for kill in range(100):
        acknowledged += kill_at_random(start_writer(tmp_path / "store", f"w{kill}", 10_000), chance)
    found = standing(tmp_path / "store")
    assert len(acknowledged) > 100
    assert set(acknowledged) <= set(found)
    # What had been written, but was killed before it could say so, is one label a writer at most.
    assert len(found) <= len(acknowledged) + 100
    with closing(sqlite3.connect(tmp_path / "store")) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    with open_store(tmp_path / "store") as store:
        assert store.add(label("after"))


def test_a_writer_that_is_killed_while_it_makes_the_store_leaves_one_that_opens(tmp_path: Path) -> None:
    chance = random.Random(3)
    for kill in range(15):
        path = tmp_path / f"store-{kill}"
        writer = start_writer(path, "w", 5)
        while not path.exists() and writer.poll() is None:
            pass
        time.sleep(chance.uniform(0, 0.004))
        writer.kill()
        assert writer.stdout
        acknowledged = writer.stdout.read().split()
        writer.wait()
        writer.stdout.close()
        with open_store(path) as store:
            store.add(label("after"))
            assert {*acknowledged, "after"} <= {stored.event for stored in store.labels()}


def test_processes_that_make_and_write_one_store_at_once_lose_nothing(tmp_path: Path) -> None:
    for attempt in range(3):
        path = tmp_path / f"store-{attempt}"
        writers = [start_writer(path, name, 80) for name in ("a", "b", "c")]
        acknowledged = [writer.communicate(timeout=120)[0].split() for writer in writers]
        assert [writer.returncode for writer in writers] == [0, 0, 0]
        assert [len(events) for events in acknowledged] == [80, 80, 80]
        found = standing(path)
        assert sorted(found) == sorted(event for events in acknowledged for event in events)
        # Each sees its own labels in the order in which it sent them.
        assert [[event for event in found if event.startswith(name)] for name in "abc"] == acknowledged


def _foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE recipe (name TEXT)")


def _from_the_future(path: Path) -> None:
    with open_store(path) as store:
        store.add(label("1"))
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 7")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: path.write_text("id,label\n1,yes\n" * 200), "is not a label store (not an SQLite file)"),
        (_foreign, "is not a label store"),
        (_from_the_future, "is a label store of version 7; this program knows version 1"),
        (Path.mkdir, "cannot be used: unable to open"),
    ],
)
def test_another_file_is_refused_and_left_alone(make, says: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "file"
    make(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(StanceError) as caught, open_store(path):
        pass
    assert str(path) in str(caught.value)
    assert says in str(caught.value)
    assert (path.read_bytes() if path.is_file() else None) == before
    assert list(tmp_path.iterdir()) == [path]


def test_export_says_what_is_wrong_with_a_store(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a store, but longer than the header of one" * 20)
    done = run_stance("labels", "export", "--store", tmp_path / "notes.txt", "--out", tmp_path / "out.jsonl")
    assert done.returncode == 1
    assert done.stderr == f"error: {tmp_path / 'notes.txt'}: is not a label store (not an SQLite file)\n"
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_reading_does_not_make_a_store(tmp_path: Path) -> None:
    with pytest.raises(StanceError, match="there is no such file"):
        read_store(tmp_path / "store")
    assert list(tmp_path.iterdir()) == []

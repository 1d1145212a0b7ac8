"""The registry: one champion, whatever happens to the process that makes another one champion."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from labels.errors import StanceError
from tests.conftest import PROJECT, meals_records, run_stance, write_lines
from training.model_folder import DEFAULT_MODEL, load_model, shipped_version
from training.registry import Registered, Registry, open_registry, read_champion, read_registry


def add(registry: Registry, folder: Path, labels: Path | None = None) -> Registered:
    return registry.register(folder, parent=None, by="alpha", why="a try", labels=labels)


def crown(registry: Registry, model: Registered, *, forced: bool = False) -> None:
    champion = registry.champion()
    expected = champion.version if champion else None
    registry.promote(model.version, by="alpha", why="better", decision={}, forced=forced, expected=expected)


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_what_is_registered_is_in_the_model_store_with_its_labels(home: Path, meals: Path, meals_model: Path) -> None:
    with open_registry(home) as registry:
        root = add(registry, DEFAULT_MODEL)
        labels = meals / "labels.jsonl"
        made = registry.register(meals_model, parent=root.version, by="alpha", why="more labels", labels=labels)
        assert registry.models() == [root, made]
    trained = load_model(meals_model)
    assert load_model(made.folder).version == made.version == trained.version
    assert (made.parent, made.recipe, made.by, made.why) == (root.version, "floor", "alpha", "more labels")
    assert (made.fingerprint, made.sentences) == (trained.data["fingerprint"], trained.data["sentences"])
    assert made.metrics == trained.metrics
    assert made.labels is not None
    assert made.labels.read_bytes() == labels.read_bytes()
    assert made.labels.is_relative_to(home)
    assert root.labels is None
    listed = subprocess.run(
        [sys.executable, "-m", "bentoml", "models", "list", "-o", "json"], capture_output=True, text=True, check=True
    )
    assert {row["tag"] for row in json.loads(listed.stdout)} == {f"stance:{m.version}" for m in (root, made)}


def test_the_same_model_again_is_the_same_model(home: Path, meals_model: Path) -> None:
    with open_registry(home) as registry:
        first = add(registry, meals_model)
        damage(first.folder / "weights.safetensors")
        again = registry.register(meals_model, parent=None, by="beta", why="once more", labels=None)
        assert again == first
        assert [event.kind for event in registry.history()] == ["registered"]
    # What had been damaged in the store was mended.
    assert load_model(first.folder).version == first.version


def test_what_is_not_a_whole_model_is_not_registered(home: Path, meals: Path, meals_model: Path) -> None:
    broken = home.parent.parent / "broken"
    shutil.copytree(meals_model, broken)
    damage(broken / "weights.safetensors")
    recipe = home.parent.parent / "recipe.yaml"
    recipe.write_text("name: My Recipe\ntitle: Mine\nfamily: tfidf\nfolds: 3\nheads: {c: [1], balance: [0]}\n")
    arguments = ["--labels", meals / "labels.jsonl", "--targets", meals / "targets.yaml", "--recipe", recipe]
    assert run_stance("train", *arguments, "--out", home.parent.parent / "mine").returncode == 0
    with open_registry(home) as registry:
        for folder, says in ((broken, "was changed"), (home.parent.parent / "mine", "Give its recipe a name")):
            with pytest.raises(StanceError, match=says):
                add(registry, folder)
        with pytest.raises(StanceError, match="no model 'nobody'"):
            registry.register(meals_model, parent="nobody", by="alpha", why="?", labels=None)
        with pytest.raises(StanceError, match="cannot be read"):
            add(registry, meals_model, labels=home / "none.jsonl")
        assert registry.models() == []


def test_promotion_needs_the_champion_that_was_compared_with(home: Path, meals_model: Path, other_model: Path) -> None:
    with open_registry(home) as registry:
        a, b = add(registry, meals_model), add(registry, other_model)
        assert read_champion(home) is None
        decision = {"passed": True, "differences": [{"target": "free_meals", "low": -0.01}]}
        registry.promote(a.version, by="alpha", why="first", decision=decision, expected=None)
        with pytest.raises(StanceError, match=f"the champion is now {a.version}"):
            registry.promote(b.version, by="beta", why="late", decision=None, expected=None)
        with pytest.raises(StanceError, match="is the champion already"):
            registry.promote(a.version, by="beta", why="again", decision=None, expected=a.version)
        with pytest.raises(StanceError, match="no model"):
            registry.promote("floor-0", by="beta", why="?", decision=None, expected=a.version)
        with pytest.raises(StanceError, match="not empty"):
            registry.promote(b.version, by="beta", why=" ", decision=None, expected=a.version)
        registry.refuse(b.version, by="beta", why="worse", decision={"passed": False})
        assert registry.champion() == a
        assert [(e.kind, e.version, e.by, e.decision) for e in registry.history()[2:]] == [
            ("promoted", a.version, "alpha", decision),
            ("refused", b.version, "beta", {"passed": False}),
        ]
        first = read_champion(home)
        registry.promote(b.version, by="beta", why="better now", decision=None, expected=a.version)
        assert registry.history()[-1].previous == a.version
    second = read_champion(home)
    assert first is not None
    assert second is not None
    assert (first.version, second.version, second.folder) == (a.version, b.version, b.folder)
    assert second.changed > first.changed


def test_of_two_that_promote_at_once_one_is_told(home: Path, meals_model: Path, other_model: Path) -> None:
    with open_registry(home) as registry:
        versions = [add(registry, folder).version for folder in (meals_model, other_model)]
    refused, together = [], threading.Barrier(2)

    def promote(version: str) -> None:
        with open_registry(home) as registry:
            together.wait()
            try:
                registry.promote(version, by="alpha", why="better", decision=None, expected=None)
            except StanceError:
                refused.append(version)

    threads = [threading.Thread(target=promote, args=(version,)) for version in versions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    champion = read_champion(home)
    assert champion is not None
    assert [champion.version] == [version for version in versions if version not in refused]


def test_force_is_never_forgotten(home: Path, meals_model: Path, other_model: Path) -> None:
    with open_registry(home) as registry:
        a, b = add(registry, meals_model), add(registry, other_model)
        crown(registry, a)
        crown(registry, b, forced=True)
        registry.roll_back(by="beta", why="worse")
        crown(registry, b)
        assert [model.forced for model in registry.models()] == [False, True]
        assert [event.kind for event in registry.history(b.version)] == ["registered", "forced", "promoted"]


def test_the_way_back(home: Path, meals_model: Path, other_model: Path) -> None:
    with open_registry(home) as registry:
        with pytest.raises(StanceError, match="nothing to roll back"):
            registry.roll_back(by="alpha", why="?")
        a, b = add(registry, meals_model), add(registry, other_model)
        crown(registry, a)
        with pytest.raises(StanceError, match=f"{b.version} never was champion"):
            registry.roll_back(by="alpha", why="?", to=b.version)
        crown(registry, b)
        assert registry.roll_back(by="alpha", why="worse") == a
        crown(registry, b)
        # What was rolled back once is not where the next rollback leads.
        backwards = [registry.roll_back(by="alpha", why="worse still").version for _ in range(2)]
        assert backwards == [a.version, shipped_version()]
        with pytest.raises(StanceError, match="no champion before"):
            registry.roll_back(by="alpha", why="?")
        assert registry.roll_back(by="alpha", why="it was not so bad", to=b.version) == b
        assert registry.roll_back(by="alpha", why="it was", to=shipped_version()).version == shipped_version()
        damage(a.folder / "weights.safetensors")
        with pytest.raises(StanceError, match="was changed"):
            registry.roll_back(by="alpha", why="?", to=a.version)
        champion = registry.champion()
        assert champion is not None
        assert champion.version == shipped_version()


def test_a_home_can_be_moved(
    home: Path, meals: Path, meals_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_registry(home) as registry:
        crown(registry, add(registry, meals_model, meals / "labels.jsonl"))
    home.parent.rename(tmp_path / "moved")
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "moved"))
    champion = read_champion(tmp_path / "moved" / "stance")
    assert champion is not None
    assert load_model(champion.folder).version == champion.version
    with read_registry(tmp_path / "moved" / "stance") as moved:
        assert moved is not None
        (model,) = moved.models()
        assert model.labels is not None
        assert model.labels.is_file()


def test_looking_makes_nothing(home: Path) -> None:
    assert read_champion(home) is None
    with read_registry(home) as registry:
        assert registry is None
    assert not home.exists()
    # As while another process makes it.
    home.mkdir(parents=True)
    (home / "registry.sqlite").touch()
    assert read_champion(home) is None


def _other_kind(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE recipe (name TEXT)")


def _from_the_future(path: Path) -> None:
    with open_registry(path.parent):
        pass
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 7")


@pytest.mark.parametrize(
    ("make", "says"),
    [(_other_kind, "is not a model registry"), (_from_the_future, "of version 7; this program knows version 1")],
)
def test_another_file_is_refused(make: Callable[[Path], None], says: str, home: Path) -> None:
    home.mkdir(parents=True)
    make(home / "registry.sqlite")
    with pytest.raises(StanceError, match=says):
        read_champion(home)
    with pytest.raises(StanceError, match=says), open_registry(home):
        pass


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE event SET why = ''",
        "DELETE FROM event",
        "REPLACE INTO event SELECT seq, at, 'refused', version, NULL, '', '', NULL FROM event",
        "UPDATE model SET sentences = 0",
        "DELETE FROM model",
        "REPLACE INTO model SELECT version, NULL, '', '', 0, '{}', '', '', '', NULL FROM model",
        "DELETE FROM champion",
    ],
)
def test_the_file_itself_refuses_to_forget(statement: str, home: Path, meals_model: Path) -> None:
    with open_registry(home) as registry:
        crown(registry, add(registry, meals_model))
        before = registry.models(), registry.history()
    with closing(sqlite3.connect(home / "registry.sqlite")) as db, pytest.raises(sqlite3.IntegrityError):
        db.execute(statement)
    with open_registry(home) as registry:
        assert (registry.models(), registry.history()) == before


DRIVER = """
import functools, json, os, shutil, signal, sqlite3, sys
from pathlib import Path

import bentoml
from bentoml._internal.models import ModelStore

from labels.errors import StanceError
from training.model_folder import load_model
from training.model_store import put_model
from training.registry import open_registry, read_champion

template, place, candidate, labels = map(Path, sys.argv[1:])
os.environ["BENTOML_HOME"] = str(place)
home = place / "stance"
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Steps:
    def __init__(self, last):
        self.last, self.taken = last, 0

    def take(self, name):
        if self.taken == self.last:
            os.write(1, (json.dumps(name) + chr(10)).encode())
            os.kill(os.getpid(), signal.SIGKILL)
        self.taken += 1

    def audit(self, event, arguments):
        if event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING:
            self.take(f"open {arguments[0]}")
        if event in ("os.rename", "os.mkdir", "os.remove", "os.rmdir"):
            self.take(f"{event} {arguments[0]}")


def kill_at(last):
    steps = Steps(last)
    sync = os.fsync
    os.fsync = lambda handle: (steps.take("fsync"), sync(handle))

    class Connection(sqlite3.Connection):
        def execute(self, statement, *arguments):
            steps.take(statement)
            return super().execute(statement, *arguments)

    sqlite3.connect = functools.partial(sqlite3.connect, factory=Connection)
    sys.addaudithook(steps.audit)
    return steps


def crown_and_kill_at(last):
    steps = kill_at(last)
    crown()
    steps.take("the end")


def crown():
    with open_registry(home) as registry:
        champion = registry.champion()
        made = registry.register(candidate, parent=champion.version, by="alpha", why="new labels", labels=labels)
        if made.version != champion.version:
            registry.promote(made.version, by="alpha", why="better", decision={}, expected=champion.version)


def in_a_process(what):
    child = os.fork()
    if child == 0:
        what()
        os._exit(0)
    return os.waitpid(child, 0)[1]


def looked_at():
    stored = bentoml.models.list("stance", _model_store=ModelStore(place / "models"))
    with open_registry(home) as registry:
        models, events = registry.models(), registry.history()
        whole = all(load_model(model.folder).version == model.version for model in models)
        whole = whole and all(not model.labels or model.labels.read_bytes() == labels.read_bytes() for model in models)
        crowned = [event.version for event in events if event.crowned][-1]
        assert registry.champion().version == crowned == read_champion(home).version
        return {"champion": crowned, "models": len(models), "whole": whole and len(stored) >= len(models)}


last = 0
while True:
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(template, place)
    ended = in_a_process(lambda: crown_and_kill_at(last))
    if ended == 0:
        break
    assert ended == signal.SIGKILL, ended
    print(json.dumps(looked_at()), flush=True)
    assert in_a_process(crown) == 0
    print(json.dumps(looked_at()), flush=True)
    last += 1
"""


def test_a_kill_at_any_step_leaves_the_old_champion_and_the_next_try_succeeds(
    home: Path, meals: Path, meals_model: Path, other_model: Path, tmp_path: Path
) -> None:
    with open_registry(home) as registry:
        crown(registry, add(registry, other_model))
    old, new = load_model(other_model).version, load_model(meals_model).version
    labels = write_lines(tmp_path / "all.jsonl", meals_records())
    (tmp_path / "driver.py").write_text(DRIVER)
    command = [sys.executable, tmp_path / "driver.py", home.parent, tmp_path / "place", meals_model, labels]
    done = subprocess.run(
        list(map(str, command)),
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr
    lines = list(map(json.loads, done.stdout.splitlines()))
    steps, killed, repeated = lines[0::3], lines[1::3], lines[2::3]
    # It was killed while it copied, renamed, synced and wrote the row.
    for kind in ("open", "os.rename", "fsync", "BEGIN", "COMMIT", "INSERT INTO champion"):
        assert any(step.startswith(kind) for step in steps), steps
    committed = len(steps) - steps[::-1].index("COMMIT")
    assert [state["champion"] for state in killed[:committed]] == [old] * committed
    assert {state["champion"] for state in killed[committed:]} == {new}
    assert all(state["whole"] for state in killed)
    assert repeated == [{"champion": new, "models": 2, "whole": True}] * len(steps)

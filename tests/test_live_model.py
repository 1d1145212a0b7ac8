"""A service follows the champion: no request fails, and what cannot be loaded changes nothing."""

from __future__ import annotations

import gc
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from serving.live_model import POLL, LiveModel, first_live
from tests.conftest import run_stance
from tests.test_registry import add, crown, damage
from tests.test_serve_process import free_port, serving
from tests.waiting import until
from training.model_folder import shipped_version
from training.registry import Registered, open_registry

TEXT = "The cook wants the canteen to cost nothing."


@pytest.fixture
def models(home: Path, meals_model: Path, other_model: Path) -> tuple[Registered, Registered]:
    """Two registered models, the first of them champion."""
    with open_registry(home) as registry:
        a, b = add(registry, other_model), add(registry, meals_model)
        crown(registry, a)
    return a, b


def promote(home: Path, model: Registered) -> None:
    with open_registry(home) as registry:
        crown(registry, model)


class Clients:
    """Post one after the other without a pause, and keep what was answered."""

    def __init__(self, address: str, count: int) -> None:
        self._address, self._stopped = address, threading.Event()
        self.versions: list[list[str]] = [[] for _ in range(count)]
        self.failures: list[str] = []
        self._threads = [threading.Thread(target=self._post, args=(seen,)) for seen in self.versions]

    def _post(self, seen: list[str]) -> None:
        with httpx.Client(base_url=self._address, timeout=30) as client:
            while not self._stopped.is_set():
                try:
                    response = client.post("/v1/score", json={"texts": [TEXT]})
                    response.raise_for_status()
                    seen.append(response.json()["model"]["version"])
                except (httpx.HTTPError, KeyError, ValueError) as error:
                    self.failures.append(repr(error))

    def all_see(self, version: str) -> bool:
        return all(seen[-1:] == [version] for seen in self.versions)

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()


@contextmanager
def following(tmp_path: Path) -> Iterator[str]:
    port = free_port()
    (tmp_path / "metrics").mkdir()
    command = [sys.executable, "-m", "serving.cli", "serve", "--port", str(port)]
    with serving(command, port, tmp_path / "log", {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics")}) as address:
        yield address


def source(address: str) -> tuple[str, str]:
    known = httpx.get(f"{address}/v1/model").json()
    return known["version"], known["source"]


@pytest.mark.slow
def test_the_champion_changes_under_load(home: Path, models: tuple[Registered, Registered], tmp_path: Path) -> None:
    a, b = models
    with following(tmp_path) as address:
        assert source(address) == (a.version, "champion")
        with Clients(address, 3) as clients:
            until(lambda: clients.all_see(a.version))
            promote(home, b)
            until(lambda: clients.all_see(b.version))
        assert clients.failures == []
        for seen in clients.versions:
            assert set(seen) == {a.version, b.version}
            assert sum(before != after for before, after in pairwise(seen)) == 1
        assert source(address) == (b.version, "champion")


@pytest.mark.slow
def test_a_champion_that_cannot_be_loaded_changes_nothing(
    home: Path, models: tuple[Registered, Registered], other_model: Path, tmp_path: Path
) -> None:
    a, b = models
    promote(home, b)
    with following(tmp_path) as address, Clients(address, 2) as clients:
        until(lambda: clients.all_see(b.version))
        damage(a.folder / "weights.safetensors")
        promote(home, a)
        until(lambda: "cannot be loaded" in (tmp_path / "log").read_text())
        assert source(address) == (b.version, "former champion")
        # Said once, however often one looks.
        time.sleep(3 * POLL)
        (line,) = [line for line in (tmp_path / "log").read_text().splitlines() if "cannot be loaded" in line]
        assert a.version in line
        assert "weights.safetensors: was changed" in line
        done = run_stance("models", "rollback", "--why", "it cannot be loaded")
        assert done.returncode == 0, done.stderr
        until(lambda: source(address) == (b.version, "champion"))
        assert {version for seen in clients.versions for version in seen} == {b.version}
        # Mended, and made champion once more: it is tried again.
        with open_registry(home) as registry:
            add(registry, other_model)
            crown(registry, a)
        until(lambda: clients.all_see(a.version))
    assert clients.failures == []


def test_where_no_model_was_promoted_yet_the_first_champion_is_followed(home: Path, meals_model: Path) -> None:
    with closing(LiveModel(home)) as live:
        assert (live.now.model.version, live.now.source) == (shipped_version(), "shipped")
        with open_registry(home) as registry:
            crown(registry, add(registry, meals_model))
            version = registry.models()[0].version
        until(lambda: live.now.model.version == version)
        assert live.now.source == "champion"
        with open_registry(home) as registry:
            registry.roll_back(by="alpha", why="worse")
        until(lambda: live.now.model.version == shipped_version())


def test_nothing_of_the_old_model_is_kept(home: Path, models: tuple[Registered, Registered]) -> None:
    with closing(LiveModel(home)) as live:
        old = weakref.ref(live.now.model.estimator)
        promote(home, models[1])
        until(lambda: live.now.model.version == models[1].version)
        gc.collect()
        assert old() is None


def test_a_model_that_was_named_stays(
    home: Path, models: tuple[Registered, Registered], meals_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STANCE_MODEL", str(meals_model))
    with closing(LiveModel(home)) as live:
        before = live.now
        assert (before.model.version, before.source) == (models[1].version, "named")
        promote(home, models[1])
        with open_registry(home) as registry:
            registry.roll_back(by="alpha", why="worse")
        time.sleep(2.5 * POLL)
        assert live.now is before


def test_a_registry_that_cannot_be_read_changes_nothing(
    home: Path, models: tuple[Registered, Registered], caplog: pytest.LogCaptureFixture
) -> None:
    with closing(LiveModel(home)) as live:
        before = live.now
        whole = (home / "registry.sqlite").read_bytes()
        (home / "registry.sqlite").write_text("not a registry" * 200)
        until(lambda: "cannot be followed" in caplog.text)
        time.sleep(2 * POLL)
        assert caplog.text.count("cannot be followed") == 1
        assert live.now is before
        (home / "registry.sqlite").write_bytes(whole)
        promote(home, models[1])
        until(lambda: live.now.model.version == models[1].version)


def test_at_the_start_the_nearest_champion_that_loads_is_taken(
    home: Path, models: tuple[Registered, Registered], caplog: pytest.LogCaptureFixture
) -> None:
    a, b = models
    promote(home, b)
    damage(b.folder / "estimator.json")
    live = first_live(home)
    assert (live.model.version, live.source) == (a.version, "former champion")
    assert f"{b.version} cannot be loaded" in caplog.text
    assert "estimator.json: was changed" in caplog.text
    (a.folder / "model.json").unlink()
    live = first_live(home)
    assert (live.model.version, live.source) == (shipped_version(), "shipped")


def test_a_registry_that_is_none_does_not_keep_a_service_from_starting(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    home.mkdir(parents=True)
    (home / "registry.sqlite").write_text("not a registry" * 200)
    live = first_live(home)
    assert (live.model.version, live.source) == (shipped_version(), "shipped")
    assert "the champion is not known" in caplog.text

"""What the tests share: commands run as a user runs them, small labelled data, and models trained on it."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from starlette.testclient import TestClient

from tests.command_process import TORCH, Commands

# BentoML reads these when it is imported; each run of the tests has a home of its own.
_HOME = tempfile.mkdtemp(prefix="stance-tests-")
os.environ |= {
    "BENTOML_HOME": f"{_HOME}/bentoml",
    "PROMETHEUS_MULTIPROC_DIR": f"{_HOME}/prometheus",
    "BENTOML_DO_NOT_TRACK": "True",
    "STANCE_CACHE": f"{_HOME}/cache",
}
# Whatever is trained here is tiny: more threads than one wait for each other, and fight with the other workers'.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT"):
    os.environ.setdefault(_name, "1")
# Hundreds of processes would each compile all modules anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# Whoever runs the tests may have settings of their own.
for _name in [
    name
    for name in os.environ
    if name.startswith("STANCE_") and name not in ("STANCE_CACHE", "STANCE_CORPUS", "STANCE_FEED_FILES")
]:
    del os.environ[_name]
for _name in ("BENTOML_HOME", "PROMETHEUS_MULTIPROC_DIR", "STANCE_CACHE"):
    Path(os.environ[_name]).mkdir(parents=True)

# A case that takes long on a machine that does something else, or for what it is the first to import, is no failure.
settings.register_profile("stance", deadline=None)
settings.load_profile("stance")

PROJECT = Path(__file__).parents[1]

_started: list[Commands] = []

_LONGEST = """
    model_folder fine_tuning feeds_killed retraining calibration train bench benchmark page evaluate batch_ray jobs_api
    live_model retraining_over_http serve_process registry drift labels notebooks next_notebook agreement api_document
"""
"""Files by what they take, most first; those that are not named take less."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where several processes share the files, none is to begin with a long one when the others have ended."""
    if hasattr(config, "workerinput"):
        order = {f"test_{name}.py": place for place, name in enumerate(_LONGEST.split())}
        items.sort(key=lambda item: order.get(item.path.name, len(order)))


def run_stance(
    *arguments: str | Path,
    stdin: str | None = None,
    cwd: Path = PROJECT,
    with_torch: bool = False,
    **environment: str,
) -> subprocess.CompletedProcess[str]:
    """Run the console command in a process of its own; `environment` adds variables.

    Whoever trains a network says `with_torch`, and then its import is not waited for each time.

    Sets are in one order in all commands of a run: give a PYTHONHASHSEED where two must come to the same.
    """
    given = {**os.environ, "PYTHONPATH": str(PROJECT), **environment}
    commands = _commands(TORCH if with_torch else "")
    if commands.take(given):
        return commands.run([*map(str, arguments)], stdin, cwd, given, timeout=1500)
    return subprocess.run(
        [sys.executable, "-m", "serving.cli", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        text=True,
        encoding="utf8",
        cwd=cwd,
        env=given,
        check=False,
        timeout=1500,
    )


@functools.cache
def _commands(also: str) -> Commands:
    _started.append(Commands(also))
    return _started[-1]


def pytest_unconfigure() -> None:
    for commands in _started:
        commands.close()
    shutil.rmtree(_HOME, ignore_errors=True)


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf8")
    return path


@pytest.fixture
def folder_in_memory(tmp_path: Path) -> Iterator[Path]:
    """For what is killed and done again many times: a kill of a process loses nothing of a folder, wherever it lies,
    and on a disk that others use waiting for it takes most of the time. On disk where there is no such place."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="stance-tests-", dir=memory) as name:
        yield Path(name)


@pytest.fixture(scope="session")
def shared_corpus() -> Path:
    """The corpus that the project's own stand-off labels point into."""
    named = os.environ.get("STANCE_CORPUS")
    folder = Path(named) if named else PROJECT.parent / "shared" / "corpus"
    if not folder.is_dir():
        pytest.skip("needs the corpus folder: STANCE_CORPUS, or ../shared/corpus")
    return folder


@pytest.fixture(scope="session")
def service() -> Iterator[TestClient]:
    """The service in this process; BentoML can be set up once only."""
    from serving.service import Stance

    app = Stance.to_asgi()  # type: ignore[attr-defined]
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A BentoML home of the test's own, and the folder of state in it, of which neither is there yet."""
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "bentoml"))
    return tmp_path / "bentoml" / "stance"


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


MEALS_TARGETS = """\
targets:
  free_meals:
    title: Free meals
    proposition: Schools should serve free meals.
    classes: ["yes", unsure, "no"]
    poles: {conciliatory: "yes", other: "no"}
  later_start:
    title: Later start
    proposition: School should start later.
    classes: [pro, contra]
    poles: {conciliatory: pro, other: contra}
"""

_MEALS = {
    "yes": ["Free lunches for every pupil are right, {} said.", "{} wants the canteen to cost nothing."],
    "no": ["Parents ought to pay for lunch themselves, {} said.", "{} rejects free canteen food as waste."],
    "unsure": ["{} has not made up her mind about the canteen.", "Whether lunch stays free is open, {} said."],
    None: ["{} repaired the roof of the gym.", "The choir of {} sang on Monday."],
}
_START = {
    "pro": ["{} wants lessons to begin at nine.", "Let pupils sleep longer, {} urged."],
    "contra": ["{} insists that the bell rings at eight.", "An early start never hurt anyone, {} said."],
    None: ["{} painted the fence.", "The bus of {} was late."],
}
_WHO = ["the mayor", "the teachers' union", "a headmistress", "the ministry", "the cook", "a parent", "the council"]


def meals_records() -> list[dict[str, Any]]:
    """Sentences of an invented local dispute in another taxonomy, two of eight documents for testing."""
    rows: list[dict[str, Any]] = []
    for label, sentences in _MEALS.items():
        rows += [{"text": s.format(who), "labels": {"free_meals": label}} for s in sentences for who in _WHO]
    for label, sentences in _START.items():
        rows += [
            {"text": s.format(who), "labels": {"later_start": label, "free_meals": None}}
            for s in sentences
            for who in _WHO
        ]
    return in_minutes(rows, documents=8, for_testing=2)


def in_minutes(rows: list[dict[str, Any]], documents: int, for_testing: int) -> list[dict[str, Any]]:
    """The rows with an id each, in turn in one of so many documents, of which the last ones are for testing."""
    for number, row in enumerate(rows):
        group = number % documents
        split = "test" if group >= documents - for_testing else "train"
        row |= {"id": f"m{number}", "group": f"minutes-{group}", "split": split}
    return rows


@pytest.fixture(scope="session")
def meals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `targets.yaml` and `labels.jsonl` of `meals_records`."""
    folder = tmp_path_factory.mktemp("meals")
    (folder / "targets.yaml").write_text(MEALS_TARGETS)
    write_lines(folder / "labels.jsonl", meals_records())
    return folder


@pytest.fixture(scope="session")
def meals_model(meals: Path) -> Path:
    """A model folder trained on `meals` by the floor recipe, which needs no encoder."""
    out = meals / "model"
    arguments = ["--labels", meals / "labels.jsonl", "--targets", meals / "targets.yaml"]
    done = run_stance("train", *arguments, "--recipe", "floor", "--out", out)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="session")
def other_model(meals: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the same taxonomy as `meals_model`, trained on fewer sentences."""
    folder = tmp_path_factory.mktemp("other")
    labels = write_lines(folder / "labels.jsonl", meals_records()[8:])
    arguments = ["--labels", labels, "--targets", meals / "targets.yaml"]
    done = run_stance("train", *arguments, "--recipe", "floor", "--out", folder / "model")
    assert done.returncode == 0, done.stderr
    return folder / "model"


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of a PostgreSQL server, with `{}` where the name of a database goes."""
    from tests.postgres import postgres_server

    with postgres_server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a place for a state of feeds where nothing is yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state.sqlite"
    import psycopg

    server: str = request.getfixturevalue("postgres")
    name = f"feeds_{uuid.uuid4().hex}"
    with psycopg.connect(server.format("postgres"), autocommit=True) as db:
        db.execute(f'CREATE DATABASE "{name}"')  # type: ignore[call-overload]
    return server.format(name)

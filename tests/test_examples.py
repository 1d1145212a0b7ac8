"""The examples of the README do what it says, against a service that runs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import PROJECT
from tests.test_serve_process import free_port, serving

README = (PROJECT / "README.md").read_text(encoding="utf8")
SHOWN = "http://127.0.0.1:3000"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("examples")
    (folder / "metrics").mkdir()
    port = free_port()
    environment = {
        "BENTOML_HOME": str(folder / "home"),
        "PROMETHEUS_MULTIPROC_DIR": str(folder / "metrics"),
        "PYTHONPATH": str(PROJECT),
    }
    command = [sys.executable, "-m", "serving.cli", "serve", "--port", str(port)]
    with serving(command, port, folder / "log", environment) as served:
        yield served


def _blocks() -> list[str]:
    """The indented blocks, without their indentation."""
    found = re.findall(r"(?:^    .*\n)+", README, re.M)
    return [re.sub(r"^    ", "", block, flags=re.M) for block in found]


def _run(command: list[str], cwd: Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_curl_gets_the_answer_that_is_shown(address: str) -> None:
    if not shutil.which("curl"):
        pytest.skip("needs curl")
    (block,) = (block for block in _blocks() if block.startswith("$ curl"))
    command, shown = block.removeprefix("$ ").splitlines()
    assert SHOWN in command
    answer, expected = json.loads(_run(["bash", "-c", command.replace(SHOWN, address)], PROJECT)), json.loads(shown)
    assert answer["model"] == expected["model"]
    for given, wanted in zip(answer["results"], expected["results"], strict=True):
        assert given["truncated"] == wanted["truncated"]
        assert list(given["targets"]) == list(wanted["targets"])
        for target_id, target in wanted["targets"].items():
            of = given["targets"][target_id]
            assert (of["label"], of["abstained"]) == (target["label"], target["abstained"])
            # Another processor rounds otherwise.
            assert of["score"] == pytest.approx(target["score"], abs=0.01)
            assert of["probabilities"] == pytest.approx(target["probabilities"], abs=0.01)


def test_python_prints_what_is_shown(address: str) -> None:
    (block,) = (block for block in _blocks() if "StanceClient" in block)
    assert SHOWN in block
    expected = block.rsplit("# ", 1)[1].strip()
    assert _run([sys.executable, "-c", block.replace(SHOWN, address)], PROJECT).strip() == expected

"""The real Label Studio: our configuration, our tasks, annotations through its API, its export, and training on it.

It is not among the dependencies, which it would outnumber. Install it apart and name that Python:

    python3 -m venv /tmp/studio && /tmp/studio/bin/pip install label-studio
    LABEL_STUDIO_PYTHON=/tmp/studio/bin/python pytest -m label_studio -s
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from labels.records import read_records
from labels.taxonomy import load_taxonomy
from tests.conftest import meals_records, run_stance, write_lines

pytestmark = [
    pytest.mark.label_studio,
    pytest.mark.slow,
    pytest.mark.skipif("LABEL_STUDIO_PYTHON" not in os.environ, reason="LABEL_STUDIO_PYTHON names no Python"),
]

_START_SECONDS = 400
"""It sets up its database when it first starts."""


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A server of its own on a free port of this machine, and a client of its API."""
    folder = tmp_path_factory.mktemp("label-studio")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(20)
    quiet = {"COLLECT_ANALYTICS": "False", "LATEST_VERSION_CHECK": "False", "SENTRY_DSN": "", "FRONTEND_SENTRY_DSN": ""}
    command = [os.environ["LABEL_STUDIO_PYTHON"], "-m", "label_studio.server", "start", "--no-browser"]
    command += ["--internal-host", "127.0.0.1", "--port", str(port), "--data-dir", str(folder)]
    command += ["--username", "ada@example.org", "--password", secrets.token_hex(8), "--user-token", token]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "--enable-legacy-api-token"],
            cwd=folder,
            env={**os.environ, **quiet, "HOME": str(folder)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    headers = {"Authorization": f"Token {token}"}
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60) as client:
            _wait(client, server, folder / "log")
            yield client
    finally:
        server.terminate()
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait(client: httpx.Client, server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        if server.poll() is not None:
            break
        try:
            if client.get("/health").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(1)
    pytest.fail(f"Label Studio did not start: {log.read_text(errors='replace')[-2000:]}")


def _post(studio: httpx.Client, path: str, value: object) -> Any:
    answer = studio.post(path, json=value)
    assert answer.is_success, answer.text
    return answer.json()


def _project(studio: httpx.Client, meals: Path, folder: Path, labels: Path) -> int:
    """A project with our configuration, in which the records are tasks."""
    targets = ("--targets", meals / "targets.yaml")
    done = run_stance("labels", "studio-config", *targets, "--out", folder / "config.xml")
    assert done.returncode == 0, done.stderr
    done = run_stance("labels", "convert", labels, folder / "tasks.json", "--to", "label-studio", *targets)
    assert done.returncode == 0, done.stderr
    config = (folder / "config.xml").read_text(encoding="utf8")
    project: int = _post(studio, "/api/projects", {"title": "Free meals", "label_config": config})["id"]
    tasks = json.loads((folder / "tasks.json").read_text(encoding="utf8"))
    imported = _post(studio, f"/api/projects/{project}/import", tasks)
    print(
        f"imported into project {project}: {imported['task_count']} tasks, {imported['annotation_count']} annotations"
    )
    assert imported["task_count"] == len(tasks)
    return project


def _export(studio: httpx.Client, project: int, folder: Path) -> Path:
    answer = studio.get(f"/api/projects/{project}/export", params={"exportType": "JSON", "download_all_tasks": "true"})
    assert answer.is_success, answer.text
    (folder / "export.json").write_bytes(answer.content)
    return folder / "export.json"


def _answer(labels: Mapping[str, str | None], holder: str) -> list[dict[str, Any]]:
    """What its page sends when somebody ticks choices and fills in the holder."""
    given = [(name, "choices", "choices", label or "unrelated") for name, label in labels.items()]
    given.append(("_holder", "textarea", "text", holder))
    return [
        {"from_name": name, "to_name": "_text", "type": kind, "value": {key: [value]}}
        for name, kind, key, value in given
    ]


def test_labels_made_in_label_studio_train_a_classifier(studio: httpx.Client, meals: Path, tmp_path: Path) -> None:
    truth = {row["id"]: row["labels"] for row in meals_records()}
    unread = [{**row, "labels": {}} for row in meals_records()]
    project = _project(studio, meals, tmp_path, write_lines(tmp_path / "unread.jsonl", unread))
    bob = _post(studio, "/api/users", {"email": "bob@example.org", "username": "bob", "password": secrets.token_hex(8)})
    tasks = studio.get("/api/tasks", params={"project": project, "page_size": 1000}).json()["tasks"]
    assert len(tasks) == len(truth)
    for task in tasks:
        name = task["data"]["id"]
        result = _answer(truth[name], "the ministry")
        _post(studio, f"/api/tasks/{task['id']}/annotations", {"result": result})
        if name in ("m0", "m1"):
            result = _answer({**truth[name], "free_meals": "no"} if name == "m1" else truth[name], "the ministry")
            _post(studio, f"/api/tasks/{task['id']}/annotations", {"result": result, "completed_by": bob["id"]})

    export, labels = _export(studio, project, tmp_path), tmp_path / "labels.jsonl"
    targets = ("--targets", meals / "targets.yaml")
    done = run_stance("labels", "convert", export, labels, "--from", "label-studio", *targets)
    print(done.stdout, done.stderr)
    assert done.returncode == 0, done.stderr
    assert "free_meals: the annotators differ on 1 records" in done.stderr
    records = {record.id: record for record in read_records([labels], load_taxonomy(meals / "targets.yaml"))}
    assert {name: record.labels for name, record in records.items()} == {**truth, "m1": {}}
    assert len({annotation.annotator for annotation in records["m0"].annotations}) == 2
    assert {record.holder for record in records.values()} == {"the ministry"}
    assert {record.decided for name, record in records.items() if name not in ("m0", "m1")} == {"single"}
    assert records["m0"].group == "minutes-0"

    done = run_stance("train", "--labels", labels, *targets, "--recipe", "floor", "--out", tmp_path / "model")
    print(done.stdout, done.stderr)
    assert done.returncode == 0, done.stderr
    done = run_stance("score", "--model", tmp_path / "model", "--json", "The cook wants the canteen to cost nothing.")
    assert json.loads(done.stdout)["targets"]["free_meals"]["label"] == "yes"


def test_what_others_said_comes_through_label_studio(studio: httpx.Client, meals: Path, tmp_path: Path) -> None:
    said = [
        {"annotator": "pass-1", "labels": {"free_meals": None}, "note": "Zwei\nZeilen “🙂”", "date": "2026-01-01"},
        {"annotator": "pass-2", "labels": {"free_meals": "yes", "later_start": "pro"}, "holder": "<b>&amp;"},
        {"annotator": "pass-3", "labels": {}},
    ]
    rows = [
        {"id": "a", "text": "Lunch is $5 \\ free.", "labels": {"free_meals": "yes"}, "annotations": said, "note": ""},
        {"id": "b", "text": "School starts at nine.", "labels": {}, "annotations": said[:1], "decided": "agreed"},
        {"id": "c", "text": "Nobody came.", "labels": {"free_meals": None, "later_start": "contra"}, "split": "dev"},
        {"id": "d", "text": "All came.", "labels": {}, "group": "g", "codebook": "1.1"},
    ]
    source = write_lines(tmp_path / "in.jsonl", rows)
    export = _export(studio, _project(studio, meals, tmp_path, source), tmp_path)
    targets = ("--targets", meals / "targets.yaml")
    done = run_stance("labels", "convert", export, tmp_path / "back.jsonl", "--from", "label-studio", *targets)
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    assert done.stderr == ""
    taxonomy = load_taxonomy(meals / "targets.yaml")
    assert read_records([tmp_path / "back.jsonl"], taxonomy) == read_records([source], taxonomy)

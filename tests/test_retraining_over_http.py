"""All of it over HTTP: labels are sent, a retraining is asked for, and the running service answers with its outcome."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving.keys import SCOPES, create_key
from tests.conftest import bearer, meals_records
from tests.test_retraining import weak  # noqa: F401  # a fixture
from tests.test_serve_process import free_port, serving
from tests.waiting import until
from training.registry import open_registry

TEXT = "The nurse wants the canteen to cost nothing."


def ended(client: httpx.Client, job_id: str) -> dict[str, Any]:
    def job() -> dict[str, Any]:
        known: dict[str, Any] = client.get(f"/v1/jobs/{job_id}").json()
        return known

    until(lambda: job()["state"] not in ("queued", "running"))
    return job()


def version_of(client: httpx.Client) -> str:
    response = client.post("/v1/score", json={"texts": [TEXT]})
    assert response.status_code == 200, response.text
    return str(response.json()["model"]["version"])


@pytest.mark.slow
def test_from_labels_to_a_new_champion(home: Path, weak: tuple[Path, Path], tmp_path: Path) -> None:  # noqa: F811
    model, known = weak
    with open_registry(home) as registry:
        first = registry.register(model, parent=None, by="a test", why="to begin with", labels=known)
        registry.promote(first.version, by="a test", why="to begin with", decision=None, expected=None)
    key = create_key(home, "desk", SCOPES)
    rows = [
        row for row in meals_records() if row["split"] == "train" and row["group"] not in ("minutes-0", "minutes-1")
    ]
    port = free_port()
    command = [sys.executable, "-m", "serving.cli", "serve", "--port", str(port)]
    with (
        serving(command, port, tmp_path / "log", {}) as address,
        httpx.Client(base_url=address, headers=bearer(key), timeout=60) as client,
    ):
        assert version_of(client) == first.version
        entries = [{name: row[name] for name in ("id", "text", "labels", "group", "split")} for row in rows]
        sent = client.post("/v1/labels", json={"labels": entries})
        assert sent.status_code == 200, sent.text
        assert sent.json()["accepted"] == len(rows)

        # A rule cannot be sent, and the project's own would hold two tiny models to a millisecond.
        started = client.post("/v1/retrain", json={"why": "minutes of the spring", "force": True})
        assert started.status_code == 202, started.text
        job = ended(client, started.json()["id"])
        assert job["state"] == "succeeded", job
        decision = job["decision"]
        assert decision["promoted"]
        assert (decision["by"], decision["why"]) == ("desk", "minutes of the spring")
        assert decision["labels"]["added"] > 0
        assert Path(decision["report"], "decision.html").is_file()
        until(lambda: version_of(client) == decision["version"])

        # The same labels again: nothing new, said plainly, and the champion stays.
        again = client.post("/v1/retrain", json={"why": "by mistake"})
        job = ended(client, again.json()["id"])
        assert job["state"] == "failed"
        assert "nothing new to learn" in job["error"]
        assert version_of(client) == decision["version"]

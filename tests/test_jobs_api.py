"""Retrainings over HTTP: one at a time, stopped for certain, and never taken for running when they are not."""

from __future__ import annotations

import json
import os
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from starlette.testclient import TestClient

from labels.errors import StanceError
from serving.job import Word
from serving.job_records import Asked, open_jobs
from serving.jobs import JOB_VARIABLE, job_of
from serving.keys import SCOPES, create_key
from tests.conftest import bearer
from tests.retraining_stub import stub_path
from tests.test_serve_process import free_port, serving
from tests.waiting import until
from training.retraining_lock import retraining_lock

ENDED = ("succeeded", "failed", "cancelled")


class Asker:
    """Somebody with a key, of a service whose jobs do what their `why` says."""

    def __init__(self, service: TestClient, home: Path) -> None:
        self.home, self._service, self._headers = home, service, bearer(create_key(home, "desk", SCOPES))

    def ask(self, method: str, path: str, **body: Any) -> httpx.Response:
        return self._service.request(method, path, headers=self._headers, json=body or None)

    def retrain(self, why: str, **more: Any) -> httpx.Response:
        return self.ask("POST", "/v1/retrain", why=why, **more)

    def started(self, why: str, **more: Any) -> str:
        response = self.retrain(why, **more)
        assert response.status_code == 202, response.text
        job_id: str = response.json()["id"]
        return job_id

    def job(self, job_id: str) -> dict[str, Any]:
        response = self.ask("GET", f"/v1/jobs/{job_id}")
        assert response.status_code == 200, response.text
        job: dict[str, Any] = response.json()
        return job

    def ended(self, job_id: str) -> dict[str, Any]:
        until(lambda: self.job(job_id)["state"] in ENDED)
        return self.job(job_id)


def processes(job_id: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(JOB_VARIABLE) == job_id and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def lives(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def child_of_job(home: Path) -> int:
    until(lambda: (home / "child").exists() and (home / "child").read_text())
    return int((home / "child").read_text())


@pytest.fixture
def asker(service: TestClient, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asker]:
    monkeypatch.setenv("PYTHONPATH", stub_path(tmp_path / "stub"))
    asker = Asker(service, home)
    yield asker
    for job in asker.ask("GET", "/v1/jobs").json()["jobs"]:
        for process in processes(job["id"]):
            process.kill()


def test_a_job_from_its_start_to_its_decision(asker: Asker) -> None:
    (asker.home / "labels.sqlite").touch()
    response = asker.retrain("labels of March", recipe="floor", force=True)
    assert response.status_code == 202
    job = response.json()
    assert response.headers["location"] == f"/v1/jobs/{job['id']}"
    assert job["state"] in ("queued", "running", "succeeded")
    job = asker.ended(job["id"])
    assert (job["state"], job["error"], job["stage"]) == ("succeeded", None, "training")
    assert (job["by"], job["why"], job["recipe"], job["force"]) == ("desk", "labels of March", "floor", True)
    assert (job["decision"]["version"], job["decision"]["forced"]) == ("floor-1", True)
    assert (job["progress"]["what"], job["progress"]["done"], job["progress"]["total"]) == ("epochs", 4, 4)
    assert job["asked_at"] <= job["started_at"] <= job["ended_at"]
    assert any("merging" in line for line in job["log"])
    asked = (asker.home / "asked").read_text()
    assert str(asker.home / "labels.sqlite") in asked
    assert "by='desk'" in asked
    until(lambda: not processes(job["id"]))


def test_an_answer_is_as_the_openapi_document_says(asker: Asker) -> None:
    job = asker.ended(asker.started("anything"))
    schemas = asker.ask("GET", "/docs.json").json()["components"]["schemas"]
    assert set(job) == set(schemas["JobResponse"]["properties"])
    assert set(job["progress"]) == set(schemas["JobProgress"]["properties"])
    (listed,) = asker.ask("GET", "/v1/jobs").json()["jobs"]
    assert set(listed) == set(schemas["JobSummary"]["properties"])


def test_the_log_is_shown_from_its_end(asker: Asker) -> None:
    job = asker.ended(asker.started("talks"))
    assert len(job["log"]) == 50
    assert "line 119" in job["log"]
    assert "line 10" not in job["log"]


@pytest.mark.parametrize(
    ("why", "error"),
    [("cannot", "there is nothing to learn. Send labels."), ("breaks", "RuntimeError: the disk is on fire")],
)
def test_work_that_fails_says_why(asker: Asker, why: str, error: str) -> None:
    job = asker.ended(asker.started(why))
    assert (job["state"], job["error"], job["decision"]) == ("failed", error, None)
    assert any(error.split(": ")[-1] in line for line in job["log"])


def test_two_at_once_are_one_job_and_one_conflict(asker: Asker) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: asker.retrain("long"), range(4)))
    assert sorted(answer.status_code for answer in answers) == [202, 409, 409, 409]
    (job,) = asker.ask("GET", "/v1/jobs").json()["jobs"]
    refused = asker.retrain("anything").json()["error"]
    assert refused["code"] == "retraining_runs"
    assert job["id"] in refused["message"]
    (asker.home / "go on").touch()
    assert asker.ended(job["id"])["state"] == "succeeded"
    assert asker.ended(asker.started("anything"))["state"] == "succeeded"


def test_the_command_line_and_the_service_wait_for_each_other(asker: Asker) -> None:
    with retraining_lock(asker.home):
        response = asker.retrain("anything")
        assert (response.status_code, response.json()["error"]["code"]) == (409, "retraining_runs")
        assert asker.ask("GET", "/v1/jobs").json() == {"jobs": []}
    job_id = asker.started("long")
    child_of_job(asker.home)
    with pytest.raises(StanceError, match="a retraining is running"), retraining_lock(asker.home):
        pass
    child = psutil.Process(child_of_job(asker.home))
    (asker.home / "go on").touch()
    asker.ended(job_id)
    # What a job leaves behind does not keep the lock.
    until(lambda: [process.pid for process in processes(job_id)] == [child.pid])
    with retraining_lock(asker.home):
        pass
    child.kill()


@pytest.mark.parametrize("why", ["long", "stubborn", "forks"])
def test_cancelling_ends_the_process_and_its_children(asker: Asker, why: str) -> None:
    job_id = asker.started(why)
    child = child_of_job(asker.home)
    job = asker.job(job_id)
    assert (job["state"], job["stage"]) == ("running", "training")
    assert job["progress"]["what"] == "epochs"
    response = asker.ask("DELETE", f"/v1/jobs/{job_id}")
    assert (response.status_code, response.json()["state"]) == (200, "cancelled")
    assert not processes(job_id)
    assert not lives(child)
    # Who listens is given the time to clear up; who does not is killed.
    assert (asker.home / "cleared").exists() == (why == "long")
    assert asker.ended(asker.started("anything"))["state"] == "succeeded"


def test_a_job_that_has_ended_stays_as_it_is(asker: Asker) -> None:
    job = asker.ended(asker.started("anything"))
    response = asker.ask("DELETE", f"/v1/jobs/{job['id']}")
    assert (response.status_code, response.json()["error"]["code"]) == (409, "job_ended")
    with open_jobs(asker.home) as records:
        records.stop(job["id"])
        records.end(job["id"], "failed", error="late")
    assert asker.job(job["id"]) == job


@pytest.mark.parametrize("why", ["long", "stubborn", "forks"])
def test_a_job_that_was_killed_has_failed(asker: Asker, why: str) -> None:
    job_id = asker.started(why)
    child = child_of_job(asker.home)
    parent = psutil.Process(child).parent()
    assert parent is not None
    os.kill(parent.pid, signal.SIGKILL)
    # Its threads may outlive it by a moment, and so long it counts as running.
    job = asker.ended(job_id)
    assert not lives(parent.pid)
    assert (job["state"], job["error"]) == ("failed", "its process ended without a result")
    # What it left behind would go on working for nobody.
    until(lambda: not lives(child))
    assert asker.ended(asker.started("anything"))["state"] == "succeeded"


def test_a_job_whose_service_died_before_its_process_began_has_failed(asker: Asker) -> None:
    with open_jobs(asker.home) as records:
        records.add("20260301T120000-00000000", Asked("desk", "never begun"))
    (job,) = asker.ask("GET", "/v1/jobs").json()["jobs"]
    assert (job["state"], job["error"]) == ("failed", "its process ended without a result")


def test_a_request_is_answered_while_a_job_is_being_stopped(asker: Asker) -> None:
    job_id = asker.started("stubborn")
    child_of_job(asker.home)
    with ThreadPoolExecutor(1) as pool:
        stopping = pool.submit(asker.ask, "DELETE", f"/v1/jobs/{job_id}")
        until(lambda: job_of(asker.home, job_id).stopping)
        answered = 0
        while not stopping.done():
            assert asker.job(job_id)["state"] in ("running", "cancelled")
            answered += 1
    assert answered > 3
    assert stopping.result().json()["state"] == "cancelled"


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"recipe": "floor"}, "invalid_request", "why"),
        ({"why": " "}, "invalid_request", "why"),
        ({"why": "x", "recipe": "nothing"}, "unknown_recipe", "recipe"),
        ({"why": "x", "recipe": "../recipes/floor"}, "unknown_recipe", "recipe"),
        ({"why": "x", "recipe": "/etc/floor.yaml"}, "unknown_recipe", "recipe"),
        ({"why": "x", "force": "yes"}, "invalid_request", "force"),
        ({"why": "x", "corpus": "/etc"}, "invalid_request", "corpus"),
    ],
)
def test_a_bad_request_starts_nothing(asker: Asker, body: dict[str, Any], code: str, field: str) -> None:
    response = asker.ask("POST", "/v1/retrain", **body)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["field"]) == (400, code, field)
    assert asker.ask("GET", "/v1/jobs").json() == {"jobs": []}


@pytest.mark.parametrize("job_id", ["nothing", "..%2F..%2Fkeys", "%00"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_no_such_job(asker: Asker, method: str, job_id: str) -> None:
    response = asker.ask(method, f"/v1/jobs/{job_id}")
    assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")


def test_the_last_twenty_are_listed_newest_first(asker: Asker) -> None:
    with open_jobs(asker.home) as records:
        for number in range(25):
            records.add(f"job-{number}", Asked("desk", "x"))
            records.end(f"job-{number}", "failed", error="x")
    listed = [job["id"] for job in asker.ask("GET", "/v1/jobs").json()["jobs"]]
    assert listed == [f"job-{number}" for number in range(24, 4, -1)]


def test_word_of_progress_is_kept_now_and_then(tmp_path: Path) -> None:
    moments = iter(n / 100 for n in range(1000))
    with open_jobs(tmp_path) as records:
        records.add("job", Asked("desk", "x"))
    word, seen = Word("job", tmp_path, lambda: next(moments)), []
    for done in range(201):
        word.progress("epochs", done, 200)
        progress = job_of_record(tmp_path)
        if not seen or progress != seen[-1]:
            seen.append(progress)
    assert 4 <= len(seen) <= 7
    assert seen[0].seconds_left is None
    assert seen[1].seconds_left == pytest.approx((200 - seen[1].done) / 100)
    assert (seen[-1].done, seen[-1].seconds_left) == (200, 0)
    assert seen[-1].seconds == pytest.approx(2)


def job_of_record(home: Path) -> Any:
    with open_jobs(home) as records:
        job = records.job("job")
    assert job is not None
    return job.progress


@pytest.mark.slow
def test_a_job_outlives_the_service_that_started_it(home: Path, tmp_path: Path) -> None:
    key = create_key(home, "desk", SCOPES)
    environment = {
        "PYTHONPATH": stub_path(tmp_path / "stub"),
        "STANCE_HOME": str(home),
        "BENTOML_HOME": str(tmp_path / "bentoml"),
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics"),
    }
    (tmp_path / "metrics").mkdir()

    def ask(address: str, method: str, path: str, **body: Any) -> Any:
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(f"{address}{path}", data, bearer(key), method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            return json.load(error)

    def started() -> Any:
        port = free_port()
        command = [sys.executable, "-m", "serving.cli", "serve", "--port", str(port)]
        return serving(command, port, tmp_path / "log", environment)

    def state(address: str, job_id: str) -> Any:
        return ask(address, "GET", f"/v1/jobs/{job_id}")["state"]

    with started() as address:
        finished = ask(address, "POST", "/v1/retrain", why="anything")["id"]
        until(lambda: state(address, finished) == "succeeded")
        job_id = ask(address, "POST", "/v1/retrain", why="long")["id"]
        child_of_job(home)
    assert len(processes(job_id)) == 2
    with started() as address:
        assert ask(address, "GET", f"/v1/jobs/{finished}")["decision"]["version"] == "floor-1"
        assert state(address, job_id) == "running"
        assert ask(address, "POST", "/v1/retrain", why="x")["error"]["code"] == "retraining_runs"
        # Whoever is asked can stop it, not only the service that started it.
        assert ask(address, "DELETE", f"/v1/jobs/{job_id}")["state"] == "cancelled"
        assert not processes(job_id)

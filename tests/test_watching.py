"""What can be seen of a running service: figures, log lines, readiness; and what cannot: anybody's text."""

from __future__ import annotations

import io
import json
import logging
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from labels.taxonomy import load_taxonomy
from serving.live_model import LiveModel
from serving.request_log import JsonLines
from tests.conftest import PROJECT
from tests.test_serve_process import free_port, serving

SECRET = "Quixotic zebras vetoed the juggling accord."
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def _samples(text: str) -> Samples:
    families = text_string_to_metric_families(text)
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def _sum(samples: Samples, name: str, **labels: str) -> float:
    return sum(value for (n, given), value in samples.items() if n == name and labels.items() <= dict(given).items())


@dataclass(frozen=True)
class Seen:
    """What a service showed of itself, after the requests below."""

    figures: Samples
    log: str
    lines: list[dict[str, Any]]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    folder, port = tmp_path_factory.mktemp("watched"), free_port()
    environment = {"BENTOML_HOME": str(folder), "PROMETHEUS_MULTIPROC_DIR": str(folder / "m"), "STANCE_LOG": "json"}
    (folder / "m").mkdir()
    command = [sys.executable, "-m", "serving.cli", "serve", "--port", str(port)]
    with (
        serving(command, port, folder / "log", environment) as address,
        httpx.Client(base_url=address, timeout=60) as client,
    ):
        names = {"X-Request-Id": "wire-1", "traceparent": TRACE}
        assert client.post("/v1/score", json={"texts": [SECRET, SECRET]}, headers=names).status_code == 200
        for bad in ({"texts": [SECRET], SECRET: 1}, {"texts": [SECRET], "targets": [SECRET]}, {"texts": SECRET}):
            assert client.post("/v1/score", json=bad, headers={"traceparent": "nonsense"}).status_code == 400
        assert client.post("/v1/score", content=SECRET.encode()).status_code == 400
        assert client.post("/v1/labels", json={"labels": [{"text": SECRET, "labels": {}}]}).status_code == 403
        for n in range(5):
            assert client.get(f"/{SECRET}/{n}", params={"q": SECRET}).status_code == 404
            assert client.get(f"/v1/jobs/{SECRET}{n}", headers={"Authorization": SECRET}).status_code == 403
        assert client.request("PROPFIND", "/v1/model").status_code == 405
        figures = _samples(client.get("/metrics").text)
    log = (folder / "log").read_text()
    return Seen(figures, log, [json.loads(line) for line in log.splitlines() if line.startswith("{")])


def test_requests_are_counted_by_the_template_of_their_route(seen: Seen) -> None:
    assert _sum(seen.figures, "stance_requests_total", route="/v1/score", method="POST", status="200") == 1
    assert _sum(seen.figures, "stance_requests_total", route="/v1/score", status="400") == 4
    assert _sum(seen.figures, "stance_requests_total", route="/v1/jobs/{id}", method="GET", status="403") == 5
    assert _sum(seen.figures, "stance_requests_total", route="other", status="404") == 5
    assert _sum(seen.figures, "stance_requests_total", route="/v1/model", method="other", status="405") == 1
    assert _sum(seen.figures, "stance_request_seconds_count", route="/v1/score") == 5
    assert _sum(seen.figures, "stance_request_seconds_sum", route="/v1/score") > 0
    assert _sum(seen.figures, "stance_requests_in_progress") == 1


def test_batches_are_counted_and_nobody_is_left_in_the_queue(seen: Seen) -> None:
    assert _sum(seen.figures, "stance_batch_texts_count") == 1
    assert _sum(seen.figures, "stance_batch_texts_sum") == 2
    assert _sum(seen.figures, "stance_queue") == 0


def test_answers_are_counted_by_target(seen: Seen) -> None:
    assert _sum(seen.figures, "stance_texts_total") == 2
    for target in load_taxonomy():
        labels = {
            dict(g)["label"] for n, g in seen.figures if n == "stance_labels_total" and dict(g)["target"] == target.id
        }
        assert labels <= set(target.outcomes)
        assert _sum(seen.figures, "stance_labels_total", target=target.id) == 2
        assert _sum(seen.figures, "stance_abstentions_total", target=target.id) in (0, 2)
        assert 0 < _sum(seen.figures, "stance_confidence_total", target=target.id) <= 2


def test_a_request_is_one_line_of_json(seen: Seen) -> None:
    lines = [line for line in seen.lines if "route" in line]
    assert len(lines) == 17
    (scored,) = [line for line in lines if line["request_id"] == "wire-1"]
    assert scored["milliseconds"] > 0
    given = {name: scored[name] for name in ("method", "route", "status", "texts", "traceparent")}
    assert given == {"method": "POST", "route": "/v1/score", "status": 200, "texts": 2, "traceparent": TRACE}
    assert [line for line in lines if "traceparent" in line] == [scored]
    assert {line["level"] for line in seen.lines} == {"info"}


def test_no_text_is_in_the_log_or_the_figures(seen: Seen) -> None:
    for word in re.findall(r"\w{5,}", SECRET):
        assert word not in seen.log
        assert word not in str(seen.figures)
    assert "PROPFIND" not in seen.log


def test_a_fault_is_logged_with_its_request(service: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the disk is on fire")

    monkeypatch.setattr("serving.service.describe_targets", broken)
    handler = logging.StreamHandler(log := io.StringIO())
    handler.setFormatter(JsonLines())
    logging.getLogger("bentoml").addHandler(handler)
    try:
        response = service.get("/v1/targets", headers={"X-Request-Id": "desk-4"})
    finally:
        logging.getLogger("bentoml").removeHandler(handler)
    assert response.status_code == 500
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    (fault,) = [line for line in lines if "exception" in line]
    assert (fault["level"], fault["request_id"]) == ("error", "desk-4")
    assert "the disk is on fire" in fault["exception"]


def test_readiness_is_a_model_that_answers(service: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert service.get("/readyz").status_code == 200
    monkeypatch.setattr(LiveModel, "ready", property(lambda _: False))
    response = service.get("/readyz")
    assert (response.status_code, response.json()["error"]["code"]) == (503, "not_ready")
    assert service.get("/livez").status_code == 200


def _expressions() -> Iterator[str]:
    dashboard = json.loads((PROJECT / "docs" / "grafana.json").read_text(encoding="utf8"))
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield target["expr"]


def test_the_dashboard_asks_for_figures_and_labels_that_there_are(seen: Seen) -> None:
    labels: dict[str, set[str]] = {}
    for name, given in seen.figures:
        labels.setdefault(name, set()).update(dict(given))
    asked = list(_expressions())
    assert len(asked) > 10
    for expression in asked:
        names = re.findall(r"stance_\w+", expression)
        assert names
        assert set(names) <= labels.keys(), expression
        given_by = {word for group in re.findall(r"by \(([^)]*)\)", expression) for word in group.split(", ")}
        filtered = set(re.findall(r'(\w+)(?:=~|!=|!~|=)"', expression))
        assert given_by | filtered <= set.union(*(labels[name] for name in names)), expression


def test_the_document_names_every_figure(seen: Seen) -> None:
    text = (PROJECT / "docs" / "service.md").read_text(encoding="utf8")
    documented = set(re.findall(r"^\| `(stance_\w+)` \|", text, re.M))
    assert documented == {re.sub("_(bucket|sum|count)$", "", name) for name, _ in seen.figures}

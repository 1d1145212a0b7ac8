"""The client of a running service: against a real one, and against one that misbehaves."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labels.errors import StanceError
from serving.client import REQUEST_BYTES, REQUEST_TEXTS, Patience, StanceClient, in_requests, retry_after
from serving.schema import MAX_BODY_BYTES, MAX_CHARACTERS, MAX_TEXTS
from tests.conftest import run_stance, write_lines
from tests.test_serve_process import free_port, serving

Step = tuple[int, dict[str, str], bytes] | str
"""Status, headers and body of an answer; or "drop" to close the connection without one, or "echo" to answer."""


class Stub:
    """What a stub server is to answer, a step a request ("echo" after the last), and what it was asked."""

    def __init__(self, steps: list[Step]) -> None:
        self.steps = steps
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str | None] = []

    def echo(self, body: dict[str, Any]) -> bytes:
        return json.dumps({"model": {"version": "x"}, "results": [{"text": text} for text in body["texts"]]}).encode()


@contextmanager
def stubbed(*steps: Step) -> Iterator[tuple[Stub, str]]:
    stub = Stub(list(steps))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            stub.bodies.append(body)
            stub.keys.append(self.headers["Authorization"])
            step = stub.steps.pop(0) if stub.steps else "echo"
            if step == "drop":
                self.close_connection = True
                return
            status, headers, content = (200, {}, stub.echo(body)) if isinstance(step, str) else step
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield stub, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the client would have waited; it does not."""
    waited: list[float] = []
    monkeypatch.setattr("serving.client.time.sleep", waited.append)
    return waited


def _error(status: int, headers: dict[str, str] | None = None, **fields: Any) -> Step:
    return status, headers or {}, json.dumps({"error": {"code": "c", "message": "m", "field": None, **fields}}).encode()


def test_a_busy_service_is_asked_again_when_it_says(waits: list[float]) -> None:
    with stubbed(_error(429, {"Retry-After": "7"}), _error(503, {"Retry-After": "2"})) as (stub, url):
        assert StanceClient(url).score(["a"]) == [{"text": "a"}]
    assert len(stub.bodies) == 3
    assert 7 <= waits[0] < 8
    assert 2 <= waits[1] < 3


def test_without_a_time_it_waits_longer_each_time(waits: list[float]) -> None:
    with stubbed(_error(503), "drop", _error(429, {"Retry-After": "soon"}), "drop") as (stub, url):
        assert StanceClient(url, patience=Patience(first=1.0, longest=3.0)).score(["a"]) == [{"text": "a"}]
    assert len(stub.bodies) == 5
    for waited, at_most in zip(waits, [1, 2, 3, 3], strict=True):
        assert at_most / 2 <= waited <= at_most


def test_it_gives_up_with_what_the_service_said(waits: list[float]) -> None:
    with (
        stubbed(*[_error(429, {"Retry-After": "1"}, message="too many requests")] * 9) as (stub, url),
        pytest.raises(StanceError, match=r"answered 429: too many requests. Try again in 1 s."),
    ):
        StanceClient(url, patience=Patience(tries=3)).score(["a"])
    assert len(stub.bodies) == 3
    assert len(waits) == 2


def test_it_does_not_wait_for_an_hour(waits: list[float]) -> None:
    with (
        stubbed(_error(503, {"Retry-After": "3600"})) as (_, url),
        pytest.raises(StanceError, match="Try again in 3600 s"),
    ):
        StanceClient(url).score(["a"])
    assert waits == []


def test_a_service_that_is_not_there_is_named(waits: list[float]) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(StanceError, match=rf"{url}: cannot be reached.*stance serve"):
        StanceClient(url, patience=Patience(tries=2)).score(["a"])
    assert len(waits) == 1


def test_an_error_names_the_text_among_all_texts(waits: list[float]) -> None:
    refused = _error(400, message="a text must not be empty", field="texts.3")
    with stubbed("echo", refused) as (_, url), pytest.raises(StanceError) as caught:
        StanceClient(url).score([str(n) for n in range(REQUEST_TEXTS * 2)])
    assert caught.value.field == f"texts.{REQUEST_TEXTS + 3}"
    assert "400: a text must not be empty" in caught.value.message
    assert waits == []


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'{"results": null}', b'{"results": []}', b'{"results": [1]}', b"[" * 100_000],
    ids=range(8),
)
def test_an_answer_that_is_none_is_an_error_at_once(body: bytes) -> None:
    with stubbed((200, {}, body)) as (stub, url), pytest.raises(StanceError, match="not that of a stance service"):
        StanceClient(url).score(["a"])
    assert len(stub.bodies) == 1


@pytest.mark.parametrize("content", [b"<h1>Bad Gateway</h1>", b'{"error": "no"}', b'{"error": {"code": 1}}', b"[]"])
def test_an_error_in_another_shape_is_one_all_the_same(content: bytes) -> None:
    with stubbed((502, {}, content)) as (stub, url), pytest.raises(StanceError, match="answered 502: Bad Gateway"):
        StanceClient(url).score(["a"])
    assert len(stub.bodies) == 1


def test_the_key_comes_from_the_environment_and_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    with stubbed("echo", "echo") as (stub, url):
        StanceClient(url).score(["a"])
        monkeypatch.setenv("STANCE_KEY", "a-key")
        StanceClient(url).score(["a"])
    assert stub.keys == [None, "Bearer a-key"]
    for key in ("a\nkey", "clé"):
        with pytest.raises(StanceError) as caught:
            StanceClient("http://127.0.0.1", key)
        assert key not in str(caught.value)


def test_a_redirection_is_not_followed_with_the_key() -> None:
    with stubbed() as (elsewhere, other), stubbed((307, {"Location": f"{other}/v1/score"}, b"")) as (_, url):
        with pytest.raises(StanceError, match="answered 307"):
            StanceClient(url, key="a-key").score(["a"])
        assert elsewhere.keys == []


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:3000", "ftp://127.0.0.1", "http://", "http://h:x", "http://h?a=b", "http://h:99999999"]
)
def test_what_is_no_address_is_said(url: str) -> None:
    with pytest.raises(StanceError, match="address"):
        StanceClient(url)


def test_a_password_in_the_address_is_refused_and_not_shown() -> None:
    with pytest.raises(StanceError, match="STANCE_KEY") as caught:
        StanceClient("http://me:secret@127.0.0.1:3000")
    assert "secret" not in str(caught.value)


def test_half_a_surrogate_pair_is_not_sent() -> None:
    with stubbed() as (stub, url), pytest.raises(StanceError, match="surrogate"):
        StanceClient(url).score(["\ud800"])
    assert stub.bodies == []


@given(st.lists(st.text(max_size=8) | st.integers(1, 40_000).map(lambda n: "🕊" * n), max_size=200))
def test_requests_hold_all_texts_in_order_and_not_too_much(texts: list[str]) -> None:
    parts = list(in_requests(texts))
    assert [text for part in parts for text in part] == texts
    for part in parts:
        assert 1 <= len(part) <= REQUEST_TEXTS <= MAX_TEXTS
        size = len(json.dumps({"texts": part}, ensure_ascii=False).encode())
        assert len(part) == 1 or size <= REQUEST_BYTES + 4 * len(part) + 20
    assert REQUEST_BYTES + 6 * MAX_CHARACTERS < MAX_BODY_BYTES


NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@given(st.integers(-1000, 100_000))
def test_a_time_to_come_back_may_be_a_date(seconds: int) -> None:
    date = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert retry_after(date, NOW) == max(0, seconds)
    assert retry_after(str(abs(seconds))) == abs(seconds)


@given(st.text())
def test_any_other_header_is_none_or_a_time(value: str) -> None:
    given_ = retry_after(value, NOW)
    assert given_ is None or given_ >= 0


@pytest.fixture(scope="module")
def address(meals_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("served")
    (folder / "metrics").mkdir()
    port = free_port()
    environment = {"BENTOML_HOME": str(folder / "home"), "PROMETHEUS_MULTIPROC_DIR": str(folder / "metrics")}
    command = [sys.executable, "-m", "serving.cli", "serve", "--model", str(meals_model), "--port", str(port)]
    with serving(command, port, folder / "log", environment) as served:
        yield served


def test_score_by_url_prints_what_score_in_process_prints(address: str, meals_model: Path, tmp_path: Path) -> None:
    rows = [{"id": n, "text": f"Lunch number {n} is free."} for n in range(150)] + [{"text": "Ωμέγα «nein» 🕊\n."}]
    path = write_lines(tmp_path / "in.jsonl", rows)
    for extra in (["--json"], ["--json", "--target", "later_start"], []):
        here = run_stance("score", "--model", meals_model, "--file", path, *extra)
        there = run_stance("score", "--url", address, "--file", path, *extra)
        assert there.returncode == here.returncode == 0, there.stderr
        assert there.stdout == here.stdout


def test_what_the_service_refuses_is_one_line(address: str) -> None:
    done = run_stance("score", "--url", address, "--target", "weather", "Lunch is free.")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "field 'targets.0'" in done.stderr
    assert "no target 'weather'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_model_and_a_service_are_too_many(meals_model: Path) -> None:
    done = run_stance("score", "--url", "http://127.0.0.1:1", "--model", meals_model, "Lunch is free.")
    assert done.returncode == 2


def test_the_client_needs_no_model(address: str) -> None:
    with StanceClient(address) as client:
        (answer,) = client.score(["The cook wants the canteen to cost nothing."], targets=["free_meals"])
        assert client.score([]) == []
    assert answer["targets"]["free_meals"]["label"] == "yes"

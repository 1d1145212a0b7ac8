"""More than can be answered: some are refused at once, all that were taken are answered, and nobody else notices."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from prometheus_client.parser import text_string_to_metric_families
from starlette.types import Message, Receive, Scope, Send

from serving import beneath, reading
from serving.beneath import Connection
from serving.client import StanceClient
from serving.errors import RequestError
from serving.reading import Reading
from serving.turns import LONGEST_ASKED
from tests.conftest import run_stance
from tests.test_serve_process import free_port, serving
from tests.waiting import until

POISON = "The cook reads this and faints."
LEFT = "A parent says this and walks away."
TEXT = "The cook wants the canteen to cost nothing."
CROWD = 40


@dataclass(frozen=True)
class Service:
    """A service whose model can be held back."""

    address: str
    held: Path

    @contextmanager
    def holding(self) -> Iterator[Callable[[str], None]]:
        """While the block runs, nothing is scored; or, once that was called, no turn with a text that has this."""
        beside = self.held.with_name("beside")

        def hold(what: str) -> None:
            beside.write_text(what)
            beside.replace(self.held)

        hold("")
        try:
            yield hold
        finally:
            self.held.unlink(missing_ok=True)

    def figure(self, name: str, **labels: str) -> float:
        text = httpx.get(f"{self.address}/metrics", timeout=60).text
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def post(self, *texts: str) -> httpx.Response:
        return httpx.post(f"{self.address}/v1/score", json={"texts": texts}, timeout=120)

    def connected(self) -> socket.socket:
        _, _, port = self.address.rpartition(":")
        return socket.create_connection(("127.0.0.1", int(port)), timeout=60)

    def sending(self, *texts: str) -> socket.socket:
        """A connection over which a request has been sent, whose answer nobody has read."""
        body = json.dumps({"texts": texts}).encode()
        connection = self.connected()
        connection.sendall(b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        return connection


@pytest.fixture(scope="module")
def held_service(meals_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder, port = tmp_path_factory.mktemp("held"), free_port()
    (folder / "m").mkdir()
    environment = {
        "BENTOML_HOME": str(folder),
        "PROMETHEUS_MULTIPROC_DIR": str(folder / "m"),
        "STANCE_MODEL": str(meals_model),
        # Of its least, a machine that stalls would make stalled clients of all.
        "STANCE_BODY_SECONDS": "8",
        # So a request waits for four times itself, however fast the machine is.
        "STANCE_LONGEST_WAIT": "0.0001",
        "HELD": str(folder / "held"),
        "POISON": POISON,
    }
    command = [sys.executable, "-m", "bentoml", "serve", "tests.held_service:Stance", "--host", "127.0.0.1"]
    with serving([*command, "--port", str(port)], port, folder / "log", environment) as address:
        yield Service(address, folder / "held")


@dataclass(frozen=True)
class Crowded:
    """What was seen while and after more was asked than was answered."""

    in_turn: float
    waiting: float
    probes: list[int]
    short: list[httpx.Response]
    long: httpx.Response
    patient: list[dict[str, Any]]
    still_waiting: float
    refused: float


@pytest.fixture(scope="module")
def crowded(held_service: Service) -> Crowded:
    service = held_service
    with ThreadPoolExecutor(CROWD + 2) as pool:
        begun = service.figure("stance_turn_requests_sum")

        def taken() -> tuple[float, float]:
            return service.figure("stance_turn_requests_sum") - begun, service.figure("stance_queue")

        with service.holding():
            asked = [pool.submit(service.post, TEXT) for _ in range(CROWD)]
            # All that are refused have been told so, while nothing at all is answered.
            until(lambda: sum(f.done() for f in asked) + sum(taken()) == CROWD)
            in_turn, waiting = taken()
            probes = [
                httpx.get(f"{service.address}{path}", timeout=60).status_code
                for path in ("/livez", "/readyz", "/metrics", "/", "/v1/model")
            ]
            long = pool.submit(service.post, *[TEXT] * 100)
            refused = service.figure("stance_refused_total", reason="overloaded")

            def patiently() -> list[dict[str, Any]]:
                with StanceClient(service.address) as client:
                    return client.score([TEXT])

            patient: Future[list[dict[str, Any]]] = pool.submit(patiently)
            until(lambda: service.figure("stance_refused_total", reason="overloaded") == refused + 1)
        return Crowded(
            in_turn,
            waiting,
            probes,
            [f.result() for f in asked],
            long.result(),
            patient.result(),
            service.figure("stance_queue"),
            refused,
        )


def test_some_are_refused_at_once_and_told_when_to_come_again(crowded: Crowded) -> None:
    refused = [response for response in crowded.short if response.status_code != 200]
    assert 0 < len(refused) < CROWD
    assert crowded.refused == len(refused)
    for response in refused:
        assert (response.status_code, response.json()["error"]["code"]) == (503, "overloaded")
        assert 1 <= int(response.headers["retry-after"]) <= LONGEST_ASKED


def test_whoever_was_taken_is_answered(crowded: Crowded) -> None:
    assert crowded.waiting > 0
    answered = [response for response in crowded.short if response.status_code == 200]
    assert len(answered) == crowded.in_turn + crowded.waiting
    assert all(len(response.json()["results"]) == 1 for response in answered)
    assert crowded.still_waiting == 0


def test_probes_and_pages_answer_meanwhile(crowded: Crowded) -> None:
    assert crowded.probes == [200] * 5


def test_large_requests_have_a_lane_of_their_own(crowded: Crowded) -> None:
    assert crowded.long.status_code == 200
    assert len(crowded.long.json()["results"]) == 100


@dataclass(frozen=True)
class Shared:
    """Requests that waited for the same turn, and what came of them.

    Attributes:
        turns: how many turns were taken.
        requests: how many requests had one.
        answers: of the sentences, in their order; one of them cannot be answered.
        left: how many requests were given up by their client.
    """

    turns: float
    requests: float
    answers: list[httpx.Response]
    left: float


SENTENCES = ["Free meals for all, said the cook.", POISON, "The board wants to charge for meals.", "It rained."]


@pytest.fixture(scope="module")
def shared(held_service: Service) -> Shared:
    service = held_service
    figures = ("stance_turn_requests_count", "stance_turn_requests_sum")
    before = [service.figure(name) for name in figures]
    left = service.figure("stance_requests_total", status="499")
    asked = service.figure("stance_requests_total", route="/v1/score")
    with ThreadPoolExecutor(len(SENTENCES) + 1) as pool:
        with service.holding() as hold:
            first = pool.submit(service.post, TEXT)
            until(lambda: service.figure("stance_requests_in_progress") == 2)
            until(lambda: service.figure("stance_turn_requests_sum") == before[1] + 1)
            waiting = [pool.submit(service.post, sentence) for sentence in SENTENCES]
            leaving = service.sending(LEFT)
            until(lambda: service.figure("stance_queue") == len(SENTENCES) + 1)
            hold(LEFT)
            # It leaves while all of them are in their turn.
            until(lambda: service.figure("stance_turn_requests_sum") == before[1] + len(SENTENCES) + 2)
            leaving.close()
            until(lambda: service.figure("stance_requests_total", status="499") == left + 1)
        answers = [future.result() for future in waiting]
        assert first.result().status_code == 200
    until(lambda: service.figure("stance_requests_total", route="/v1/score") == asked + len(SENTENCES) + 2)
    turns, requests = (service.figure(name) - was for name, was in zip(figures, before, strict=True))
    return Shared(turns, requests, answers, service.figure("stance_requests_total", status="499") - left)


def test_requests_that_waited_are_answered_in_one_turn(shared: Shared) -> None:
    assert (shared.turns, shared.requests) == (2, len(SENTENCES) + 2)


def test_whoever_cannot_be_answered_or_leaves_spoils_no_shared_turn(shared: Shared, held_service: Service) -> None:
    assert shared.left == 1
    for sentence, answer in zip(SENTENCES, shared.answers, strict=True):
        if sentence == POISON:
            assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal")
        else:
            assert answer.status_code == 200
            assert answer.json() == held_service.post(sentence).json()


def test_a_client_that_comes_again_is_answered(crowded: Crowded) -> None:
    assert len(crowded.patient) == 1


def test_who_sends_too_slowly_is_told_so_and_holds_nobody_up(held_service: Service) -> None:
    before = held_service.figure("stance_refused_total", reason="body_too_slow")
    stalled = [held_service.connected() for _ in range(30)]
    for connection in stalled:
        connection.sendall(b'POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Length: 60\r\n\r\n{"texts": [')
    assert held_service.post(TEXT).status_code == 200
    for connection in stalled:
        with closing(connection), connection.makefile("rb") as answer:
            head, _, body = answer.read().partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 408 ")
            assert json.loads(body)["error"]["code"] == "body_too_slow"
    assert held_service.figure("stance_refused_total", reason="body_too_slow") == before + 30
    assert held_service.post(TEXT).status_code == 200


def test_a_client_that_goes_away_leaves_no_work(held_service: Service) -> None:
    scored = held_service.figure("stance_texts_total")
    asked = held_service.figure("stance_requests_total", route="/v1/score")
    left = held_service.figure("stance_requests_total", status="499")
    with held_service.holding():
        begun = held_service.sending(TEXT)
        until(lambda: held_service.figure("stance_requests_in_progress") == 2)
        waiting = held_service.sending(TEXT)
        until(lambda: held_service.figure("stance_queue") == 1)
        waiting.close()
        until(lambda: held_service.figure("stance_queue") == 0)
        begun.close()
    until(lambda: held_service.figure("stance_requests_total", route="/v1/score") == asked + 2)
    # Of the other one the answer may have begun just before it was seen to have left.
    assert held_service.figure("stance_requests_total", status="499") - left in (1, 2)
    assert held_service.post(TEXT).status_code == 200
    # What had begun ran to its end, for nobody.
    assert held_service.figure("stance_texts_total") == scored + 2


def test_who_does_not_read_an_answer_holds_no_turn(held_service: Service) -> None:
    with closing(held_service.sending(*[TEXT] * 256)), closing(held_service.sending(*[TEXT] * 256)):
        assert held_service.post(*[TEXT] * 256).status_code == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"hello\r\n\r\n",
        b"ZEBRAS / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nNo colon\r\n\r\n",
        b"POST /v1/score HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nsome\r\n",
    ],
)
def test_what_is_not_http_is_an_error_in_the_envelope(held_service: Service, sent: bytes) -> None:
    with held_service.connected() as connection, connection.makefile("rb") as answer:
        connection.sendall(sent)
        head, _, body = answer.read().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    error = json.loads(body)["error"]
    assert error["code"] == "invalid_request"
    assert error["request_id"]
    assert error["request_id"].encode() in head
    assert b"nosniff" in head


@contextmanager
def _connections(app: Any) -> Iterator[tuple[int, set[Any]]]:
    """Port of a server with connections as the service has them, and those that are open."""
    server = uvicorn.Server(uvicorn.Config(app, http=Connection, log_level="critical", lifespan="off"))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            until(lambda: server.started)
            yield listening.getsockname()[1], server.server_state.connections
        finally:
            server.should_exit = True
            thread.join()


async def _large(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"x" * 30_000_000})


def test_half_a_head_is_not_waited_for_and_a_stalled_reader_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beneath, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(beneath, "READ_SECONDS", 0.3)
    with _connections(_large) as (port, connections):
        for begins in (b"", b"GET / HTTP/1.1\r\nHost", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", port)) as client:
                until(lambda: connections)
                client.sendall(begins)
                until(lambda: not connections)
        # Who reads, however much, has all of it.
        response = httpx.get(f"http://127.0.0.1:{port}", timeout=60)
        assert len(response.content) == 30_000_000


async def _reading_all(scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize(
    ("begins", "goes_on"),
    [
        (b"GET /", b"a" * 1000),
        (b"GET / HTTP/1.1\r\n", b"X-More: again\r\n" * 100),
        (b"GET / HTTP/1.1\r\nX: ", b"a" * 1000),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n", b"X-More: again\r\n" * 100),
    ],
    ids=["path", "headers", "header", "trailers"],
)
def test_a_request_that_has_no_end_is_broken_off(
    monkeypatch: pytest.MonkeyPatch, begins: bytes, goes_on: bytes
) -> None:
    monkeypatch.setattr(beneath, "HEAD_SECONDS", 600)
    with _connections(_reading_all) as (port, connections):
        with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
            client.sendall(begins)
            with contextlib.suppress(ConnectionError):
                # Without a bound it would go on for ever.
                while client.send(goes_on):
                    pass
        until(lambda: not connections)


def test_a_body_in_many_small_parts_is_read_whole() -> None:
    with _connections(_reading_all) as (port, _):
        parts = (b"word " for _ in range(30_000))
        assert httpx.post(f"http://127.0.0.1:{port}", content=parts, timeout=60).status_code == 200


def test_unfinished_bodies_hold_a_bounded_amount_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_UNFINISHED", 1000)

    async def body(reader: Reading, parts: list[bytes], finished: asyncio.Event) -> bytes | RequestError:
        async def receive() -> Message:
            if parts:
                return {"type": "http.request", "body": parts.pop(0), "more_body": True}
            await finished.wait()
            return {"type": "http.request", "body": b"", "more_body": False}

        try:
            return await reader.body({"headers": []}, receive)
        except RequestError as error:
            return error

    async def read() -> list[bytes | RequestError]:
        reader, finished = Reading(60), asyncio.Event()
        tasks = []
        for _ in range(5):
            tasks.append(asyncio.create_task(body(reader, [b"x" * 300], finished)))
            await asyncio.sleep(0.01)
        finished.set()
        return await asyncio.gather(*tasks)

    given_up, *others = asyncio.run(read())
    assert isinstance(given_up, RequestError)
    assert given_up.code == "body_too_slow"
    # The first made room for the fourth, the second for the fifth.
    assert [isinstance(other, bytes) for other in others] == [False, True, True, True]


def test_serve_says_so_before_it_starts() -> None:
    done = run_stance("serve", STANCE_BODY_SECONDS="soon")
    assert done.returncode == 1
    assert "STANCE_BODY_SECONDS" in done.stderr
    assert len(done.stderr.splitlines()) == 1

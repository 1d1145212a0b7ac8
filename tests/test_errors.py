"""Errors: one envelope for all, whoever found the fault, and a table of codes that says what is done."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

import serving.gate
from serving.errors import CODES, RequestError
from serving.gate import Gate
from serving.observed import TEXTS
from serving.schema import MAX_BODY_BYTES
from tests.conftest import PROJECT

SENTENCE = {"texts": ["The bakery opens at nine."]}


def test_the_documents_table_has_every_code_with_its_status() -> None:
    text = (PROJECT / "docs" / "service.md").read_text(encoding="utf8")
    rows = re.findall(r"^\| (\d{3}) \| `(\w+)` \|", text, re.M)
    assert sorted((code, int(status)) for status, code in rows) == sorted(CODES.items())


def test_an_error_has_a_code_of_the_table_with_its_own_status() -> None:
    with pytest.raises(KeyError):
        RequestError(400, "a new kind of fault", code="nonsense")
    with pytest.raises(AssertionError):
        RequestError(404, "another status than the table's", code="internal")


REFUSED: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/v1/score", {"json": {}}),
    ("POST", "/v1/score", {"content": b"a" * (MAX_BODY_BYTES + 1)}),
    ("POST", "/v1/labels", {}),
    ("GET", "/v1/jobs/x", {}),
    ("GET", "/nowhere", {}),
    ("PUT", "/v1/model", {}),
    ("OPTIONS", "/v1/score", {}),
]


@pytest.mark.parametrize(("method", "path", "more"), REFUSED, ids=[f"{m} {p}" for m, p, _ in REFUSED])
def test_every_error_names_its_request(service: TestClient, method: str, path: str, more: dict[str, Any]) -> None:
    response = service.request(method, path, headers={"X-Request-Id": "desk-17"}, **more)
    error = response.json()["error"]
    assert set(error) == {"code", "message", "field", "request_id"}
    assert CODES[error["code"]] == response.status_code
    assert error["request_id"] == response.headers["x-request-id"] == "desk-17"


def test_a_good_answer_names_its_request_too(service: TestClient) -> None:
    for path in ("/", "/v1/model", "/docs.json", "/livez", "/metrics"):
        assert service.get(path, headers={"X-Request-Id": "a/b=7"}).headers["x-request-id"] == "a/b=7"
    made = {service.get("/livez").headers["x-request-id"] for _ in range(3)}
    assert len(made) == 3


@pytest.mark.parametrize("given", ["", "two words", "x" * 129, "a\tb", "é", '"quoted"', "<b>"])
def test_an_id_that_is_not_sane_is_replaced(service: TestClient, given: str) -> None:
    response = service.get("/nowhere", headers={"X-Request-Id": given.encode()})
    assert re.fullmatch("[0-9a-f]{32}", response.headers["x-request-id"])
    assert response.json()["error"]["request_id"] == response.headers["x-request-id"]


def test_of_two_ids_neither_is_taken(service: TestClient) -> None:
    response = service.get("/nowhere", headers=[("X-Request-Id", "a"), ("X-Request-Id", "b")])
    assert re.fullmatch("[0-9a-f]{32}", response.headers["x-request-id"])


def _answer_of(app: Any) -> list[Message]:
    """What a gate around an application sends for a `GET /`."""
    sent: list[Message] = []
    scope: Scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "server": ("127.0.0.1", 1), TEXTS: [0]}

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(Gate(app, list)(scope, receive, send))
    return sent


@pytest.mark.parametrize(("status", "given"), [(418, 400), (422, 400), (404, 404), (507, 500), (503, 503)])
def test_whatever_the_framework_answers_becomes_a_known_error(status: int, given: int) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"[{}]"})

    start, body = _answer_of(app)
    assert start["status"] == given
    assert b'{"error":{"code":' in body["body"]


def test_an_exception_in_the_middle_is_an_error_500() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("the disk is on fire")

    start, body = _answer_of(app)
    assert start["status"] == 500
    assert b"fire" not in body["body"]


def test_what_takes_too_long_is_told_so_and_answers_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving.gate, "TIMEOUT", 0.05)

    async def stubborn(scope: Scope, receive: Receive, send: Send) -> None:
        # Like a thread, it does not stop for being told to.
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await send({"type": "http.response.start", "status": 200, "headers": []})

    start, body = _answer_of(stubborn)
    assert start["status"] == 504
    assert b'"timeout"' in body["body"]


def test_headers_that_keep_browsers_careful_are_on_every_answer(service: TestClient) -> None:
    origin = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"}
    answers = [
        service.get("/", headers=origin),
        service.get("/v1/targets", headers=origin),
        service.get("/nowhere", headers=origin),
        service.options("/v1/score", headers=origin),
        service.post("/v1/score", json=SENTENCE, headers=origin),
        service.get("/readyz", headers=origin),
    ]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        # The page holds nothing of anybody's: it is kept, and asked about each time.
        assert answer.headers["cache-control"] == ("no-cache" if answer is answers[0] else "no-store")
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert not [name for name in answer.headers if name.startswith("access-control")]

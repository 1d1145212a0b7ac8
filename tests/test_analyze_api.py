"""`POST /v1/analyze`: documents over HTTP, with the service's limits, errors, keys and figures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from starlette.testclient import TestClient

from serving.analysis import tagger as tagger_module
from serving.analysis.schema import MAX_DOCUMENT_CHARACTERS, MAX_DOCUMENTS, MAX_SENTENCES
from serving.keys import create_key
from tests.conftest import bearer
from training.holder import Holder

TEXT = """\
The drills will go on as planned, the defence minister said on Monday. “We will not pay twice for one promise,” he\
 told parliament.
Pyongyang called the drills a rehearsal for war. It demanded an end to the sanctions.
There is little time left to stop this.
"""


def ask(client: TestClient, *documents: Any, **more: Any) -> httpx.Response:
    return client.post("/v1/analyze", json={"documents": documents, **more})


def answer(client: TestClient, *texts: str, **more: Any) -> list[dict[str, Any]]:
    response = ask(client, *({"text": text} for text in texts), **more)
    assert response.status_code == 200, response.text
    documents: list[dict[str, Any]] = response.json()["documents"]
    return documents


def test_it_says_who_says_what(service: TestClient) -> None:
    about = {"title": "Drills", "date": "2026-03-02", "source": "Harbour Gazette"}
    response = ask(service, {"text": TEXT, **about})
    body = response.json()
    assert body["model"] == {"version": service.get("/v1/model").json()["version"]}
    (document,) = body["documents"]
    assert {name: document[name] for name in about} == about
    assert [TEXT[s["start"] : s["end"]] for s in document["sentences"]] == [s["text"] for s in document["sentences"]]
    names = [s["holder"] and s["holder"]["name"] for s in document["sentences"]]
    assert names[2:4] == ["North Korea", "North Korea"]
    for sentence in document["sentences"]:
        holder = sentence["holder"]
        if holder and holder["start"] is not None:
            assert TEXT[holder["start"] : holder["end"]] == holder["text"]
    north = next(row for row in document["holders"] if row["holder"] == "North Korea")
    assert (north["sentences"], north["kind"]) == (2, "state")


def alike(one: Any, other: Any) -> bool:
    """Whether two answers are the same but for the last digit, which may be rounded to either way."""
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(alike(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) < 2e-6
    return bool(one == other)


def test_sentences_are_scored_as_they_are_by_themselves(service: TestClient) -> None:
    (document,) = answer(service, TEXT)
    texts = [sentence["text"] for sentence in document["sentences"]]
    alone = service.post("/v1/score", json={"texts": texts}).json()["results"]
    assert alike([{"targets": s["targets"], "truncated": s["truncated"]} for s in document["sentences"]], alone)


def test_it_keeps_to_its_document(service: TestClient) -> None:
    api = service.get("/docs.json").json()
    schema = api["paths"]["/v1/analyze"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    validator = Draft202012Validator({**schema, "components": api["components"]})
    assert list(validator.iter_errors(ask(service, {"text": TEXT}).json())) == []


def test_documents_do_not_see_one_another(service: TestClient) -> None:
    other = "Mike Pompeo arrived. The envoy left."
    alone, late = answer(service, TEXT)[0], answer(service, other, "He rejected the sanctions.", TEXT)
    assert alike(late[2], alone)
    assert late[1]["sentences"][0]["holder"]["name"] is None


def test_only_the_targets_that_are_asked_for(service: TestClient) -> None:
    target = service.get("/v1/targets").json()["targets"][1]["id"]
    (document,) = answer(service, TEXT, targets=[target])
    assert list(document["totals"]) == [target]
    assert {name for sentence in document["sentences"] for name in sentence["targets"]} == {target}
    assert {name for row in document["holders"] for name in row["targets"]} <= {target}


class _Stub:
    """Says that nobody voices a sentence about time, and that all others are the author's."""

    def tag(self, texts: Sequence[str]) -> list[Holder]:
        return [
            Holder("none", None, None, 0.5) if "time" in text else Holder("author", None, None, 0.7) for text in texts
        ]


def test_a_tagger_has_a_say_where_there_is_one(service: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tagger_module, "shipped_tagger", _Stub)
    body = ask(service, {"text": TEXT}).json()
    assert body["holders_by"] == "tagger"
    holders = [sentence["holder"] for sentence in body["documents"][0]["sentences"]]
    assert holders[-1] is None
    assert (holders[0]["kind"], holders[0]["probability"]) == ("author", 0.7)
    # A sentence that is quoted is the speaker's, however it looks by itself.
    assert holders[1]["kind"] == "speaker"


def test_without_one_it_goes_on_by_rules(service: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tagger_module, "shipped_tagger", lambda: None)
    body = ask(service, {"text": TEXT}).json()
    assert body["holders_by"] == "rules"
    assert [s["holder"]["kind"] for s in body["documents"][0]["sentences"]][-1] == "author"


ONE = {"text": "One."}
BAD: list[tuple[dict[str, Any], str, str | None]] = [
    ({"documents": []}, "invalid_request", "documents"),
    ({}, "invalid_request", "documents"),
    ({"documents": [ONE] * (MAX_DOCUMENTS + 1)}, "too_many_documents", "documents"),
    ({"documents": [ONE, {"text": "x" * (MAX_DOCUMENT_CHARACTERS + 1)}]}, "text_too_long", "documents.1.text"),
    ({"documents": [ONE, {"text": "No.\n" * MAX_SENTENCES}]}, "too_many_sentences", "documents"),
    ({"documents": [{"text": " \n"}]}, "empty_text", "documents.0.text"),
    ({"documents": [{"text": ""}]}, "empty_text", "documents.0.text"),
    ({"documents": [{"title": "No text"}]}, "invalid_request", "documents.0.text"),
    ({"documents": [{**ONE, "author": "x"}]}, "invalid_request", "documents.0.author"),
    ({"documents": [{**ONE, "date": 3}]}, "invalid_request", "documents.0.date"),
    ({"documents": [ONE], "targets": ["weather"]}, "unknown_target", "targets.0"),
    ({"documents": [ONE], "targets": []}, "invalid_request", "targets"),
    ({"documents": [ONE], "explain": True}, "invalid_request", "explain"),
]


@pytest.mark.parametrize(("body", "code", "field"), BAD, ids=range(len(BAD)))
def test_what_is_wrong_is_told(service: TestClient, body: dict[str, Any], code: str, field: str | None) -> None:
    response = service.post("/v1/analyze", json=body)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["field"]) == (400, code, field)
    assert error["message"]
    assert error["request_id"] == response.headers["X-Request-Id"]


def test_it_is_asked_by_post(service: TestClient) -> None:
    response = service.get("/v1/analyze")
    assert (response.status_code, response.json()["error"]["code"]) == (405, "method_not_allowed")


def test_curl_calls_it_a_form_and_it_is_json_all_the_same(service: TestClient) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    response = service.post("/v1/analyze", content=json.dumps({"documents": [ONE]}), headers=headers)
    assert response.status_code == 200


def test_it_needs_a_key_where_scoring_does(service: TestClient, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STANCE_SCORING_NEEDS_KEY", "1")
    assert ask(service, ONE).json()["error"]["code"] == "no_keys"
    key = create_key(home, "desk")
    assert ask(service, ONE).json()["error"]["code"] == "unauthorized"
    given_key = service.post("/v1/analyze", json={"documents": [ONE]}, headers=bearer(key))
    assert given_key.status_code == 200


def _figure(service: TestClient, begin: str) -> float:
    lines = service.get("/metrics").text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(begin))


def test_it_is_counted_as_scoring_is(service: TestClient) -> None:
    names = ("stance_texts_total", 'stance_requests_total{method="POST",route="/v1/analyze",status="200"}')
    before = [_figure(service, name) for name in names]
    answer(service, "One thing. Another thing.", "A third.")
    assert [_figure(service, name) for name in names] == [before[0] + 3, before[1] + 1]


def test_the_largest_document_is_read_in_time_whatever_it_holds(service: TestClient) -> None:
    target = service.get("/v1/targets").json()["targets"][0]["id"]
    for piece in ("'a ", "“a ", '"a" ', "said A ", "A, ", "Kim Jong Un "):
        (document,) = answer(service, piece * (MAX_DOCUMENT_CHARACTERS // len(piece)), targets=[target])
        assert document["sentences"]


@settings(max_examples=40)
@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60).filter(str.strip),
        min_size=1,
        max_size=3,
    )
)
def test_no_text_makes_it_fail(service: TestClient, texts: list[str]) -> None:
    for text, document in zip(texts, answer(service, *texts), strict=True):
        for sentence in document["sentences"]:
            assert text[sentence["start"] : sentence["end"]] == sentence["text"]

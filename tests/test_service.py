"""The service over HTTP, in this process: answers, errors, and any text at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from labels.taxonomy import load_taxonomy
from serving.schema import MAX_BODY_BYTES, MAX_CHARACTERS, MAX_TEXTS
from training.model_folder import DEFAULT_MODEL, load_model

TEXTS = ["Seoul offered to halt the drills.", "The bakery opens at nine.", "Sanctions must stay, the senator said."]
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200).filter(str.strip)


@pytest.fixture(scope="module")
def client(service: TestClient) -> TestClient:
    return service


def _score(client: TestClient, **body: Any) -> dict[str, Any]:
    response = client.post("/v1/score", json=body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def _answers_are_sound(answer: dict[str, Any], targets: list[str]) -> None:
    taxonomy = load_taxonomy()
    for result in answer["results"]:
        assert list(result["targets"]) == targets
        for target_id, given_ in result["targets"].items():
            target, probabilities = taxonomy[target_id], given_["probabilities"]
            assert list(probabilities) == ["unrelated", *target.classes]
            assert sum(probabilities.values()) == pytest.approx(1, abs=1e-5)
            assert min(probabilities.values()) >= 0
            assert given_["label"] in probabilities
            assert isinstance(given_["abstained"], bool)
            expected = probabilities[target.conciliatory] - probabilities[target.other]
            assert given_["score"] == pytest.approx(expected, abs=1e-5)
            assert -1 <= given_["score"] <= 1


def test_results_stand_in_the_order_of_the_texts(client: TestClient) -> None:
    answer = _score(client, texts=TEXTS)
    assert answer["model"]["version"] == load_model(DEFAULT_MODEL).version
    assert len(answer["results"]) == len(TEXTS)
    _answers_are_sound(answer, list(load_taxonomy().ids))
    for n, text in enumerate(TEXTS):
        (alone,) = _score(client, texts=[text])["results"]
        for target_id, given_ in alone["targets"].items():
            assert given_["score"] == pytest.approx(answer["results"][n]["targets"][target_id]["score"], abs=1e-4)


def test_only_the_targets_that_were_asked_for(client: TestClient) -> None:
    targets = list(load_taxonomy().ids)[2:0:-1]
    answer = _score(client, texts=TEXTS[:1], targets=targets)
    _answers_are_sound(answer, targets)


def test_it_takes_the_most_that_it_says_it_takes(client: TestClient) -> None:
    target = load_taxonomy().ids[0]
    assert len(_score(client, texts=["x"] * MAX_TEXTS, targets=[target])["results"]) == MAX_TEXTS
    (result,) = _score(client, texts=["no " * (MAX_CHARACTERS // 3)], targets=[target])["results"]
    assert result["truncated"] is True
    assert _score(client, texts=TEXTS[:1], targets=[target])["results"][0]["truncated"] is False


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ANY_TEXT, min_size=1, max_size=3))
def test_any_text_gets_an_answer(client: TestClient, texts: list[str]) -> None:
    answer = _score(client, texts=texts)
    assert len(answer["results"]) == len(texts)
    _answers_are_sound(answer, list(load_taxonomy().ids))


STRANGE = [
    "\0",
    "\0\x01\x1b[31m\x7f\x85",
    "\ufeff\ufffe\U0010ffff",
    "\u202eThe drills were halted.\u202c \u2066x\u2069",
    "قال الوزير إن العقوبات يجب أن تبقى.",
    "השר אמר שהסנקציות יישארו.",
    "e" + "\u0301" * 500,
    "👩\u200d👩\u200d👧\u200d👦🇰🇵",
    "<script>alert(1)</script><b>Sanctions</b> &amp; <!-- talks -->",
    "{{7*7}} ${jndi:ldap://x} ' OR 1=1 --",
    "[UNK] [CLS] [SEP] [MASK] [PAD] <s> </s> <|endoftext|>",
    "x" * MAX_CHARACTERS,
    "核" * MAX_CHARACTERS,
    "\U0001f54a" * MAX_CHARACTERS,
    "\r\n." * (MAX_CHARACTERS // 3),
]


@pytest.mark.parametrize("text", STRANGE, ids=range(len(STRANGE)))
def test_a_strange_text_gets_an_answer_of_its_own(client: TestClient, text: str) -> None:
    usual = TEXTS[0]
    answer = _score(client, texts=[usual, text])
    _answers_are_sound(answer, list(load_taxonomy().ids))
    (alone,) = _score(client, texts=[usual])["results"]
    for target_id, given_ in alone["targets"].items():
        assert given_["score"] == pytest.approx(answer["results"][0]["targets"][target_id]["score"], abs=1e-4)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=10), st.characters(categories=["Cs"]), st.text(max_size=10), st.booleans())
def test_half_a_surrogate_pair_is_not_json(
    client: TestClient, before: str, half: str, after: str, escaped: bool
) -> None:
    written = json.dumps({"texts": [before + half + after]}, ensure_ascii=escaped)
    response = client.post("/v1/score", content=written.encode("utf8", "surrogatepass"))
    assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_json")


def test_both_halves_together_are_a_character(client: TestClient) -> None:
    target = load_taxonomy().ids[0]
    bodies = (f'{{"texts": ["{dove}"], "targets": ["{target}"]}}' for dove in ("\\ud83d\\udd4a", "\U0001f54a"))
    escaped, plain = (client.post("/v1/score", content=body.encode()) for body in bodies)
    assert escaped.status_code == plain.status_code == 200
    assert escaped.json() == plain.json()


def test_what_it_is_called_does_not_matter(client: TestClient) -> None:
    body = json.dumps({"texts": TEXTS[:1]})
    for kind in ("application/x-www-form-urlencoded", "text/plain", "application/vnd.bentoml+pickle"):
        assert client.post("/v1/score", content=body, headers={"Content-Type": kind}).status_code == 200


BAD_BODIES: list[tuple[bytes, int, str, str | None]] = [
    (b"", 400, "invalid_json", None),
    (b"texts", 400, "invalid_json", None),
    (b"\xff\xfe", 400, "invalid_json", None),
    (b'{"texts": ["\\ud800"]}', 400, "invalid_json", None),
    (b'{"texts": ' + b"[" * 50_000, 400, "invalid_json", None),
    (b"[]", 400, "invalid_request", None),
    (b"null", 400, "invalid_request", None),
    (b"{}", 400, "invalid_request", "texts"),
    (b'{"texts": null}', 400, "invalid_request", "texts"),
    (b'{"texts": "one"}', 400, "invalid_request", "texts"),
    (b'{"texts": [1]}', 400, "invalid_request", "texts.0"),
    (b'{"texts": ["a", null]}', 400, "invalid_request", "texts.1"),
    (b'{"texts": []}', 400, "invalid_request", "texts"),
    (b'{"texts": [""]}', 400, "empty_text", "texts.0"),
    (b'{"texts": ["a", " \\n "]}', 400, "empty_text", "texts.1"),
    (b'{"texts": ["a"], "text": "b"}', 400, "invalid_request", "text"),
    (b'{"texts": ["a"], "targets": "x"}', 400, "invalid_request", "targets"),
    (b'{"texts": ["a"], "targets": []}', 400, "invalid_request", "targets"),
    (b'{"texts": ["a"], "targets": ["weather"]}', 400, "unknown_target", "targets.0"),
    (json.dumps({"texts": ["a"] * (MAX_TEXTS + 1)}).encode(), 400, "too_many_texts", "texts"),
    (json.dumps({"texts": ["a" * (MAX_CHARACTERS + 1)]}).encode(), 400, "text_too_long", "texts.0"),
    (b'{"texts": ["' + b"a" * MAX_BODY_BYTES + b'"]}', 413, "body_too_large", None),
]


@pytest.mark.parametrize(("body", "status", "code", "field"), BAD_BODIES, ids=range(len(BAD_BODIES)))
def test_a_bad_body_is_told_what_is_wrong(
    client: TestClient, body: bytes, status: int, code: str, field: str | None
) -> None:
    response = client.post("/v1/score", content=body, headers={"Content-Type": "application/json"})
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["field"]) == (status, code, field)
    assert error["message"]
    assert client.post("/v1/score", json={"texts": TEXTS[:1]}).status_code == 200


def test_a_body_without_a_length_is_counted(client: TestClient) -> None:
    def parts() -> Iterator[bytes]:
        for _ in range(MAX_BODY_BYTES // 65536 + 1):
            yield b"a" * 65536

    assert client.post("/v1/score", content=parts()).status_code == 413


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["texts", "targets", "x"]), inner, max_size=3)
        ),
        max_leaves=8,
    )
)
def test_no_json_makes_the_service_fail(client: TestClient, body: Any) -> None:
    response = client.post("/v1/score", content=json.dumps(body).encode())
    assert response.status_code in (200, 400)
    assert ("error" in response.json()) == (response.status_code == 400)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/v1/score", 405, "method_not_allowed"),
        ("POST", "/v1/targets", 405, "method_not_allowed"),
        ("DELETE", "/v1/model", 405, "method_not_allowed"),
    ],
)
def test_the_frameworks_errors_wear_the_same_envelope(
    client: TestClient, method: str, path: str, status: int, code: str
) -> None:
    response = client.request(method, path)
    assert response.status_code == status
    assert response.json()["error"]["code"] == code


def test_a_failure_inside_is_an_error_500_in_the_envelope(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the disk is on fire")

    monkeypatch.setattr("serving.service.score_together", broken)
    response = client.post("/v1/score", json={"texts": TEXTS[:1]})
    assert response.status_code == 500
    assert response.json()["error"]["code"] == "internal"
    assert "fire" not in response.text


def test_targets_and_model(client: TestClient) -> None:
    targets = client.get("/v1/targets").json()["targets"]
    assert [target["id"] for target in targets] == list(load_taxonomy().ids)
    assert targets[0]["labels"] == ["unrelated", *targets[0]["classes"]]
    model = client.get("/v1/model").json()
    assert model["version"] == load_model(DEFAULT_MODEL).version
    assert model["trained_on"]["fingerprint"]
    assert model["runtime"] == "onnx"
    assert model["features"]["weights_sha256"]
    assert model["error_rate"] == model["recipe"]["abstention"]["error_rate"]
    assert set(model["cross_validated"]["answers"]) == set(load_taxonomy().ids)


def test_it_is_alive_and_ready(client: TestClient) -> None:
    for probe in ("/livez", "/readyz"):
        assert client.get(probe).status_code == 200


def test_the_openapi_document_describes_what_is_served(client: TestClient) -> None:
    document = client.get("/docs.json").json()
    assert document["openapi"] == "3.1.0"
    score = document["paths"]["/v1/score"]["post"]
    schema = document["components"]["schemas"]["ScoreRequest"]
    assert score["requestBody"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/ScoreRequest"
    }
    (example,) = schema["properties"]["texts"]["examples"]
    assert len(_score(client, texts=example)["results"]) == len(example)
    assert {"200", "400", "408", "413", "429", "500", "503"} <= set(score["responses"])
    for path, operations in document["paths"].items():
        if "get" in operations and "security" not in operations["get"]:
            assert client.get(path).status_code == 200
    answered = _score(client, texts=TEXTS[:1])["results"][0]["targets"]
    documented = document["components"]["schemas"]["TargetScore"]
    assert all(
        set(given_) == set(documented["properties"]) == set(documented["required"]) for given_ in answered.values()
    )
    references = set(json.dumps(document).split('"#/components/schemas/')[1:])
    assert {reference.split('"')[0] for reference in references} <= set(document["components"]["schemas"])


def test_the_page_asks_nobody_else(client: TestClient) -> None:
    response = client.get("/")
    assert response.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert "unsafe" not in response.headers["content-security-policy"]
    assert "://" not in response.text

"""Labels over HTTP: kept once however often they are sent, all of a request or none of it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from labels.store import Label, read_store
from labels.taxonomy import load_taxonomy
from serving.keys import create_key
from serving.schema import MAX_CHARACTERS, MAX_LABELS
from tests.conftest import bearer

TAXONOMY = load_taxonomy()
TARGET, OTHER = TAXONOMY.targets[:2]


@pytest.fixture
def sender(service: TestClient, home: Path) -> Sender:
    return Sender(service, home)


class Sender:
    """Somebody with a key of the name "desk"."""

    def __init__(self, service: TestClient, home: Path) -> None:
        self.home, self._service, self._headers = home, service, bearer(create_key(home, "desk"))

    def send(self, *labels: Any) -> httpx.Response:
        return self.send_body(json.dumps({"labels": labels}))

    def send_body(self, body: str | bytes) -> httpx.Response:
        return self._service.post("/v1/labels", content=body, headers=self._headers)

    def kept(self) -> list[Label]:
        return read_store(self.home / "labels.sqlite") if (self.home / "labels.sqlite").exists() else []


def entry(text: str = "The envoy wants the drills to stop.", label: str | None = None, **more: Any) -> dict[str, Any]:
    return {"text": text, "labels": {TARGET.id: label}, **more}


def test_all_that_is_said_is_kept(sender: Sender) -> None:
    more = {"holder": "the envoy", "group": "g", "source": "wire", "date": "2026-02-01", "split": "dev", "note": "?"}
    sent = entry(label=TARGET.classes[0], event="e1", id="s1", annotator="alpha", codebook="1.2", **more)
    response = sender.send(sent)
    assert response.status_code == 200
    assert response.json() == {"accepted": 1, "known": 0, "labels": [{"event": "e1", "id": "s1", "new": True}]}
    (label,) = sender.kept()
    assert label.at.tzinfo is not None
    names = {"record": "id"}
    kept = {names.get(k, k): v for k, v in vars(label).items() if k not in ("at", "ref")}
    assert kept == {**sent, "annotator": "alpha"}


def test_what_is_not_said_is_made(sender: Sender) -> None:
    (one,) = sender.send(entry()).json()["labels"]
    (label,) = sender.kept()
    assert (label.event, label.record, label.annotator) == (one["event"], one["id"], "desk")
    assert len({label.event, label.record, ""}) == 3


def test_the_same_sent_again_is_one_label(sender: Sender) -> None:
    first = sender.send(entry("One."), entry("Two.")).json()
    again = sender.send(entry("Two."), entry("Three."), entry("Three.")).json()
    assert (first["accepted"], first["known"]) == (2, 0)
    assert (again["accepted"], again["known"]) == (1, 2)
    assert [label["new"] for label in again["labels"]] == [False, True, False]
    assert again["labels"][0] | {"new": True} == first["labels"][1]
    assert [label.text for label in sender.kept()] == ["One.", "Two.", "Three."]


_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(str.strip)
_ENTRIES = st.lists(
    st.fixed_dictionaries(
        {"text": _TEXTS, "labels": st.fixed_dictionaries({TARGET.id: st.sampled_from([None, *TARGET.classes])})},
        optional={"annotator": st.sampled_from(["alpha", "desk"]), "note": _TEXTS},
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=25)
@given(_ENTRIES)
def test_whatever_is_sent_twice_is_kept_once(service: TestClient, entries: list[dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("STANCE_HOME", folder)
        sender = Sender(service, Path(folder))
        first, kept = sender.send(*entries).json(), sender.kept()
        again = sender.send(*reversed(entries)).json()
        # Saying who labelled, where that is the key's own name, changes nothing.
        different = {json.dumps({"annotator": "desk", **e}, sort_keys=True) for e in entries}
        assert (first["accepted"], again["accepted"]) == (len(different), 0)
        assert again["labels"] == [label | {"new": False} for label in reversed(first["labels"])]
        assert sender.kept() == kept


def test_sent_at_once_it_is_still_one_label(sender: Sender) -> None:
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: sender.send(entry("One."), entry("Two.")).json(), range(6)))
    assert sum(answer["accepted"] for answer in answers) == 2
    assert len(sender.kept()) == 2


BAD: list[tuple[Any, str, str]] = [
    (entry(label="perhaps"), "unknown_class", f"labels.1.labels.{TARGET.id}"),
    (entry(label="unrelated"), "unknown_class", f"labels.1.labels.{TARGET.id}"),
    ({"text": "One.", "labels": {OTHER.id: None, "weather": None}}, "unknown_target", "labels.1.labels.weather"),
    (entry(label=1), "invalid_request", f"labels.1.labels.{TARGET.id}"),  # type: ignore[arg-type]
    ({"text": "One.", "labels": {}}, "invalid_request", "labels.1.labels"),
    ({"text": "One."}, "invalid_request", "labels.1.labels"),
    ({"labels": {TARGET.id: None}}, "invalid_request", "labels.1.text"),
    (entry("x" * (MAX_CHARACTERS + 1)), "text_too_long", "labels.1.text"),
    (entry(" \n"), "empty_text", "labels.1.text"),
    (entry(event=""), "invalid_request", "labels.1.event"),
    (entry(id="i" * 201), "invalid_request", "labels.1.id"),
    (entry(annotator=3), "invalid_request", "labels.1.annotator"),
    (entry(split="exam"), "invalid_request", "labels.1.split"),
    (entry(label_of="x"), "invalid_request", "labels.1.label_of"),
    ("One.", "invalid_request", "labels.1"),
]


@pytest.mark.parametrize(("bad", "code", "field"), BAD, ids=range(len(BAD)))
def test_one_bad_label_keeps_all_out(sender: Sender, bad: Any, code: str, field: str) -> None:
    response = sender.send(entry("Good."), bad, entry("Also good."))
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["field"]) == (400, code, field)
    assert error["message"]
    assert sender.kept() == []


def test_a_body_that_is_not_json_is_told_so(sender: Sender) -> None:
    for body in (b"", b"labels", b'{"labels": [{"text": "\\ud800"}]}'):
        response = sender.send_body(body)
        assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_json")


def test_neither_none_nor_too_many(sender: Sender) -> None:
    assert sender.send().json()["error"]["field"] == "labels"
    many = [entry(f"Sentence {n}.") for n in range(MAX_LABELS + 1)]
    assert sender.send(*many).json()["error"]["code"] == "too_many_labels"
    assert sender.kept() == []
    assert sender.send(*many[1:]).json()["accepted"] == MAX_LABELS


@pytest.mark.parametrize(
    ("clash", "code", "field"),
    [
        (entry(event="e1", id="s1", label=TARGET.classes[0]), "event_reused", "labels.1.event"),
        (entry("Another sentence.", event="e2", id="s1"), "id_reused", "labels.1.id"),
    ],
)
def test_an_id_for_something_else_is_a_conflict(sender: Sender, clash: Any, code: str, field: str) -> None:
    assert sender.send(entry(event="e1", id="s1")).status_code == 200
    before = sender.kept()
    response = sender.send(entry("New."), clash)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["field"]) == (409, code, field)
    assert str(sender.home) not in response.text
    assert sender.kept() == before
    # Also where both come in one request.
    response = sender.send(entry("New.", event="e3", id="s3"), {**clash, "event": "e3"})
    assert (response.status_code, response.json()["error"]["field"]) == (409, "labels.1.event")


def _json() -> st.SearchStrategy[Any]:
    leaves = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5)
    keys = st.sampled_from(["labels", "text", "event", "id", "split", "date", "annotator", TARGET.id])
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
        max_leaves=10,
    )


@settings(max_examples=100)
@given(_json() | st.fixed_dictionaries({"labels": st.lists(st.just(entry()) | _json(), max_size=3)}))
def test_no_json_makes_it_fail(open_sender: Sender, body: Any) -> None:
    response = open_sender.send_body(json.dumps(body).encode())
    assert response.status_code in (200, 400, 409)
    assert ("error" in response.json()) == (response.status_code != 200)


@pytest.fixture(scope="module")
def open_sender(service: TestClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sender]:
    folder = tmp_path_factory.mktemp("open")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STANCE_HOME", str(folder))
        yield Sender(service, folder)

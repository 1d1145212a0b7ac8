"""API keys: who gets in, who does not, and what is written down of them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from labels.errors import StanceError
from serving.keys import SCOPES, KeyScope, create_key, key_holder, read_keys, revoke_key
from tests.conftest import bearer, run_stance

KEYED = [
    ("POST", "/v1/labels"),
    ("POST", "/v1/retrain"),
    ("GET", "/v1/jobs"),
    ("GET", "/v1/jobs/x"),
    ("DELETE", "/v1/jobs/x"),
]
OPEN = ["/", "/v1/model", "/v1/targets", "/docs.json", "/livez"]


@pytest.mark.parametrize(("method", "path"), KEYED)
def test_without_any_keys_nobody_gets_in(service: TestClient, home: Path, method: str, path: str) -> None:
    response = service.request(method, path, headers=bearer("anything"))
    assert (response.status_code, response.json()["error"]["code"]) == (403, "no_keys")
    assert "stance keys create" in response.json()["error"]["message"]


@pytest.mark.parametrize(("method", "path"), KEYED)
def test_only_a_right_key_gets_in(service: TestClient, home: Path, method: str, path: str) -> None:
    key = create_key(home, "desk", SCOPES)
    for headers in ({}, bearer("wrong"), bearer(""), bearer(key[:-1]), {"Authorization": key}, bearer("é" * 43)):
        response = service.request(method, path, headers={k: v.encode("latin-1") for k, v in headers.items()})
        assert (response.status_code, response.json()["error"]["code"]) == (401, "unauthorized")
        assert response.headers["www-authenticate"].startswith("Bearer")
        assert service.request(method, path, headers=bearer(key)).status_code not in (401, 403)
    assert service.request(method, path, headers={"Authorization": f"bearer {key}"}).status_code not in (401, 403)
    twice = [("Authorization", f"Bearer {key}"), ("Authorization", "Bearer wrong")]
    assert service.request(method, path, headers=twice).status_code == 401


def test_a_body_is_not_read_before_the_key(service: TestClient, home: Path) -> None:
    create_key(home, "desk")

    def parts() -> Iterator[bytes]:
        for _ in range(100):
            yield b"a" * 65536

    for path in ("/v1/labels", "/v1/retrain"):
        assert service.post(path, content=parts()).status_code == 401
        assert service.post(path, content=b"nonsense").status_code == 401


def test_what_is_open_stays_open(service: TestClient, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create_key(home, "desk")
    monkeypatch.setenv("STANCE_SCORING_NEEDS_KEY", "1")
    for path in OPEN:
        assert service.get(path).status_code == 200, path


def test_scoring_asks_for_a_key_only_where_it_was_told_to(
    service: TestClient, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"texts": ["The bakery opens at nine."]}
    assert service.post("/v1/score", json=body).status_code == 200
    monkeypatch.setenv("STANCE_SCORING_NEEDS_KEY", "1")
    assert service.post("/v1/score", json=body).status_code == 403
    key = create_key(home, "desk")
    assert service.post("/v1/score", json=body).status_code == 401
    assert service.post("/v1/score", json=body, headers=bearer(key)).status_code == 200


def test_keys_that_are_made_and_revoked_count_at_once(service: TestClient, home: Path) -> None:
    first, second = create_key(home, "first", SCOPES), create_key(home, "second", SCOPES)
    assert service.get("/v1/jobs", headers=bearer(first)).status_code == 200
    revoke_key(home, "first")
    assert service.get("/v1/jobs", headers=bearer(first)).status_code == 401
    assert service.get("/v1/jobs", headers=bearer(second)).status_code == 200


NEEDED = {
    ("POST", "/v1/labels"): "label",
    ("POST", "/v1/retrain"): "admin",
    ("GET", "/v1/jobs"): "admin",
    ("DELETE", "/v1/jobs/x"): "admin",
    ("POST", "/v1/score"): "score",
}


@pytest.mark.parametrize("scope", SCOPES)
def test_a_key_opens_what_it_is_for_and_nothing_else(
    service: TestClient, home: Path, monkeypatch: pytest.MonkeyPatch, scope: KeyScope
) -> None:
    monkeypatch.setenv("STANCE_SCORING_NEEDS_KEY", "1")
    key = create_key(home, "desk", [scope])
    for (method, path), needed in NEEDED.items():
        response = service.request(method, path, headers=bearer(key))
        if needed == scope:
            assert response.status_code not in (401, 403)
        else:
            assert (response.status_code, response.json()["error"]["code"]) == (403, "missing_scope")
            assert f"'{needed}'" in response.json()["error"]["message"]


def test_a_key_of_before_there_were_scopes_can_do_everything(service: TestClient, home: Path) -> None:
    key = create_key(home, "desk", [KeyScope.LABEL])
    assert service.get("/v1/jobs", headers=bearer(key)).status_code == 403
    text = json.loads((home / "keys.json").read_text())
    del text["keys"]["desk"]["scopes"]
    (home / "keys.json").write_text(json.dumps(text))
    assert service.get("/v1/jobs", headers=bearer(key)).status_code == 200


@pytest.mark.parametrize("host", ["198.51.100.1", "stance.example", "[2001:db8::1]", "0.0.0.0"])
def test_from_outside_scoring_needs_a_key(service: TestClient, home: Path, host: str) -> None:
    body, url = {"texts": ["The bakery opens at nine."]}, f"http://{host}/v1/score"
    assert service.post(url, json=body).status_code == 403
    key = create_key(home, "desk")
    assert service.post(url, json=body).status_code == 401
    assert service.post(url, json=body, headers=bearer(key)).status_code == 200
    for local in ("127.0.0.1", "127.8.8.8", "[::1]", "[::ffff:127.0.0.1]"):
        assert service.post(f"http://{local}/v1/score", json=body).status_code == 200
        # What a client calls the machine says nothing of where it came in.
        assert service.post(url, json=body, headers={"Host": local}).status_code == 401


def test_serve_refuses_to_be_reached_from_outside_without_a_key(tmp_path: Path) -> None:
    for host in ("0.0.0.0", "::", "stance.example"):
        done = run_stance("serve", "--host", host, STANCE_HOME=str(tmp_path))
        assert done.returncode == 1
        assert "stance keys create" in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_a_broken_key_file_lets_nobody_in(service: TestClient, home: Path) -> None:
    key = create_key(home, "desk")
    whole = (home / "keys.json").read_text()
    for text in ("", "{}", '{"keys": {"desk": "abc"}}', whole.replace("score", "rule")):
        (home / "keys.json").write_text(text)
        response = service.get("/v1/jobs", headers=bearer(key))
        assert (response.status_code, response.json()["error"]["code"]) == (500, "internal")
        with pytest.raises(StanceError, match=r"keys\.json"):
            create_key(home, "another")
        assert (home / "keys.json").read_text() == text


def test_the_command_makes_lists_and_revokes(tmp_path: Path) -> None:
    def keys(*arguments: str) -> tuple[int, str, str]:
        done = run_stance("keys", *arguments, STANCE_HOME=str(tmp_path / "new"))
        return done.returncode, done.stdout.strip(), done.stderr

    code, key, _ = keys("create", "desk")
    assert code == 0
    known = read_keys(tmp_path / "new")
    assert key_holder(key, known) == "desk"
    assert key not in (tmp_path / "new" / "keys.json").read_text()
    code, text, _ = keys("list", "--json")
    assert [(entry["name"], entry["scopes"]) for entry in json.loads(text)] == [("desk", ["score", "label"])]
    assert keys("create", "trainer", "--scope", "admin", "--scope", "label")[0] == 0
    assert "label,admin" in keys("list")[1].splitlines()[1]
    assert keys("create", "other", "--scope", "everything")[0] == 2
    assert keys("revoke", "trainer")[0] == 0
    code, _, message = keys("create", "desk")
    assert code == 1
    assert "there is a key 'desk'" in message
    assert keys("create", "two words")[0] == 1
    assert keys("revoke", "desk")[0] == 0
    code, _, message = keys("revoke", "desk")
    assert code == 1
    assert "no key 'desk'" in message
    assert "no keys" in keys("list")[1]


def test_keys_made_at_once_are_all_kept(tmp_path: Path) -> None:
    made: dict[str, str] = {}

    def make(name: str) -> None:
        made[name] = create_key(tmp_path, name)

    threads = [threading.Thread(target=make, args=(f"key{n}",)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    known = read_keys(tmp_path)
    assert {name: key_holder(key, known) for name, key in made.items()} == {name: name for name in made}
    assert len(made) == 12

"""How often a key, or an address, may ask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from labels.errors import StanceError
from serving.access import HOLDER
from serving.errors import RequestError
from serving.keys import create_key
from serving.rate_limits import RateLimits, rate_limit
from tests.conftest import bearer, run_stance


class Asker:
    """Asks at times that the test sets."""

    def __init__(self, limit: int | None) -> None:
        self.now = 0.0
        self._limits = RateLimits(limit, lambda: self.now)

    def wait_of(self, address: str = "203.0.113.7", holder: str | None = None, **more: Any) -> int:
        """Seconds that a request is told to wait; 0 where it passes."""
        scope = {"type": "http", "path": "/v1/score", "client": (address, 5000), "server": ("198.51.100.1", 3000)}
        try:
            self._limits.spend({**scope, **({HOLDER: holder} if holder else {}), **more})
        except RequestError as error:
            return int((error.headers or {})["Retry-After"])
        return 0


def test_a_burst_passes_and_a_stream_does_not() -> None:
    asker = Asker(limit=30)
    assert [asker.wait_of() for _ in range(30)] == [0] * 30
    assert asker.wait_of() == 2
    asker.now += 1
    assert asker.wait_of() == 1
    asker.now += 1
    assert asker.wait_of() == 0
    assert asker.wait_of() == 2


@given(st.integers(1, 100), st.lists(st.floats(0, 100), max_size=60))
@example(limit=1, pauses=[16.0, 0.0, 1.047528802576423, 1.9437145746055435, 0.0])
def test_who_waits_as_told_passes_and_nobody_gets_more_than_the_limit(limit: int, pauses: list[float]) -> None:
    asker = Asker(limit)
    for passed, pause in enumerate(pauses, start=1):
        asker.now += pause
        wait = asker.wait_of()
        if wait:
            asker.now += wait
            assert asker.wait_of() == 0
        assert passed <= limit + asker.now * limit / 60 + 1e-6


def test_each_key_and_each_address_has_its_own() -> None:
    asker = Asker(limit=1)
    askers = [
        ("203.0.113.7", None),
        ("203.0.113.8", None),
        ("203.0.113.7", "desk"),
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8::1", None),
        ("2001:db8:0:1::1", None),
    ]
    assert not any(asker.wait_of(*who) for who in askers)
    assert all(asker.wait_of(*who) for who in askers)
    # A key is the same from everywhere; so is a network of IPv6.
    assert asker.wait_of("203.0.113.9", "desk")
    assert asker.wait_of("2001:db8::2")


def test_there_is_no_limit_on_loopback_unless_one_is_set() -> None:
    local = {"server": ("127.0.0.1", 3000)}
    asker = Asker(limit=None)
    assert not any(asker.wait_of(**local) for _ in range(5000))
    assert any(asker.wait_of() for _ in range(5000))
    asker = Asker(limit=1)
    assert [bool(asker.wait_of(**local)) for _ in range(2)] == [False, True]
    asker = Asker(limit=0)
    assert not any(asker.wait_of() for _ in range(5000))


def test_probes_are_never_refused() -> None:
    asker = Asker(limit=1)
    for path in ("/livez", "/readyz", "/metrics"):
        assert [asker.wait_of(path=path) for _ in range(3)] == [0, 0, 0]


def test_strangers_without_number_do_not_fill_the_memory() -> None:
    asker = Asker(limit=1)
    for n in range(20_000):
        asker.wait_of(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}")
    assert len(asker._limits._buckets) <= 10_000


@pytest.mark.parametrize("given", ["many", "-1", "1.5", "²"])
def test_a_limit_that_is_none_is_one_line(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("STANCE_RATE_LIMIT", given)
    with pytest.raises(StanceError, match="STANCE_RATE_LIMIT"):
        rate_limit()


def test_serve_says_so_before_it_starts() -> None:
    done = run_stance("serve", STANCE_RATE_LIMIT="many")
    assert done.returncode == 1
    assert "STANCE_RATE_LIMIT" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_over_http_it_is_429_and_wrong_keys_count_too(
    service: TestClient, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The next is free after a minute: longer than any machine stalls.
    monkeypatch.setattr("serving.rate_limits.GENEROUS", 1)
    key = create_key(home, "desk")

    def from_outside(key: str) -> httpx.Response:
        url = "http://198.51.100.1/v1/score"
        return service.post(url, json={"texts": ["The bakery opens at nine."]}, headers=bearer(key))

    assert [from_outside("wrong").status_code for _ in range(2)] == [401, 429]
    assert [from_outside(key).status_code for _ in range(2)] == [200, 429]
    refused = from_outside(key)
    assert refused.json()["error"]["code"] == "rate_limited"
    assert 0 < int(refused.headers["retry-after"]) <= 60
    assert service.post("/v1/score", json={"texts": ["The bakery opens at nine."]}).status_code == 200

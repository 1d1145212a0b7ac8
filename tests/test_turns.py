"""Turns of scoring requests: who shares one, who is refused, and that company changes no answer."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from labels.errors import StanceError
from serving.errors import RequestError
from serving.turns import (
    LONGEST_ASKED,
    SHORT,
    Lane,
    Turns,
    longest_wait,
    own_turn,
    placed,
    shared_turn,
    work_of,
)
from tests.test_serve_process import free_port, serving
from tests.waiting import until

TEXT = "The cook wants the canteen to cost nothing."
MOST = 1000
"""Work of a shared turn in the lane of these tests."""


@dataclass
class Crowd:
    """What becomes of requests in one lane, by their numbers. Of those that share, every third cannot be answered."""

    lane: Lane
    answered: list[int] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    retry_after: list[int] = field(default_factory=list)
    turns: list[list[int]] = field(default_factory=list)
    busy: bool = False

    @contextmanager
    def turn(self, numbers: Sequence[int]) -> Iterator[None]:
        assert not self.busy
        self.busy = True
        self.turns.append([*numbers])
        try:
            yield
        finally:
            self.busy = False

    def together(self, numbers: Sequence[int]) -> list[int]:
        with self.turn(numbers):
            if any(number % 3 == 2 for number in numbers):
                raise ValueError("cannot be answered")
            return [-number for number in numbers]

    async def ask(self, number: int, work: int, alone: bool) -> None:
        try:
            place = self.lane.take(work)
        except RequestError as error:
            self.refused.append(number)
            self.retry_after.append(int((error.headers or {})["Retry-After"]))
            return
        with placed(place):
            if alone:
                async with own_turn():
                    with self.turn([number]):
                        await asyncio.sleep(0)
            else:
                assert await shared_turn(number, self.together) == -number
        self.answered.append(number)


@given(st.lists(st.tuples(st.integers(1, 900), st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_a_lane_answers_all_that_it_took_and_that_stayed(asked: list[tuple[int, bool, bool]]) -> None:
    """Each asks for so much, may want a turn of its own, and may leave, before its turn or in it.

    Whoever leaves, or cannot be answered, takes nobody's turn along.
    """

    async def all_of_them() -> tuple[Crowd, list[BaseException | None]]:
        crowd = Crowd(Lane(0.3, MOST))
        tasks = [asyncio.create_task(crowd.ask(number, work, alone)) for number, (work, alone, _) in enumerate(asked)]
        await asyncio.sleep(0)
        for task, (_, _, leaves) in zip(tasks, asked, strict=True):
            if leaves:
                task.cancel()
                await asyncio.sleep(0)
        ended = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 60)
        await crowd.ask(3 * len(asked), 1, False)
        return crowd, ended

    crowd, ended = asyncio.run(all_of_them())
    assert {type(each) for each in ended} <= {type(None), asyncio.CancelledError, ValueError}
    failed = {number for number, error in enumerate(ended) if isinstance(error, ValueError)}
    assert failed <= {number for number, (_, alone, _) in enumerate(asked) if number % 3 == 2 and not alone}
    stayed = {number for number, (_, _, leaves) in enumerate(asked) if not leaves} | {3 * len(asked)}
    assert stayed <= {*crowd.answered, *failed, *crowd.refused}
    for turn in crowd.turns:
        assert turn == sorted(turn)
        assert len(turn) == 1 or sum(asked[number][0] for number in turn) <= MOST
    assert crowd.retry_after == sorted(crowd.retry_after)
    assert all(1 <= seconds <= LONGEST_ASKED for seconds in crowd.retry_after)


def test_those_that_waited_share_a_turn_and_nobody_waits_for_company() -> None:
    turns: list[list[str]] = []
    let = threading.Event()

    def together(asked: Sequence[str]) -> Sequence[str]:
        turns.append([*asked])
        assert let.wait(60)
        return asked

    def others(asked: Sequence[str]) -> Sequence[str]:
        turns.append([*asked])
        return asked

    async def all_of_them() -> list[str]:
        lane = Lane(60, MOST)

        def ask(what: str, work: int, function: Callable[[Sequence[str]], Sequence[str]] = together) -> Any:
            return asyncio.create_task(lane.shared_turn(work, what, function))

        first = ask("first", 10)
        while not turns:
            await asyncio.sleep(0.01)
        rest = [ask("a", 400), ask("b", 400), ask("c", MOST), ask("d", 10), ask("e", 10, others), ask("f", 10)]
        await asyncio.sleep(0)
        let.set()
        return [await each for each in (first, *rest)]

    assert asyncio.run(all_of_them()) == ["first", "a", "b", "c", "d", "e", "f"]
    assert turns == [["first"], ["a", "b"], ["c"], ["d"], ["e"], ["f"]]


def test_a_crowd_is_let_in_and_a_line_that_does_not_end_is_kept_shorter() -> None:
    now = 0.0

    def asked_for(lane: Lane, seconds: float, work_a_second: float) -> None:
        nonlocal now
        for _ in range(round(100 * seconds)):
            now += 0.01
            lane.take(round(work_a_second / 100))

    async def let_in(lane: Lane) -> int:
        """How many small requests may wait behind one that is answered."""
        let, taken = threading.Event(), 0

        def together(asked: Sequence[int]) -> Sequence[int]:
            assert let.wait(60)
            return asked

        waiting = [asyncio.create_task(lane.shared_turn(10, 0, together))]
        await asyncio.sleep(0)
        with suppress(RequestError):
            while taken < 10_000:
                lane.take(10)
                waiting.append(asyncio.create_task(lane.shared_turn(10, taken, together)))
                await asyncio.sleep(0)
                taken += 1
        let.set()
        await asyncio.gather(*waiting)
        return taken

    def after(seconds: float, work_a_second: float, pause: float = 0.0) -> int:
        nonlocal now
        lane = Lane(1.0, MOST, lambda: now)
        asked_for(lane, seconds, work_a_second)
        now += pause
        return asyncio.run(let_in(lane))

    crowd = after(0, 0)
    assert 10 < crowd < 10_000
    assert after(10, 20_000) == crowd, "what can be answered leaves the line as it is"
    assert 1 <= after(10, 1_600_000) < after(10, 400_000) < crowd
    assert after(10, 1_600_000, pause=60) == crowd


def test_work_is_what_is_read_however_it_is_written() -> None:
    assert work_of(["a" * 10_000]) == work_of(["a" * 5_000])
    assert work_of([TEXT] * 100) > SHORT > work_of([TEXT] * 5)
    turns = Turns(0.1)
    assert turns.lane(work_of([TEXT])) is turns.lane(work_of([TEXT] * 5)) is not turns.lane(work_of([TEXT] * 100))


@pytest.mark.parametrize("given_", ["soon", "0", "-1", "nan", "inf", "1e9"])
def test_a_setting_that_is_none_is_one_line(monkeypatch: pytest.MonkeyPatch, given_: str) -> None:
    monkeypatch.setenv("STANCE_LONGEST_WAIT", given_)
    with pytest.raises(StanceError, match="STANCE_LONGEST_WAIT"):
        longest_wait()


@pytest.fixture(scope="module", params=["onnx", "ctranslate2"])
def address(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a service with the model that ships, on each runtime."""
    if request.param != "onnx":
        pytest.importorskip("ctranslate2")
    folder, port = tmp_path_factory.mktemp("shared"), free_port()
    (folder / "m").mkdir()
    environment = {
        "BENTOML_HOME": str(folder),
        "PROMETHEUS_MULTIPROC_DIR": str(folder / "m"),
        "STANCE_RUNTIME": request.param,
        "STANCE_LONGEST_WAIT": "60",
    }
    with serving(
        [sys.executable, "-m", "serving.cli", "serve", "--port", str(port)], port, folder / "log", environment
    ) as at:
        yield at


def _figure(address: str, name: str) -> float:
    families = text_string_to_metric_families(httpx.get(f"{address}/metrics", timeout=60).text)
    return sum(sample.value for family in families for sample in family.samples if sample.name == name)


def test_requests_that_wait_share_batches_and_company_changes_no_answer(address: str) -> None:
    texts = [f"Seoul offered {'again ' * (n % 9)}to halt drill {n} if the North froze its reactor." for n in range(24)]

    def score(text: str) -> Any:
        response = httpx.post(f"{address}/v1/score", json={"texts": [text]}, timeout=120)
        assert response.status_code == 200, response.text
        return response.json()["results"][0]["targets"]

    alone = [score(text) for text in texts]
    assert _figure(address, "stance_batch_texts_count") == _figure(address, "stance_batch_texts_sum") == len(texts)
    together: list[Any] = []

    def batches_were_shared() -> bool:
        with ThreadPoolExecutor(len(texts)) as pool:
            together.append(list(pool.map(score, texts)))
        return _figure(address, "stance_batch_texts_count") < _figure(address, "stance_batch_texts_sum")

    # On a machine that stalls, each may have come when the one before it had its answer.
    until(batches_were_shared)
    assert _figure(address, "stance_batch_texts_sum") == len(texts) * (1 + len(together))
    for ours, theirs in zip(alone, together[-1], strict=True):
        for target_id, answer in ours.items():
            other = theirs[target_id]
            assert answer["label"] == other["label"]
            # Of numbers that differ by less than 1e-6 the sixth decimal can be another.
            assert answer["probabilities"] == pytest.approx(other["probabilities"], abs=2.1e-6, rel=0)

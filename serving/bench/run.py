"""One run of `stance bench`: everything measured in turns, on the same texts."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from labels.errors import StanceError
from serving.bench.aims import aims
from serving.bench.arithmetic import Multiplication, multiply_adds
from serving.bench.load import Client, answer_of, body_of, connected, timed_requests, timed_together
from serving.bench.machine import machine
from serving.bench.rounds import Prepare, Work, percentiles, ratios, seconds_of, spread, take_turns
from serving.bench.server import Server, running
from serving.bench.texts import REQUEST, block_of
from serving.scoring import score_texts
from training.encoder import SentenceEncoder
from training.model_folder import DEFAULT_MODEL, Model, load_model
from training.outcomes import Progress

RAW, TOKENISED, IN_PROCESS, HTTP, PIPELINE = "raw", "raw_with_tokenising", "in_process", "http_64", "transformers"
FAST = "fast_path"
CROWD = 16
"""Clients that ask for single texts at once."""

_SAME = 1e-3
"""How far probabilities in process and over HTTP may differ, which batches and threads round differently."""


@dataclass(frozen=True)
class Plan:
    """How long and how often.

    Attributes:
        seconds: that each way gets, all its turns together, about.
        rounds: turns of each way.
        starts: how often the service is started to see how soon it is ready.
        pipeline: whether the `transformers` pipeline is measured too, where torch is installed.
    """

    seconds: float = 3.0
    rounds: int = 7
    starts: int = 3
    pipeline: bool = True


QUICK = Plan(seconds=0.2, rounds=2, starts=1, pipeline=False)
"""To see that it works; its figures say nothing."""


@dataclass
class _Measured:
    """What the rounds gave, a value a round."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    texts: list[int] = field(default_factory=list)
    work: list[int] = field(default_factory=list)
    speed: list[float] = field(default_factory=list)
    single: dict[str, list[list[float]]] = field(default_factory=dict)
    refused: int = 0
    turns: list[tuple[float, float]] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)


def bench(texts: Sequence[str], plan: Plan, folder: Path | None = None, progress: Progress | None = None) -> Any:
    """Measure.

    Args:
        texts: what is scored; at least one.
        plan: how long.
        folder: of the model; the one that ships where None.
        progress: told how far it is.

    Returns:
        figures, fit for JSON; docs/speed.md says what they are.

    Raises:
        StanceError: the model has no encoder, the service cannot be started, or answers otherwise than the model does
            in this process.
    """
    folder = (folder or DEFAULT_MODEL).resolve()
    report = progress or (lambda what, done, total: None)
    model = load_model(folder)
    encoder = model.estimator.encoder()
    if encoder is None:
        raise StanceError("has no encoder, so there is nothing to measure it against", path=folder)
    encoder.load()
    busy = os.getloadavg()[0]
    ready = []
    for start in range(plan.starts):
        report("starting the service", start, plan.starts)
        with running(folder) as server:
            ready.append(server.ready_seconds)
            if start < plan.starts - 1:
                continue
            report("starting the service", plan.starts, plan.starts)
            _check_answers(server, model, block_of(texts, 0, REQUEST))
            pipeline, why_not = _pipeline(encoder, plan)
            measured = _rounds(server, model, encoder, pipeline, texts, plan, report)
    figures = {
        "machine": machine(busy),
        "model": model.version,
        "runtime": encoder.runtime,
        "plan": {"seconds": plan.seconds, "rounds": plan.rounds, "texts_a_round": measured.texts[0]},
        "texts": _about(encoder, texts),
        "throughput": _throughput(measured, why_not, model, texts),
        "ceiling": _ceiling(measured),
        "single_text": _single(measured),
        "worker": {
            "ready_seconds": spread(ready).as_dict(),
            "megabytes": spread([now for now, _ in measured.memory], 1).as_dict(),
            "peak_megabytes": round(max(peak for _, peak in measured.memory), 1),
        },
    }
    return {**figures, "aims": [aim.as_dict() for aim in aims(figures)]}


def _check_answers(server: Server, model: Model, texts: Sequence[str]) -> None:
    """Speeds are compared of ways that give the same answers."""
    with connected(server.port) as client:
        answer = answer_of(client, texts)
    here = score_texts(model, texts)
    if answer["model"]["version"] != model.version or len(answer["results"]) != len(here):
        raise StanceError("the service that was started answers with another model")
    for ours, theirs in zip(here, answer["results"], strict=True):
        for target_id, given in ours["targets"].items():
            other = theirs["targets"][target_id]["probabilities"]
            if any(abs(p - other[label]) > _SAME for label, p in given["probabilities"].items()):
                raise StanceError(f"the service answers otherwise than the model in process, on '{target_id}'")


def _pipeline(encoder: SentenceEncoder, plan: Plan) -> tuple[Callable[[Sequence[str]], object] | None, str]:
    if not plan.pipeline:
        return None, "left out of a quick run"
    from serving.bench.torch_pipeline import feature_pipeline

    try:
        return feature_pipeline(encoder), ""
    except ModuleNotFoundError as error:
        return None, f"{error.name} is not installed (the extra 'torch' brings it)"


def _ways(
    client: Client, model: Model, encoder: SentenceEncoder, pipeline: Callable[[Sequence[str]], object] | None
) -> dict[str, Prepare]:
    def raw(texts: Sequence[str]) -> Work:
        batches = list(encoder.batches(encoder.tokenize(texts)))

        def work() -> None:
            for _ in encoder.forward_all(batches):
                pass

        return work

    def tokenised(texts: Sequence[str]) -> Work:
        return lambda: raw(texts)()

    def in_process(texts: Sequence[str]) -> Work:
        return partial(score_texts, model, texts)

    def http(texts: Sequence[str]) -> Work:
        bodies = [body_of(texts[first : first + REQUEST]) for first in range(0, len(texts), REQUEST)]
        client.connect()
        return partial(timed_requests, client, bodies)

    ways: dict[str, Prepare] = {RAW: raw, TOKENISED: tokenised, IN_PROCESS: in_process, HTTP: http}
    if model.fast_path:
        ways[FAST] = lambda texts: partial(score_texts, model, texts, fast=True)
    if pipeline:
        ways[PIPELINE] = lambda texts: partial(pipeline, texts)
    return ways


def _rounds(
    server: Server,
    model: Model,
    encoder: SentenceEncoder,
    pipeline: Callable[[Sequence[str]], object] | None,
    texts: Sequence[str],
    plan: Plan,
    report: Progress,
) -> _Measured:
    measured = _Measured()
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(connected(server.port))
        crowd = [stack.enter_context(connected(server.port)) for _ in range(CROWD)]
        ways = _ways(client, model, encoder, pipeline)
        turn = plan.seconds / plan.rounds
        # The first time of everything is another time; of the second, only how much work fills a turn is kept.
        warm = [take_turns(ways, block_of(texts, 0, REQUEST), 0) for _ in range(2)][-1]
        size = REQUEST * max(1, round(turn / warm[RAW]))
        one = min(_one_by_one(encoder, texts[:1]) + _one_by_one(encoder, texts[:1]))
        requests = max(CROWD, min(1000, round(turn * 1000 / one)))
        multiplication = Multiplication(encoder.package, encoder.batch_tokens)
        multiplication.speed(turn / 4)
        for number in range(plan.rounds):
            report("measuring", number, plan.rounds)
            block = block_of(texts, number * size, size)
            for name, seconds in take_turns(ways, block, number).items():
                measured.seconds.setdefault(name, []).append(seconds)
            measured.texts.append(len(block))
            measured.work.append(multiply_adds(encoder.package, [len(each.ids) for each in encoder.tokenize(block)]))
            measured.speed.append(multiplication.speed(turn / 4))
            _single_turn(measured, client, crowd, model, encoder, block_of(texts, number * requests, requests), number)
            measured.memory.append(server.worker_memory())
        report("measuring", plan.rounds, plan.rounds)
    return measured


def _one_by_one(encoder: SentenceEncoder, texts: Sequence[str]) -> list[float]:
    prepared = [list(encoder.batches(encoder.tokenize([text]))) for text in texts]
    return [1000 * seconds_of(partial(encoder.forward, batch)) for (batch,) in prepared]


def _single_turn(
    measured: _Measured,
    client: Client,
    crowd: Sequence[Client],
    model: Model,
    encoder: SentenceEncoder,
    texts: Sequence[str],
    number: int,
) -> None:
    bodies = [body_of([text]) for text in texts]

    def alone() -> list[float]:
        client.connect()
        return timed_requests(client, bodies)

    def together() -> list[float]:
        for each in crowd:
            each.connect()
        client.connect()
        before = client.turns()
        times, refused = timed_together(crowd, bodies)
        client.connect()
        (requests, turns), measured.refused = client.turns(), measured.refused + refused
        measured.turns.append((requests - before[0], turns - before[1]))
        return times

    turns: list[tuple[str, Callable[[], list[float]]]] = [
        (RAW, lambda: _one_by_one(encoder, texts)),
        (IN_PROCESS, lambda: [1000 * seconds_of(partial(score_texts, model, [text])) for text in texts]),
        ("http_1_client", alone),
        (f"http_{CROWD}_clients", together),
    ]
    begins = number % len(turns)
    for name, turn in turns[begins:] + turns[:begins]:
        measured.single.setdefault(name, []).append(turn())


def _throughput(measured: _Measured, why_not: str, model: Model, texts: Sequence[str]) -> dict[str, Any]:
    rates = {
        name: [texts / taken for texts, taken in zip(measured.texts, seconds, strict=True)]
        for name, seconds in measured.seconds.items()
    }
    figures: dict[str, Any] = {
        name: {"sentences_per_second": spread(of, 1).as_dict(), "of_raw": ratios(of, rates[RAW]).as_dict()}
        for name, of in rates.items()
    }
    if FAST in rates:
        figures[FAST]["times_in_process"] = ratios(rates[FAST], rates[IN_PROCESS]).as_dict()
        figures[FAST]["share"] = round(float(model.by_fast_path(texts)[1].mean()), 4)
    if PIPELINE in rates:
        figures[PIPELINE]["in_process_times_it"] = ratios(rates[IN_PROCESS], rates[PIPELINE]).as_dict()
    else:
        figures[PIPELINE] = {"skipped": why_not}
    return figures


def _ceiling(measured: _Measured) -> dict[str, Any]:
    ceiling = [
        texts * speed / work for texts, speed, work in zip(measured.texts, measured.speed, measured.work, strict=True)
    ]
    raw = [texts / taken for texts, taken in zip(measured.texts, measured.seconds[RAW], strict=True)]
    return {
        "multiply_adds_a_sentence": round(sum(measured.work) / sum(measured.texts)),
        "float32_multiply_adds_per_second": spread(measured.speed, 0).as_dict(),
        "sentences_per_second": spread(ceiling, 1).as_dict(),
        "raw_of_ceiling": ratios(raw, ceiling).as_dict(),
    }


def _single(measured: _Measured) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    raw = [percentiles(turn)["p50"] for turn in measured.single[RAW]]
    for name, turns in measured.single.items():
        answered = [turn for turn in turns if turn]
        if not answered:
            figures[name] = {"requests": 0}
            continue
        medians = [percentiles(turn)["p50"] for turn in answered]
        figures[name] = {
            "requests": sum(map(len, answered)),
            **percentiles([each for turn in answered for each in turn]),
            "p50_by_turn": spread(medians).as_dict(),
        }
        if len(answered) == len(raw):
            over = [own - other for own, other in zip(medians, raw, strict=True)]
            figures[name]["p50_over_raw"] = spread(over).as_dict()
    requests, turns = (sum(each) for each in zip(*measured.turns, strict=True))
    figures[f"http_{CROWD}_clients"] |= {"refused": measured.refused, "requests_a_turn": round(requests / turns, 2)}
    return figures


def _about(encoder: SentenceEncoder, texts: Sequence[str]) -> dict[str, Any]:
    lengths = [len(each.ids) for each in encoder.tokenize(texts)]
    return {"number": len(texts), "tokens_mean": round(sum(lengths) / len(lengths), 1), "tokens_most": max(lengths)}

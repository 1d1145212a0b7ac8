"""What Prometheus can ask of the service, at `/metrics`.

BentoML's own figures are switched off: they are kept by raw path, so that a client who asks for made-up paths fills
memory and disk with series. Labels here come from the code and the taxonomy only.

`prometheus_client` decides when it is imported whether its figures are shared by several processes, by an environment
variable that BentoML sets late; so it is imported where it is first needed.
"""

from __future__ import annotations

import os
from collections import Counter as Counts
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from training.answers import Answers
from training.encoder import Batch
from training.model_folder import Model

if TYPE_CHECKING:
    from prometheus_client import Counter, Gauge, Histogram

METRICS_PATH = "/metrics"

REFUSED = ("overloaded", "rate_limited", "body_too_slow")
"""Codes of the errors that say nothing about what was asked, only that it came too much or too slowly."""

_TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)


@dataclass(frozen=True)
class Metrics:
    """The figures, each of all worker processes together."""

    requests: Counter
    seconds: Histogram
    waiting: Gauge
    queue: Gauge
    turns: Histogram
    refused: Counter
    batches: Histogram
    texts: Counter
    labels: Counter
    abstentions: Counter
    confidence: Counter


@cache
def metrics() -> Metrics:
    """The figures of this process; made at the first call."""
    from prometheus_client import Counter, Gauge, Histogram

    refused = Counter("stance_refused", "Requests that were refused for being too many or too slow.", ["reason"])
    for reason in REFUSED:
        refused.labels(reason)
    return Metrics(
        Counter("stance_requests", "Requests that were answered.", ["method", "route", "status"]),
        Histogram("stance_request_seconds", "From request to answer.", ["method", "route"], buckets=_SECONDS),
        Gauge("stance_requests_in_progress", "Requests not answered yet.", multiprocess_mode="livesum"),
        Gauge("stance_queue", "Scoring requests that wait for their turn.", multiprocess_mode="livesum"),
        Histogram("stance_turn_requests", "Scoring requests that were answered in one turn.", buckets=_TEXTS),
        refused,
        Histogram("stance_batch_texts", "Texts that went through the encoder together.", buckets=_TEXTS),
        Counter("stance_texts", "Texts that were scored."),
        Counter("stance_labels", "Labels that were given, abstentions included.", ["target", "label"]),
        Counter("stance_abstentions", "Labels that were not sure enough.", ["target"]),
        Counter("stance_confidence", "Sum of the probabilities of the labels that were given.", ["target"]),
    )


def count_answers(model: Model, texts: Sequence[str], given: Answers) -> None:
    """Count what a model answered about texts."""
    figures = metrics()
    figures.texts.inc(len(texts))
    for t, target in enumerate(model.taxonomy):
        for outcome, count in Counts(given.outcomes[:, t].tolist()).items():
            figures.labels.labels(target.id, target.outcomes[outcome]).inc(count)
        figures.abstentions.labels(target.id).inc(int(given.abstained[:, t].sum()))
        figures.confidence.labels(target.id).inc(float(given.confidences[:, t].sum()))


def watch_batches(model: Model) -> None:
    """Count what goes through the model's encoder together from now on; nothing where it has none."""
    encoder = model.estimator.encoder()
    if encoder:
        encoder.watch = _count_batch


def _count_batch(batch: Batch) -> None:
    metrics().batches.observe(len(batch.rows))


async def metrics_answer(request: Request) -> Response:
    """`GET /metrics`: the figures in the text form that the client asks for."""
    from prometheus_client import REGISTRY, CollectorRegistry
    from prometheus_client.exposition import choose_encoder
    from prometheus_client.multiprocess import MultiProcessCollector

    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    encode, kind = choose_encoder(request.headers.get("Accept", ""))
    return Response(await run_in_threadpool(encode, registry), headers={"Content-Type": kind})

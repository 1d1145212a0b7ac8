"""The same encoder on other runtimes, measured in turns; what is not installed is left out, with a word."""

from __future__ import annotations

import logging
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import psutil
from numpy.typing import NDArray

from labels.errors import StanceError
from serving.bench.rounds import Work, percentiles, ratios, seconds_of, spread, take_turns
from training.encoder import FIRST, MEAN, Batch, SentenceEncoder
from training.outcomes import Progress
from training.runtime import Runtime

OURS = "ONNX Runtime float32"
"""What serves, if nothing else is asked for."""
REFERENCE = "torch float32"
"""What answers are compared with."""

TIMED = 400
"""Texts that are timed, about, where there are more."""

Forward = Callable[[Batch], NDArray[np.float32]]
"""A batch to the mean over its tokens and the first token of the last layer, joined."""

Make = Callable[[SentenceEncoder, Path], Forward]


def _session(path: Path) -> Forward:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def forward(batch: Batch) -> NDArray[np.float32]:
        given = session.run([MEAN, FIRST], {"input_ids": batch.ids, "attention_mask": batch.mask})
        return np.concatenate(given, axis=1)

    return forward


def _onnx_int8(encoder: SentenceEncoder, folder: Path) -> Forward:
    """Weights in 8 bits, a scale a column; activations in 8 bits, a scale a batch (so neighbours matter)."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    path = folder / "int8.onnx"
    quantize_dynamic(encoder.write_onnx(folder / "float32.onnx"), path, weight_type=QuantType.QInt8, per_channel=True)
    return _session(path)


def _torch(encoder: SentenceEncoder, folder: Path) -> Forward:
    import torch

    model = _torch_module(encoder)

    def forward(batch: Batch) -> NDArray[np.float32]:
        with torch.inference_mode():
            ids, mask = torch.from_numpy(batch.ids), torch.from_numpy(batch.mask)
            states = model(input_ids=ids, attention_mask=mask).last_hidden_state
        return _pooled(states.numpy(), batch.mask)

    return forward


def _torch_module(encoder: SentenceEncoder) -> Any:
    import torch

    from training.torch_encoder import torch_encoder

    model = torch_encoder(encoder.package, attention=None).eval()
    weights = {name: torch.from_numpy(tensor.copy()) for name, tensor in encoder.weights().items()}
    model.load_state_dict(weights, strict=False)
    return model


def _openvino(encoder: SentenceEncoder, folder: Path) -> Forward:
    import openvino

    model = openvino.Core().read_model(encoder.write_onnx(folder / "float32.onnx"))
    # Of itself it would reckon in bfloat16 where the processor can.
    compiled = openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def forward(batch: Batch) -> NDArray[np.float32]:
        given = compiled({"input_ids": batch.ids, "attention_mask": batch.mask})
        return np.concatenate([given[MEAN], given[FIRST]], axis=1)

    return forward


def _ctranslate2(encoder: SentenceEncoder, folder: Path, runtime: Runtime) -> Forward:
    other = encoder.on(runtime)
    other.load()
    return other.forward


def _pooled(states: NDArray[np.float32], mask: NDArray[np.int64]) -> NDArray[np.float32]:
    weight = mask[:, :, None].astype(np.float32)
    return np.concatenate([(states * weight).sum(1) / weight.sum(1), states[:, 0]], axis=1)


_RUNTIMES: Mapping[str, Make] = {
    OURS: lambda encoder, folder: encoder.on("onnx").forward,
    "ONNX Runtime int8": _onnx_int8,
    "OpenVINO float32": _openvino,
    "CTranslate2 float32": partial(_ctranslate2, runtime="ctranslate2-float32"),
    "CTranslate2 int8": partial(_ctranslate2, runtime="ctranslate2"),
    REFERENCE: _torch,
}


@dataclass(frozen=True)
class Runtimes:
    """What was measured.

    Attributes:
        figures: by runtime: `sentences_per_second` and `of_ours` (spreads over rounds), `processor_of_ours` (the same
            of seconds that processors were busy, so less is better), `single_ms` (percentiles),
            `megabytes` (what loading it added to this process), `cosine` (the least to what serves); or `skipped`.
        vectors: by runtime, of all texts.
    """

    figures: Mapping[str, Mapping[str, Any]]
    vectors: Mapping[str, NDArray[np.float32]]


def compare_runtimes(
    encoder: SentenceEncoder, texts: Sequence[str], rounds: int, progress: Progress | None = None
) -> Runtimes:
    """Run the texts through every runtime, in turns.

    Raises:
        StanceError: the encoder gives something else than the mean and the first token.
    """
    if encoder.outputs != [MEAN, FIRST]:
        raise StanceError("only fine-tuned models can be compared on other runtimes")
    encoder.load()
    report = progress or (lambda what, done, total: None)
    batches = list(encoder.batches(encoder.tokenize(texts)))
    single = [next(encoder.batches(encoder.tokenize([text]))) for text in texts[:20]]
    with tempfile.TemporaryDirectory(prefix="stance-runtimes-") as name:
        forwards, figures = _loaded(encoder, batches[-1], Path(name), report)
        vectors = {runtime: _all(forward, batches, len(texts)) for runtime, forward in forwards.items()}
        seconds: dict[str, list[float]] = {runtime: [] for runtime in forwards}
        alone: dict[str, list[float]] = {runtime: [] for runtime in forwards}
        processor: dict[str, list[float]] = {runtime: [] for runtime in forwards}
        timed = batches[:: max(1, len(texts) // TIMED)]

        def prepare(_: Sequence[str], runtime: str) -> Work:
            def work() -> None:
                began = time.process_time()
                for batch in timed:
                    forwards[runtime](batch)
                processor[runtime].append(time.process_time() - began)

            return work

        ways = {runtime: partial(prepare, runtime=runtime) for runtime in forwards}
        for number in range(rounds):
            report("measuring", number, rounds)
            for runtime, taken in take_turns(ways, texts, number).items():
                seconds[runtime].append(taken)
                alone[runtime] += [1000 * seconds_of(partial(forwards[runtime], batch)) for batch in single]
        report("measuring", rounds, rounds)
    number_timed = sum(len(batch.rows) for batch in timed)
    rates = {runtime: [number_timed / each for each in taken] for runtime, taken in seconds.items()}
    for runtime in forwards:
        figures[runtime] |= {
            "sentences_per_second": spread(rates[runtime], 1).as_dict(),
            "of_ours": ratios(rates[runtime], rates[OURS]).as_dict(),
            "processor_of_ours": ratios(processor[runtime], processor[OURS]).as_dict(),
            "single_ms": percentiles(alone[runtime]),
            "cosine": round(_least_cosine(vectors[runtime], vectors[OURS]), 5),
        }
    return Runtimes(figures, vectors)


def _loaded(
    encoder: SentenceEncoder, trial: Batch, folder: Path, report: Progress
) -> tuple[dict[str, Forward], dict[str, dict[str, Any]]]:
    """The runtimes that answered a trial; and of all, what memory they take, or why they are left out."""
    forwards: dict[str, Forward] = {}
    figures: dict[str, dict[str, Any]] = {}
    for number, (runtime, make) in enumerate(_RUNTIMES.items()):
        report("loading runtimes", number, len(_RUNTIMES))
        before = psutil.Process().memory_info().rss
        try:
            with _silence():
                forward = make(encoder, folder)
                forward(trial)
        except ModuleNotFoundError as error:
            figures[runtime] = {"skipped": f"{error.name} is not installed"}
        except Exception as error:  # of whatever kind another runtime's own errors are
            if runtime == OURS:
                raise
            figures[runtime] = {"skipped": " ".join(str(error).split())[:200] or repr(error)}
        else:
            forwards[runtime] = forward
            figures[runtime] = {"megabytes": round((psutil.Process().memory_info().rss - before) / 1e6)}
    return forwards, figures


@contextmanager
def _silence() -> Iterator[None]:
    """Without the bars, warnings and remarks of other runtimes' converters; what fails is told as skipped."""
    with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)


def _all(forward: Forward, batches: Sequence[Batch], texts: int) -> NDArray[np.float32]:
    given = [forward(batch) for batch in batches]
    vectors = np.empty((texts, given[0].shape[1]), np.float32)
    for batch, part in zip(batches, given, strict=True):
        vectors[batch.rows] = part
    return vectors


def _least_cosine(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    products = (one * other).sum(axis=1)
    return float((products / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)).min())

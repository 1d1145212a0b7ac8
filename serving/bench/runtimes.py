"""The same encoder on other runtimes, measured in turns; what is not installed is left out, with a word."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import psutil
from numpy.typing import NDArray

from labels.errors import StanceError
from serving.bench.rounds import percentiles, ratios, seconds_of, spread, take_turns
from training.encoder import FIRST, MEAN, Batch, SentenceEncoder
from training.outcomes import Progress

OURS = "ONNX Runtime float32"
"""What serves."""
REFERENCE = "torch float32"
"""What answers are compared with."""

Forward = Callable[[Batch], NDArray[np.float32]]
"""A batch to the mean over its tokens and the first token of the last layer, joined."""

Make = Callable[[SentenceEncoder, Path], Forward]


def _session(path: Path) -> Forward:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
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


def _ctranslate2(encoder: SentenceEncoder, folder: Path, kind: str) -> Forward:
    import ctranslate2

    converted = folder / "ctranslate2"
    if not converted.exists():
        from transformers import PreTrainedTokenizerFast

        saved = folder / "saved"
        _torch_module(encoder).save_pretrained(saved)
        tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
            tokenizer_object=encoder.tokenizer,
            pad_token=encoder.tokenizer.id_to_token(encoder.package.padding),
            unk_token="[UNK]",
        )
        tokenizer.save_pretrained(saved)
        ctranslate2.converters.TransformersConverter(str(saved)).convert(str(converted))
    model = ctranslate2.Encoder(str(converted), device="cpu", compute_type=kind, intra_threads=psutil.cpu_count())

    def forward(batch: Batch) -> NDArray[np.float32]:
        rows = [ids[mask == 1].tolist() for ids, mask in zip(batch.ids, batch.mask, strict=True)]
        return _pooled(np.asarray(model.forward_batch(rows).last_hidden_state), batch.mask)

    return forward


def _pooled(states: NDArray[np.float32], mask: NDArray[np.int64]) -> NDArray[np.float32]:
    weight = mask[:, :, None].astype(np.float32)
    return np.concatenate([(states * weight).sum(1) / weight.sum(1), states[:, 0]], axis=1)


_RUNTIMES: Mapping[str, Make] = {
    OURS: lambda encoder, folder: encoder.forward,
    "ONNX Runtime int8": _onnx_int8,
    "OpenVINO float32": _openvino,
    "CTranslate2 float32": partial(_ctranslate2, kind="float32"),
    "CTranslate2 int8": partial(_ctranslate2, kind="int8"),
    REFERENCE: _torch,
}


@dataclass(frozen=True)
class Runtimes:
    """What was measured.

    Attributes:
        figures: by runtime: `sentences_per_second` and `of_ours` (spreads over rounds), `single_ms` (percentiles),
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
    figures: dict[str, dict[str, Any]] = {}
    forwards: dict[str, Forward] = {}
    with tempfile.TemporaryDirectory(prefix="stance-runtimes-") as name:
        for number, (runtime, make) in enumerate(_RUNTIMES.items()):
            report("loading runtimes", number, len(_RUNTIMES))
            before = psutil.Process().memory_info().rss
            try:
                forwards[runtime] = make(encoder, Path(name))
                forwards[runtime](batches[-1])
            except ModuleNotFoundError as error:
                figures[runtime] = {"skipped": f"{error.name} is not installed"}
            else:
                figures[runtime] = {"megabytes": round((psutil.Process().memory_info().rss - before) / 1e6)}
        vectors = {runtime: _all(forward, batches, len(texts)) for runtime, forward in forwards.items()}
        seconds: dict[str, list[float]] = {runtime: [] for runtime in forwards}
        alone: dict[str, list[float]] = {runtime: [] for runtime in forwards}
        ways = {
            runtime: (lambda _, forward=forward: lambda: [forward(batch) for batch in batches])
            for runtime, forward in forwards.items()
        }
        for number in range(rounds):
            report("measuring", number, rounds)
            for runtime, taken in take_turns(ways, texts, number).items():
                seconds[runtime].append(taken)
                alone[runtime] += [1000 * seconds_of(partial(forwards[runtime], batch)) for batch in single]
        report("measuring", rounds, rounds)
    rates = {runtime: [len(texts) / each for each in taken] for runtime, taken in seconds.items()}
    for runtime in forwards:
        figures[runtime] |= {
            "sentences_per_second": spread(rates[runtime], 1).as_dict(),
            "of_ours": ratios(rates[runtime], rates[OURS]).as_dict(),
            "single_ms": percentiles(alone[runtime]),
            "cosine": round(_least_cosine(vectors[runtime], vectors[OURS]), 5),
        }
    return Runtimes(figures, vectors)


def _all(forward: Forward, batches: Sequence[Batch], texts: int) -> NDArray[np.float32]:
    given = [forward(batch) for batch in batches]
    vectors = np.empty((texts, given[0].shape[1]), np.float32)
    for batch, part in zip(batches, given, strict=True):
        vectors[batch.rows] = part
    return vectors


def _least_cosine(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    products = (one * other).sum(axis=1)
    return float((products / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)).min())

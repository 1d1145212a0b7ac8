"""A sentence encoder, as published or adapted: texts in, embeddings out, on ONNX Runtime or CTranslate2."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from weakref import WeakValueDictionary

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from training.ctranslate2_encoder import fits_ctranslate2, open_ctranslate2
from training.embedding_cache import EmbeddingCache
from training.encoder_packages import TOKENIZER, EncoderPackage
from training.length_batches import cut_by_length
from training.low_rank import merged
from training.outcomes import Progress
from training.runtime import Runtime, asked_threads, cores

MEAN, FIRST = "mean", "first"
"""Outputs of the last layer, as it is: the mean over tokens, and the first token."""


def layer_output(layer: int) -> str:
    """Name of the output that holds a layer's mean over tokens, brought to length 1."""
    return f"layer_{layer}"


def token_output(layer: int) -> str:
    """Name of the output that holds a layer's states of all tokens, as they are; shape (texts, tokens, dimensions)."""
    return f"tokens_{layer}"


def read_tokenizer(package: EncoderPackage) -> Tokenizer:
    """The encoder's tokenizer, cutting at `max_tokens` and padding nothing.

    Raises:
        StanceError: see `EncoderPackage.read`.
    """
    tokenizer = Tokenizer.from_str(package.read(TOKENIZER)[TOKENIZER].decode("utf8"))
    # The file asks for 128 tokens of padding always; texts are padded to the longest of their batch instead.
    tokenizer.no_padding()
    tokenizer.enable_truncation(package.max_tokens)
    return tokenizer


def padded(rows: Sequence[Sequence[int]], padding: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Token ids of texts as one matrix, and the mask that tells tokens from padding; both of shape (texts, longest)."""
    ids = np.full((len(rows), max(map(len, rows))), padding, np.int64)
    mask = np.zeros_like(ids)
    for row, given in enumerate(rows):
        ids[row, : len(given)], mask[row, : len(given)] = given, 1
    return ids, mask


@dataclass(frozen=True)
class Batch:
    """Texts that go through the encoder together.

    Attributes:
        rows: their numbers among all texts.
        ids: token ids, shape (texts of the batch, longest of them).
        mask: same shape: 1 for tokens, 0 for padding.
    """

    rows: list[int]
    ids: NDArray[np.int64]
    mask: NDArray[np.int64]


@dataclass(frozen=True)
class Embedded:
    """Texts as the encoder sees them.

    Attributes:
        vectors: shape (texts, outputs × dimensions).
        truncated: shape (texts,): which are longer than `max_tokens`.
    """

    vectors: NDArray[np.float32]
    truncated: NDArray[np.bool_]


class SentenceEncoder:
    """Embeds texts with the verified weights of an `EncoderPackage`.

    Args:
        package: which encoder.
        outputs: what is joined, in this order: `layer_output(n)`, MEAN, FIRST; or, for `run` alone, `token_output(n)`.
        cache: where embeddings are kept by text hash; None computes each anew.
        adapters: low-rank changes of its weights, see `training.low_rank`.
        runtime: what it runs on. Where CTranslate2 cannot give the outputs (it gives the last layer only, and of BERT
            only) it is ONNX Runtime after all, and a warning says so.

    Attributes:
        runtime: what it runs on indeed.
        batch_tokens: padded tokens that a batch holds: bounds memory, and long texts go in small batches.
        watch: told of each batch that was embedded, if set.

    Raises:
        StanceError: the encoder is not installed, or a file of it has another hash.
    """

    def __init__(
        self,
        package: EncoderPackage,
        outputs: Sequence[str],
        cache: EmbeddingCache | None = None,
        adapters: Mapping[str, NDArray[np.floating]] | None = None,
        runtime: Runtime = "onnx",
    ) -> None:
        self.package = package
        self.outputs = list(outputs)
        self.runtime: Runtime = runtime
        if runtime != "onnx" and (why_not := self._not_on_ctranslate2()):
            _logger.warning("%s: runs on ONNX Runtime, not on %s: %s", package.name, runtime, why_not)
            self.runtime = "onnx"
        # CTranslate2 computes one batch at a time.
        self._beside = min(_BESIDE, asked_threads() or cores()) if self.runtime == "onnx" else 1
        self.batch_tokens = _TOKENS // self._beside
        self._cache = cache
        self._adapters = adapters or {}
        self.watch: Callable[[Batch], None] | None = None

    def _not_on_ctranslate2(self) -> str:
        if self.outputs != [MEAN, FIRST]:
            return "the model reads other layers than the last"
        return "" if fits_ctranslate2(self.package) else "its architecture is not known there"

    def on(self, runtime: Runtime) -> SentenceEncoder:
        """The same encoder on another runtime, without a cache."""
        return SentenceEncoder(self.package, self.outputs, None, self._adapters, runtime)

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """Tensors of the checkpoint with their trained changes, by name."""
        return merged(self.package.weights(), self._adapters)

    def token_vectors(self) -> NDArray[np.float32]:
        """The vector that each token begins with; shape (vocabulary, dimensions)."""
        return self.package.weights()[_TOKEN_VECTORS]

    @cached_property
    def _session(self) -> ort.InferenceSession:
        if self._adapters:
            return self._open(ort.SessionOptions())
        # As published it is the same for all models that use it so, and takes its second and its memory once.
        carried_by = self.package.modules
        session = _PUBLISHED.get(carried_by)
        if session is None:
            session = _PUBLISHED[carried_by] = self._open(ort.SessionOptions())
        return session

    @cached_property
    def _ctranslate2(self) -> Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float32]]:
        return open_ctranslate2(self.package, self.weights(), self.tokenizer, int8=self.runtime == "ctranslate2")

    def write_onnx(self, path: Path) -> Path:
        """Write the graph with its weights, their changes added, for other runtimes; its place."""
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(path)
        self._open(options)
        return path

    def _open(self, options: ort.SessionOptions) -> ort.InferenceSession:
        weights = self.weights()
        options.log_severity_level = 3
        options.intra_op_num_threads = asked_threads()
        # Threads that spin while they wait for each other are some 5% faster where nothing else runs, and take the
        # processor from all else where something does: docs/speed.md.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        names = sorted(weights.keys() - _UNUSED)
        options.add_external_initializers(names, [ort.OrtValue.ortvalue_from_numpy(weights[name]) for name in names])
        return ort.InferenceSession(self.package.graph.read_bytes(), options, providers=["CPUExecutionProvider"])

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """See `read_tokenizer`."""
        return read_tokenizer(self.package)

    def load(self) -> None:
        """Read and verify the weights now rather than at the first text."""
        _ = self.tokenizer, self._session if self.runtime == "onnx" else self._ctranslate2

    def tokenize(self, texts: Sequence[str | tuple[str, str]]) -> list[Encoding]:
        """Token ids of texts or pairs, cut at `max_tokens`; `overflowing` holds what was cut off. They lack offsets."""
        encodings: list[Encoding] = self.tokenizer.encode_batch_fast(list(texts))
        return encodings

    def tokenize_with_offsets(self, texts: Sequence[str]) -> list[Encoding]:
        """The same with where each token stands in its text, which takes half as long again."""
        encodings: list[Encoding] = self.tokenizer.encode_batch(list(texts))
        return encodings

    def read(self, texts: Sequence[str], progress: Progress | None = None) -> Embedded:
        """Embeddings, see `embed`, and which texts were cut; without a cache each text is tokenised once."""
        encodings = self.tokenize(texts)
        vectors = self._compute(encodings, progress) if self._cache is None else self.embed(texts, progress)
        return Embedded(vectors, np.array([bool(encoding.overflowing) for encoding in encodings], np.bool_))

    def read_pairs(self, pairs: Sequence[tuple[str, str]], progress: Progress | None = None) -> Embedded:
        """Embeddings of pairs, each read as one text, without a cache; and which pairs were cut."""
        encodings = self.tokenize(pairs)
        truncated = np.array([bool(encoding.overflowing) for encoding in encodings], np.bool_)
        return Embedded(self._compute(encodings, progress), truncated)

    def embed(self, texts: Sequence[str], progress: Progress | None = None) -> NDArray[np.float32]:
        """Embeddings of shape (texts, outputs × dimensions).

        A text's embedding does not depend on its neighbours, beyond float32 rounding (1e-6).
        """
        if self._cache is None:
            return self._compute(self.tokenize(texts), progress)
        unique = list(dict.fromkeys(texts))
        known = self._cache.get(unique)
        new = [text for text in unique if text not in known]
        # In slices, so that an interrupted run keeps what it has computed.
        for first in range(0, len(new), 512):
            part = new[first : first + 512]
            computed = dict(zip(part, self._compute(self.tokenize(part)), strict=True))
            self._cache.put(computed)
            known |= computed
            if progress:
                progress("embedding", len(unique) - len(new) + first + len(part), len(unique))
        if not texts:
            return self._empty(0)
        return np.stack([known[text] for text in texts])

    def _empty(self, texts: int) -> NDArray[np.float32]:
        return np.empty((texts, len(self.outputs) * self.package.dimensions), np.float32)

    def _compute(self, encodings: Sequence[Encoding], progress: Progress | None = None) -> NDArray[np.float32]:
        result = self._empty(len(encodings))
        done = 0
        batches = list(self.batches(encodings))
        for batch, vectors in zip(batches, self.forward_all(batches), strict=True):
            result[batch.rows] = vectors
            if self.watch:
                self.watch(batch)
            done += len(batch.rows)
            if progress:
                progress("embedding", done, len(encodings))
        return result

    def batches(self, encodings: Sequence[Encoding]) -> Iterator[Batch]:
        """All of the texts, shortest first: those of a batch have about the same length, so little is padding."""
        order = sorted(range(len(encodings)), key=lambda i: (len(encodings[i].ids), i))
        first = 0
        for end in cut_by_length([len(encodings[i].ids) for i in order], self.batch_tokens):
            yield self._batch(order[first:end], encodings)
            first = end

    def _batch(self, rows: list[int], encodings: Sequence[Encoding]) -> Batch:
        return Batch(rows, *padded([encodings[i].ids for i in rows], self.package.padding))

    def forward(self, batch: Batch) -> NDArray[np.float32]:
        """Embeddings of one batch, in the order of its rows."""
        if self.runtime != "onnx":
            return self._ctranslate2(batch.ids, batch.mask)
        return np.concatenate(self.run(batch), axis=1)

    def forward_all(self, batches: Sequence[Batch]) -> Iterator[NDArray[np.float32]]:
        """Embeddings of each batch in their order, some computed beside each other."""
        if self._beside == 1 or len(batches) == 1:
            yield from map(self.forward, batches)
            return
        # Once, not by each of them at its first batch.
        self.load()
        with ThreadPoolExecutor(self._beside) as pool:
            yield from pool.map(self.forward, batches)

    def run(self, batch: Batch) -> list[NDArray[np.float32]]:
        """The outputs of one batch one by one; of `token_output(n)` what stands at padding means nothing."""
        given: list[NDArray[np.float32]] = self._session.run(
            self.outputs, {"input_ids": batch.ids, "attention_mask": batch.mask}
        )
        return given


_logger = logging.getLogger("stance.encoder")

_TOKENS = 1024
"""Padded tokens that are computed at a time."""

_BESIDE = 2
"""Batches that are computed beside each other where there are as many cores: while the threads of one wait for each
other, those of the other work. Of four cores and more it was not measured whether more would be better."""

_PUBLISHED: WeakValueDictionary[tuple[str, ...], ort.InferenceSession] = WeakValueDictionary()
"""Sessions of encoders as they were published, by the modules that carry them, as long as somebody holds them."""

_TOKEN_VECTORS = "embeddings.word_embeddings.weight"

_UNUSED = {"embeddings.position_ids", "pooler.dense.weight", "pooler.dense.bias"}
"""Tensors of the checkpoints that no output needs."""

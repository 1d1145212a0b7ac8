"""What a linear classifier sees of a text: weighted words, or a frozen encoder's embedding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer

from labels.errors import StanceError
from training.embedding_cache import EmbeddingCache
from training.encoder import ENCODERS, SentenceEncoder
from training.outcomes import Progress


class Featurizer(Protocol):
    """Texts to a matrix of shape (texts, features)."""

    def fit(self, texts: Sequence[str]) -> None: ...

    def transform(self, texts: Sequence[str], progress: Progress | None = None) -> Any: ...

    def truncated(self, texts: Sequence[str]) -> list[bool]: ...

    def load(self) -> None: ...

    def settings(self) -> dict[str, Any]: ...

    def tensors(self) -> dict[str, NDArray[Any]]: ...


class TfidfFeatures:
    """Words and pairs of words, weighted by log-scaled counts and inverse document frequency."""

    def __init__(self) -> None:
        self._vectorizer = self._new_vectorizer()

    @staticmethod
    def _new_vectorizer(vocabulary: Sequence[str] | None = None) -> TfidfVectorizer:
        return TfidfVectorizer(
            ngram_range=(1, 2),
            min_df=2 if vocabulary is None else 1,
            sublinear_tf=True,
            vocabulary=vocabulary,
            dtype=np.float32,
        )

    def fit(self, texts: Sequence[str]) -> None:
        try:
            self._vectorizer = self._new_vectorizer().fit(texts)
        except ValueError as error:
            raise StanceError(
                "the training sentences share no words, so there is nothing to learn from",
                hint="Add more labelled sentences.",
            ) from error

    def transform(self, texts: Sequence[str], progress: Progress | None = None) -> Any:
        return self._vectorizer.transform(texts)

    def truncated(self, texts: Sequence[str]) -> list[bool]:
        return [False] * len(texts)

    def load(self) -> None:
        pass

    def settings(self) -> dict[str, Any]:
        return {"vocabulary": self._vectorizer.get_feature_names_out().tolist()}

    def tensors(self) -> dict[str, NDArray[Any]]:
        return {"idf": np.asarray(self._vectorizer.idf_, np.float32)}

    @classmethod
    def restored(cls, settings: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]], cache: bool) -> TfidfFeatures:
        features = cls()
        features._vectorizer = cls._new_vectorizer(settings["vocabulary"])
        features._vectorizer.idf_ = tensors["idf"]
        return features


class EncoderFeatures:
    """Embeddings of an encoder that is not trained further.

    Args:
        encoder: a name in `training.encoder.ENCODERS`.
        layers: whose embeddings are joined.
        cache: whether embeddings are kept on disk between runs; what serves keeps none.
    """

    def __init__(self, encoder: str, layers: Sequence[int], *, cache: bool) -> None:
        if encoder not in ENCODERS:
            raise StanceError(f"no encoder '{encoder}' (there is {', '.join(ENCODERS)})", field="encoder")
        package = ENCODERS[encoder]
        if wrong := [layer for layer in layers if layer not in range(package.layers + 1)]:
            raise StanceError(f"{encoder} has layers 0 to {package.layers}, not {wrong[0]}", field="layers")
        self._name, self._layers = encoder, list(layers)
        kept_as = "-".join([encoder, package.weights_sha256[:16], *map(str, layers)])
        self._encoder = SentenceEncoder(package, layers, EmbeddingCache(kept_as) if cache else None)

    def fit(self, texts: Sequence[str]) -> None:
        pass

    def transform(self, texts: Sequence[str], progress: Progress | None = None) -> NDArray[np.float32]:
        return self._encoder.embed(texts, progress)

    def truncated(self, texts: Sequence[str]) -> list[bool]:
        return [bool(encoding.overflowing) for encoding in self._encoder.tokenize(texts)]

    def load(self) -> None:
        self._encoder.load()

    def settings(self) -> dict[str, Any]:
        package = self._encoder.package
        return {
            "encoder": self._name,
            "layers": self._layers,
            "encoder_published_as": package.name,
            "encoder_licence": package.licence,
            "weights_sha256": package.weights_sha256,
            "tokenizer_sha256": package.tokenizer_sha256,
            "max_tokens": package.max_tokens,
        }

    def tensors(self) -> dict[str, NDArray[Any]]:
        return {}

    @classmethod
    def restored(cls, settings: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]], cache: bool) -> EncoderFeatures:
        features = cls(settings["encoder"], settings["layers"], cache=cache)
        at_hand = features._encoder.package.weights_sha256
        if settings["weights_sha256"] != at_hand:
            raise StanceError(
                f"the model was trained on encoder weights {settings['weights_sha256']}, this version has {at_hand}",
                field="weights_sha256",
                hint="Train it again.",
            )
        return features

"""What a linear classifier sees of a text: weighted words, or a frozen encoder's embedding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from labels.errors import StanceError
from training.embedding_cache import EmbeddingCache
from training.encoder import SentenceEncoder, layer_output
from training.encoder_packages import WEIGHTS, encoder_named
from training.outcomes import Progress
from training.runtime import chosen_runtime

if TYPE_CHECKING:
    from sklearn.feature_extraction.text import TfidfVectorizer


class Featurizer(Protocol):
    """Texts to a matrix of shape (texts, features)."""

    def fit(self, texts: Sequence[str]) -> None: ...

    def transform(self, texts: Sequence[str], progress: Progress | None = None) -> Any: ...

    def read(self, texts: Sequence[str], progress: Progress | None = None) -> tuple[Any, NDArray[np.bool_]]:
        """What `transform` gives, and which texts are too long to be read whole."""
        ...

    def encoder(self) -> SentenceEncoder | None: ...

    def load(self) -> None: ...

    def settings(self) -> dict[str, Any]: ...

    def tensors(self) -> dict[str, NDArray[Any]]: ...


class TfidfFeatures:
    """Words and pairs of words, weighted by log-scaled counts and inverse document frequency."""

    def __init__(self) -> None:
        self._vectorizer = self._new_vectorizer()

    @staticmethod
    def _new_vectorizer(vocabulary: Sequence[str] | None = None) -> TfidfVectorizer:
        # Only where words are counted: it takes a hundred megabytes, and seconds.
        from sklearn.feature_extraction.text import TfidfVectorizer

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

    def read(self, texts: Sequence[str], progress: Progress | None = None) -> tuple[Any, NDArray[np.bool_]]:
        return self.transform(texts, progress), np.zeros(len(texts), np.bool_)

    def encoder(self) -> None:
        return None

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
        encoder: a name in `training.encoder_packages.ENCODERS`.
        layers: whose embeddings are joined.
        cache: whether embeddings are kept on disk between runs; what serves keeps none.
    """

    def __init__(self, encoder: str, layers: Sequence[int], *, cache: bool) -> None:
        package = encoder_named(encoder)
        if wrong := [layer for layer in layers if layer not in range(package.layers + 1)]:
            raise StanceError(f"{encoder} has layers 0 to {package.layers}, not {wrong[0]}", field="layers")
        self._name, self._layers = encoder, list(layers)
        kept_as = "-".join([encoder, package.sha256[WEIGHTS][:16], *map(str, layers)])
        outputs = [layer_output(layer) for layer in layers]
        self._encoder = SentenceEncoder(package, outputs, EmbeddingCache(kept_as) if cache else None)

    def fit(self, texts: Sequence[str]) -> None:
        pass

    def transform(self, texts: Sequence[str], progress: Progress | None = None) -> NDArray[np.float32]:
        return self._encoder.embed(texts, progress)

    def read(
        self, texts: Sequence[str], progress: Progress | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        embedded = self._encoder.read(texts, progress)
        return embedded.vectors, embedded.truncated

    def encoder(self) -> SentenceEncoder:
        return self._encoder

    def load(self) -> None:
        self._encoder.load()

    def settings(self) -> dict[str, Any]:
        return {"encoder": self._name, "layers": self._layers, **self._encoder.package.about()}

    def tensors(self) -> dict[str, NDArray[Any]]:
        return {}

    @classmethod
    def restored(cls, settings: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]], cache: bool) -> EncoderFeatures:
        features = cls(settings["encoder"], settings["layers"], cache=cache)
        features._encoder.package.check_same(settings)
        # Kept embeddings are those of ONNX Runtime.
        if not cache:
            features._encoder = features._encoder.on(chosen_runtime())
        return features

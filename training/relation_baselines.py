"""What the model for issues without labels is compared with: simpler readings of the same pairs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from training.encoder_packages import encoder_named
from training.features import EncoderFeatures
from training.outcomes import Progress
from training.pairs import PairLesson
from training.relation import RELATION, Pair

Vectors = NDArray[np.float32]


def _sentence_only(proposition: Vectors, sentence: Vectors) -> Vectors:
    return sentence


def _both(proposition: Vectors, sentence: Vectors) -> Vectors:
    return np.concatenate([sentence, proposition, sentence * proposition, np.abs(sentence - proposition)], axis=1)


BASELINES: dict[str, Callable[[Vectors, Vectors], Vectors]] = {"sentence_only": _sentence_only, "bi_encoder": _both}
"""What each sees of two embeddings. The first is a control: it cannot know what is asked, only how sentences are that
are for or against something. The second joins both, their product and their distance (Conneau et al. 2017)."""


class Baseline:
    """A logistic regression over embeddings of the encoder as it was published.

    Args:
        name: in BASELINES.
        encoder: name in `training.encoder_packages.ENCODERS`; embeddings are kept in the cache folder.
    """

    def __init__(self, name: str, encoder: str) -> None:
        self._features = BASELINES[name]
        self._encoder = EncoderFeatures(encoder, [encoder_named(encoder).layers], cache=True)

    def fit(self, lesson: PairLesson, progress: Progress | None = None) -> Baseline:
        """Train on the pairs that the network was trained on."""
        from sklearn.linear_model import LogisticRegression
        from threadpoolctl import threadpool_limits

        features, gold = self._seen(lesson.texts, progress), lesson.aims[:, 0].argmax(axis=1)
        with threadpool_limits(1):
            self._model = LogisticRegression(tol=1e-3, max_iter=300).fit(features, gold)
        return self

    def read(
        self, pairs: Sequence[Pair], progress: Progress | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """See `training.relation_model.PairReader.read`; nothing is cut that matters here."""
        given = np.zeros((len(pairs), len(RELATION.outcomes)))
        if pairs:
            given[:, self._model.classes_] = self._model.predict_proba(self._seen(pairs, progress))
        return given, np.zeros(len(pairs), np.bool_)

    def _seen(self, pairs: Sequence[Pair], progress: Progress | None) -> Vectors:
        texts = list(dict.fromkeys(text for pair in pairs for text in pair))
        row_of = {text: i for i, text in enumerate(texts)}
        vectors = self._encoder.transform(texts, progress)
        proposition, sentence = (vectors[[row_of[pair[k]] for pair in pairs]] for k in (0, 1))
        return self._features(proposition, sentence)

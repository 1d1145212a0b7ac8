"""Which sentences of a pool to label next, and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labels.corpus import Sentence
from labels.errors import StanceError
from labels.near_duplicates import NearDuplicates
from labels.taxonomy import Taxonomy
from training.encoder_packages import encoder_named
from training.features import EncoderFeatures
from training.model_folder import Model
from training.outcomes import Probabilities, Progress
from training.selection import rarity, spread, surprisal, uncertainty, worth

CANDIDATES_A_PICK = 5
"""Among how many of the most promising sentences a pick may look for variety."""

_ENCODER = "minilm"
"""The encoder whose last layer tells sentences apart."""

_SEED = 0


@dataclass(frozen=True)
class Reason:
    """Why a sentence was picked.

    Attributes:
        unsure_of: the target that the model is least sure of, and its two most probable outcomes there.
        rare_target, rare_class: what it may be an example of.
        rare_probability: how probable that is.
        rare_share: share of that class among the labels that the model was trained on.
    """

    unsure_of: str
    first: str
    first_probability: float
    second: str
    second_probability: float
    rare_target: str
    rare_class: str
    rare_probability: float
    rare_share: float

    def __str__(self) -> str:
        return (
            f"unsure of {self.unsure_of} ({self.first} {self.first_probability:.2f}, "
            f"{self.second} {self.second_probability:.2f}); may be {self.rare_class} of {self.rare_target} "
            f"({self.rare_probability:.2f}), as {self.rare_share:.1%} of the labels are"
        )


@dataclass(frozen=True)
class Pick:
    """A sentence to label; `worth` is comparable within one call only."""

    sentence: Sentence
    worth: float
    reason: Reason


def pick_next(
    pool: Sequence[Sentence], labelled: Iterable[str], model: Model, n: int, progress: Progress | None = None
) -> list[Pick]:
    """The n sentences whose labels promise to teach most, each as far as can be unlike the others.

    The same pool in whatever order, the same labelled texts and the same model give the same picks.

    Args:
        pool: sentences without labels.
        labelled: texts that need no label; they and their near-duplicates are left out.
        model: says what is uncertain, and which classes were rare in its training.
        n: how many; fewer are returned where the pool has no more that differ from each other.
        progress: told how many sentences were scored.

    Raises:
        StanceError: nothing in the pool is left to label.
    """
    if not pool:
        raise StanceError("the pool holds no sentence that is not labelled yet", hint="Give more in --pool.")
    taxonomy = model.taxonomy
    pool = sorted(pool, key=lambda sentence: (sentence.text, sentence.record.id))
    probabilities = model.answers([sentence.text for sentence in pool], progress).probabilities
    rare = surprisal(model.data["classes"], taxonomy)
    unsure, scarce = uncertainty(probabilities, taxonomy), rarity(probabilities, rare)
    promise = worth(unsure, scarce)
    candidates = _different(pool, np.argsort(-promise, kind="stable"), labelled, n * CANDIDATES_A_PICK)
    if not len(candidates):
        raise StanceError("every sentence of the pool is nearly one that is labelled", hint="Give others in --pool.")
    embeddings = _embeddings([pool[i].text for i in candidates], progress)
    chosen = candidates[spread(embeddings, promise[candidates], n, _SEED)]
    return [
        Pick(pool[i], float(promise[i]), _reason(probabilities[i], unsure[i], rare, taxonomy)) for i in chosen.tolist()
    ]


def _different(
    pool: Sequence[Sentence], order: NDArray[np.intp], labelled: Iterable[str], most: int
) -> NDArray[np.intp]:
    """The first of the order, without near-duplicates of labelled texts and of each other."""
    known = NearDuplicates()
    for text in labelled:
        known.add(text)
    kept: list[int] = []
    for i in order.tolist():
        if len(kept) == most:
            break
        if not known.like(pool[i].text):
            known.add(pool[i].text)
            kept.append(i)
    return np.array(kept, np.intp)


def _embeddings(texts: Sequence[str], progress: Progress | None) -> NDArray[np.float32]:
    return EncoderFeatures(_ENCODER, [encoder_named(_ENCODER).layers], cache=True).transform(texts, progress)


def _reason(given: Probabilities, unsure: NDArray[np.float64], rare: NDArray[np.float64], taxonomy: Taxonomy) -> Reason:
    doubtful = taxonomy.targets[int(unsure.argmax())]
    two = np.argsort(-given[unsure.argmax()], kind="stable")[:2].tolist()
    t, k = np.unravel_index(int((given * rare).argmax()), given.shape)
    scarce = taxonomy.targets[t]
    return Reason(
        unsure_of=doubtful.id,
        first=doubtful.outcomes[two[0]],
        first_probability=float(given[unsure.argmax(), two[0]]),
        second=doubtful.outcomes[two[1]],
        second_probability=float(given[unsure.argmax(), two[1]]),
        rare_target=scarce.id,
        rare_class=scarce.outcomes[k],
        rare_probability=float(given[t, k]),
        rare_share=float(np.exp(-rare[t, k])),
    )

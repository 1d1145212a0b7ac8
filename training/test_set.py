"""What a model says of its test set: the reference of `stance drift`, kept because scoring takes a while."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

from training.comparison import common_part
from training.dataset import fingerprint, texts_of, units_of
from training.embedding_cache import cache_place, keep
from training.model_folder import Model
from training.outcomes import Progress
from training.profile import BINS, Said, said
from training.train import LabelledData


@dataclass(frozen=True)
class TestSet:
    """What a model says of a test set.

    Attributes:
        said: text by text.
        groups: number of the group of each text.
        fingerprint: of the sentences and their labels.
    """

    said: Said
    groups: NDArray[np.intp]
    fingerprint: str


def said_of_test_set(model: Model, data: LabelledData, progress: Progress | None = None) -> TestSet:
    """Score the test part, without what the model was trained on, or take what is kept in the cache folder.

    Raises:
        StanceError: no such sentence is at hand, or the cache folder cannot be written.
    """
    part, _ = common_part([model], data, "test")
    found, words = fingerprint(part), hashlib.sha256(model.trained_on.get("words", np.zeros(0)).tobytes()).hexdigest()
    path = cache_place("said", [model.version, found, BINS, words]).with_suffix(".safetensors")
    try:
        kept = load_safetensors(path.read_bytes())
        groups = kept.pop("groups")
        return TestSet(Said(**kept), groups, found)
    except (OSError, SafetensorError, KeyError, TypeError):  # not there, or damaged: scored anew
        pass
    texts = texts_of(part)
    given = said(model, texts, model.answers(texts, progress))
    groups = np.unique(np.asarray(units_of(part)), return_inverse=True)[1].astype(np.int64)
    keep(path, save_safetensors({**given.tensors(), "groups": groups}))
    return TestSet(given, groups, found)

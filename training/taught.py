"""What a model says of many texts, kept in the cache folder part by part, so that asking can be interrupted."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

from training.embedding_cache import cache_place, keep
from training.model_folder import Model
from training.outcomes import Probabilities, Progress

_PART = 1024


def kept_probabilities(model: Model, texts: Sequence[str], progress: Progress | None = None) -> Probabilities:
    """What the model gives, not calibrated; shape (texts, targets, width).

    Raises:
        StanceError: the cache folder cannot be written.
    """
    given = np.zeros((len(texts), len(model.taxonomy), model.taxonomy.width))
    for first in range(0, len(texts), _PART):
        part = texts[first : first + _PART]
        if progress:
            progress("asking the model", first, len(texts))
        digest = hashlib.sha256("\0".join(part).encode("utf8", "surrogatepass")).hexdigest()
        path = cache_place("taught", [model.version, digest]).with_suffix(".safetensors")
        try:
            given[first : first + len(part)] = load_safetensors(path.read_bytes())["probabilities"]
        except (OSError, SafetensorError, KeyError, ValueError):  # not there, or damaged: asked anew
            asked = model.estimator.predict(part).probabilities.astype(np.float32)
            keep(path, save_safetensors({"probabilities": asked}))
            given[first : first + len(part)] = asked
    return given

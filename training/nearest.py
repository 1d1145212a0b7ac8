"""The labelled sentences that are nearest to a text, as the model sees them.

Only sentences whose text may be shown are among them: the project's authored ones and the worked examples of its
codebook, and what a user names. Nearness is the cosine of the two vectors that the model's own heads judge by.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labels.codebook_rules import Rule, read_codebook
from labels.errors import StanceError
from labels.records import DEFAULT_LABELS, Labels, read_records
from labels.taxonomy import Taxonomy
from training.embedding_cache import EmbeddingCache
from training.kept_vectors import KeptVectors
from training.model_folder import Model
from training.outcomes import Progress

AUTHORED = DEFAULT_LABELS / "authored.jsonl"
"""The label file of the project that holds its texts; those of all others are somebody's."""

CODEBOOK_SOURCE = "codebook"
"""Source of the codebook's worked examples."""


@dataclass(frozen=True)
class Example:
    """A labelled sentence that may be shown.

    Attributes:
        id: of its record.
        text: the sentence.
        labels: target → class, None where it is not touched; targets that it was not read for are missing.
        source: where it comes from, as its record says.
        rules: target → the rule of the codebook that decides it, where that is written down.
    """

    id: str
    text: str
    labels: Labels
    source: str | None = None
    rules: Mapping[str, Rule] = field(default_factory=dict)


@dataclass(frozen=True)
class Near:
    """An example with its cosine to a text, in [−1, 1]."""

    example: Example
    similarity: float


@dataclass(frozen=True)
class Examples:
    """Labelled sentences that can be looked up by nearness.

    Attributes:
        examples: all of them.
        vectors: shape (examples, features), of length 1, dense or sparse.
    """

    examples: Sequence[Example]
    vectors: Any = field(repr=False)

    def nearest(self, vectors: Any) -> list[list[Near]]:
        """All examples for each of the vectors, nearest first; those equally near in their own order."""
        if not self.examples:
            return [[] for _ in range(vectors.shape[0])]
        product = _unit(vectors) @ self.vectors.T
        cosines = np.asarray(product.toarray() if hasattr(product, "toarray") else product, np.float64)
        orders = np.argsort(-cosines, axis=1, kind="stable")
        return [
            [Near(self.examples[n], float(row[n])) for n in order.tolist()]
            for row, order in zip(cosines, orders, strict=True)
        ]


def read_examples(taxonomy: Taxonomy, labels: Sequence[Path] = ()) -> list[Example]:
    """The sentences that may be shown, each text once.

    Args:
        taxonomy: labels of other targets are left out, and sentences that have no other.
        labels: label files of the user's own; of these, records with a text. Of all files, the training part only.

    Raises:
        StanceError: see `read_records`.
    """
    files = [*labels, *([AUTHORED] if AUTHORED.is_file() else [])]
    records = read_records(files, taxonomy, skip_unknown_targets=True)
    found = [
        Example(record.id, record.text, record.labels, record.source)
        for record in records
        if record.text and record.labels and record.part == "train"
    ]
    unique: dict[str, Example] = {}
    for example in [*_worked_examples(taxonomy), *found]:
        unique.setdefault(example.text, example)
    return list(unique.values())


def _worked_examples(taxonomy: Taxonomy) -> list[Example]:
    codebook = read_codebook()
    found = []
    for number, worked in enumerate(codebook.examples, start=1):
        labels = {target_id: label for target_id, label in worked.labels.items() if _fits(taxonomy, target_id, label)}
        decided = {target_id: codebook.rule_for(worked, target_id) for target_id in labels}
        rules = {target_id: rule for target_id, rule in decided.items() if rule}
        if labels:
            found.append(Example(f"{CODEBOOK_SOURCE}-{number}", worked.text, labels, CODEBOOK_SOURCE, rules))
    return found


def _fits(taxonomy: Taxonomy, target_id: str, label: str | None) -> bool:
    target = taxonomy.get(target_id)
    return target is not None and (label is None or label in target.classes)


def index_examples(model: Model, examples: Sequence[Example], progress: Progress | None = None) -> Examples:
    """Examples as a model sees them.

    The vectors of an encoder are those that the model's folder holds; others are computed, which takes seconds for all,
    and kept on disk, by version, where there is a place for it.
    """
    texts = [example.text for example in examples]
    if not texts:
        return Examples((), None)
    if model.estimator.encoder() is None:
        return Examples(examples, _unit(model.estimator.embed(texts, progress)))
    known = model.examples.known(texts) if model.examples else {}
    missing = [text for text in texts if text not in known]
    if missing:
        known |= dict(zip(missing, _kept_on_disk(model, missing, progress), strict=True))
    return Examples(examples, _unit(np.stack([known[text] for text in texts])))


def with_vectors(model: Model, examples: Sequence[Example], progress: Progress | None = None) -> Model:
    """The model with the vectors of examples in its folder, once it is saved.

    Raises:
        StanceError: it has no encoder: what it sees of a text takes no time.
    """
    if model.estimator.encoder() is None:
        raise StanceError(f"the model {model.version} has no encoder, so there is nothing to be kept")
    texts = [example.text for example in examples]
    return replace(model, examples=KeptVectors.of(model.version, texts, model.estimator.embed(texts, progress)))


def _kept_on_disk(model: Model, texts: Sequence[str], progress: Progress | None) -> list[NDArray[np.float32]]:
    try:
        cache = EmbeddingCache(f"examples-{model.version}")
        known = cache.get(texts)
    except (OSError, sqlite3.Error):
        # A container may have nowhere to write: then each process computes them once.
        return list(model.estimator.embed(texts, progress))
    missing = [text for text in texts if text not in known]
    computed = dict(zip(missing, model.estimator.embed(missing, progress), strict=True)) if missing else {}
    with suppress(OSError, sqlite3.Error):
        cache.put(computed)
    known |= computed
    return [known[text] for text in texts]


def _unit(vectors: Any) -> Any:
    """Rows brought to length 1; those of length 0 stay."""
    if hasattr(vectors, "multiply"):
        lengths = np.sqrt(np.asarray(vectors.multiply(vectors).sum(axis=1))).reshape(-1, 1)
        return vectors.multiply(1 / np.where(lengths > 0, lengths, 1)).tocsr()
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)

"""Labelled sentences as a Hugging Face `datasets` Dataset."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from datasets import Dataset, Features, List, Value

from labels.corpus import Sentence
from labels.records import Labels, Record
from labels.taxonomy import Taxonomy
from training.outcomes import NOT_READ, Outcomes


def to_dataset(sentences: Sequence[Sentence], taxonomy: Taxonomy) -> Dataset:
    """One row a sentence.

    Columns: `id`, `text`, `unit` (what must not be split), `part` (train, dev, test), `outcomes` (a number a
    target, see `Outcomes`), `passes` (the first two annotators' outcomes, or empty), `source`, `date`, `holder`,
    `kind` (of the document, as the corpus says), `doc`, `start`, `end` (where a stand-off record points, or null),
    `note`.
    """
    records = [sentence.record for sentence in sentences]
    columns = {
        "id": [record.id for record in records],
        "text": [sentence.text for sentence in sentences],
        "unit": [record.unit for record in records],
        "part": [record.part for record in records],
        "source": [record.source for record in records],
        "date": [record.date for record in records],
        "holder": [record.holder for record in records],
        "kind": [sentence.kind for sentence in sentences],
        "doc": [record.ref and record.ref.doc for record in records],
        "start": [record.ref and record.ref.start for record in records],
        "end": [record.ref and record.ref.end for record in records],
        "note": [record.note for record in records],
        "outcomes": [outcomes_of(record.labels, taxonomy) for record in records],
        "passes": [_passes(record, taxonomy) for record in records],
    }
    text = Value("string")
    features = Features(
        dict.fromkeys(("id", "text", "unit", "part", "source", "date", "holder", "kind", "doc", "note"), text)
        | dict.fromkeys(("start", "end"), Value("int64"))
        | {"outcomes": List(Value("int8")), "passes": List(List(Value("int8")))}
    )
    return Dataset.from_dict(columns, features=features)


def _passes(record: Record, taxonomy: Taxonomy) -> list[list[int]]:
    passes = [outcomes_of(annotation.labels, taxonomy) for annotation in record.annotations[:2]]
    return passes if len(passes) == 2 else []


def outcomes_of(labels: Labels, taxonomy: Taxonomy) -> list[int]:
    """A row of `Outcomes`."""
    return [t.outcome(labels[t.id]) if t.id in labels else NOT_READ for t in taxonomy]


def column(data: Dataset, name: str) -> list[Any]:
    """All values of a column: a slice is read at once, what is iterated over is read row by row."""
    values: list[Any] = data[name][:]
    return values


def outcome_matrix(data: Dataset, taxonomy: Taxonomy) -> Outcomes:
    """Numbers of the outcomes of each sentence, of shape (sentences, targets); `NOT_READ` where it was not read."""
    return np.array(column(data, "outcomes"), np.int8).reshape(len(data), len(taxonomy))


def texts_of(data: Dataset) -> list[str]:
    """The texts, in the order of the rows."""
    return column(data, "text")


def units_of(data: Dataset) -> list[str]:
    """The group or document of each row, by which folds and resamples are drawn."""
    return column(data, "unit")


def fingerprint(data: Dataset) -> str:
    """SHA-256 over what a model learns from: id, text, unit and outcomes of each row, whatever their order."""
    columns = (column(data, name) for name in ("id", "text", "unit", "outcomes"))
    lines = sorted(json.dumps(row, ensure_ascii=True) for row in zip(*columns, strict=True))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def class_counts(outcomes: Outcomes, taxonomy: Taxonomy) -> dict[str, dict[str, int]]:
    """How often each class stands, and how many sentences were not read, by target."""
    return {
        target.id: {
            **{label: int((column == k).sum()) for k, label in enumerate(target.outcomes)},
            "not read": int((column == NOT_READ).sum()),
        }
        for target, column in zip(taxonomy, outcomes.T, strict=True)
    }


def never_read(outcomes: Outcomes, taxonomy: Taxonomy) -> list[str]:
    """Ids of the targets that none of the sentences was read for: nothing can be learnt of them."""
    return [target.id for target, column in zip(taxonomy, outcomes.T, strict=True) if (column == NOT_READ).all()]

"""The project's own label files (JSONL)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from labels.corpus import Sentence
from labels.exchange.files import write_json_lines
from labels.records import Record
from labels.taxonomy import Taxonomy


def write(sentences: Sequence[Sentence], taxonomy: Taxonomy, path: Path) -> Counter[str]:
    """Write a record a line; a stand-off record has its `ref` and not the text."""
    write_records([sentence.record for sentence in sentences], path)
    return Counter()


def write_records(records: Sequence[Record], path: Path) -> None:
    """Write a label file, whole or not at all; `read_records` gives the same records back.

    Raises:
        StanceError: it cannot be written; an older file is as it was.
    """
    write_json_lines(path, (_line(record) for record in records))


def _line(record: Record) -> dict[str, Any]:
    annotations = [_said(annotation) for annotation in record.annotations]
    return {**_said(record), **({"annotations": annotations} if annotations else {})}


def _said(model: BaseModel) -> dict[str, Any]:
    """The fields that say something; the labels are kept as they are, null included."""
    return {name: value for name, value in model.model_dump(exclude={"annotations"}).items() if value is not None}

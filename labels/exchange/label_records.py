"""The project's own label files (JSONL)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from labels.corpus import Sentence
from labels.exchange.files import replacing
from labels.taxonomy import Taxonomy


def write(sentences: Sequence[Sentence], taxonomy: Taxonomy, path: Path) -> Counter[str]:
    """Write a record a line; a stand-off record has its `ref` and not the text."""
    with replacing(path) as stream:
        for sentence in sentences:
            line = _said(sentence.record)
            if annotations := [_said(annotation) for annotation in sentence.record.annotations]:
                line["annotations"] = annotations
            stream.write(json.dumps(line, ensure_ascii=False) + "\n")
    return Counter()


def _said(model: BaseModel) -> dict[str, Any]:
    """The fields that say something; the labels are kept as they are, null included."""
    return {name: value for name, value in model.model_dump(exclude={"annotations"}).items() if value is not None}

"""Texts to score, as the command line takes them."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labels.errors import StanceError


@dataclass(frozen=True)
class SentenceIn:
    """A text, and the `id` that came with it, as a mapping that goes out again."""

    text: str
    identity: dict[str, Any]


def read_sentences(text: str | None, file: Path | None) -> list[SentenceIn]:
    """The one text, the lines of standard input (text "-"), or the lines of a file.

    A file or stream whose first line begins with "{" is JSONL with `text` and optional `id`; any other holds a
    sentence a line. Blank lines are passed over.

    Raises:
        StanceError: the file cannot be read, a line is malformed, or there is nothing to score.
    """
    if file is None and text is not None and text != "-":
        if not text.strip():
            raise StanceError("the text is empty", hint="Give a sentence.")
        return [SentenceIn(text, {})]
    path = file or Path("standard input")
    try:
        raw = file.read_bytes() if file else sys.stdin.buffer.read()
        lines = raw.decode("utf-8-sig").split("\n")
    except OSError as error:
        raise StanceError(f"cannot be read: {error.strerror}", path=path) from error
    except UnicodeDecodeError as error:
        raise StanceError(f"is not UTF-8: {error.reason} at byte {error.start}", path=path) from error
    numbered = [(number, line.strip()) for number, line in enumerate(lines, start=1) if line.strip()]
    if not numbered:
        raise StanceError("holds no text", path=path)
    if not numbered[0][1].startswith("{"):
        return [SentenceIn(line, {}) for _, line in numbered]
    return [_parse(path, number, line) for number, line in numbered]


def _parse(path: Path, number: int, line: str) -> SentenceIn:
    try:
        value = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        raise StanceError(f"is not JSON: {error}", path=path, line=number) from error
    if not isinstance(value, dict):
        raise StanceError("must be an object", path=path, line=number)
    text = value.get("text")
    if not isinstance(text, str) or not text.strip():
        raise StanceError("must be a text that is not empty", path=path, line=number, field="text")
    if any("\ud800" <= c <= "\udfff" for c in text):
        raise StanceError("holds half of a surrogate pair", path=path, line=number, field="text")
    return SentenceIn(text, {"id": value["id"]} if "id" in value else {})

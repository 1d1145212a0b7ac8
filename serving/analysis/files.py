"""Documents from files, as the command line takes them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from labels.errors import StanceError, not_as_described
from serving.analysis.documents import DocumentIn


class _Line(BaseModel):
    # Other fields pass: an article of a corpus or a feed has more of them.
    model_config = ConfigDict(strict=True, extra="ignore")

    text: str = Field(pattern=r"\S")
    title: str | None = None
    date: str | None = None
    source: str | None = None


def documents_from(file: str) -> list[DocumentIn]:
    """The documents of a file, or of standard input where it is "-".

    One whose first line is a JSON object holds a document a line; any other is a document.

    Raises:
        StanceError: it cannot be read, holds no text, or a line is malformed.
    """
    path = Path("standard input" if file == "-" else file)
    try:
        text = (sys.stdin.buffer.read() if file == "-" else path.read_bytes()).decode("utf-8-sig")
    except OSError as error:
        raise StanceError(f"cannot be read: {error.strerror}", path=path) from error
    except UnicodeDecodeError as error:
        raise StanceError(f"is not UTF-8: {error.reason} at byte {error.start}", path=path) from error
    if not text.strip():
        raise StanceError("holds no text", path=path)
    if not text.lstrip().startswith("{"):
        return [DocumentIn(text)]
    return [_parse(path, number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]


def _parse(path: Path, number: int, line: str) -> DocumentIn:
    try:
        value = json.loads(line)
        given = _Line.model_validate(value)
    except ValidationError as error:
        raise not_as_described(error, path, line=number) from None
    except (ValueError, RecursionError) as error:
        raise StanceError(f"is not JSON: {error}", path=path, line=number) from error
    return DocumentIn(**given.model_dump())

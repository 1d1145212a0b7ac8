"""Rows of a file that is too large to be held: what passes between reading, scoring and writing."""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from labels.errors import StanceError

if TYPE_CHECKING:
    import pyarrow as pa

LONGEST_ROW = 16 * 2**20
"""Bytes of a row of a text file (or of a text file in a folder); a longer one is a bad row, and is never held."""

LONGEST_TEXT = 2_000_000
"""Characters of a text; a longer one is a bad row: the tokenizer takes about 250 bytes for each."""

Row: TypeAlias = Mapping[str, Any]

Carried: TypeAlias = "Sequence[Row] | pa.Table"
"""Rows as they came: of text files as mappings, of columnar files as they lie in memory, so that types stay."""


@dataclass(frozen=True)
class Seen:
    """A row as the survey sees it.

    Attributes:
        place: where it begins, see `Source`.
        characters: of its text; 0 where it is bad.
        reason: why it cannot be scored; None where it can.
        line: of the file, counted from 1, where it has lines.
        file: within a folder of files.
        row: what it holds, where names and types of columns are known from the rows alone.
    """

    place: int
    characters: int = 0
    reason: str | None = None
    line: int | None = None
    file: str | None = None
    row: Row | None = None


class Source(Protocol):
    """A file or folder of rows, each with a place: a byte, or a number of a row or file.

    Attributes:
        text_column: which column holds the text.
        size: the place after the last row.
    """

    text_column: str
    size: int

    def survey(self) -> Iterator[Seen]:
        """Every row, good or bad, in order."""
        ...

    def read(self, start: int, end: int) -> tuple[Carried, list[str]]:
        """The good rows from one place up to another, and their texts."""
        ...

    def columns(self) -> tuple[str, ...] | None:
        """Names of the columns; None where only the rows know."""
        ...

    def schema(self) -> pa.Schema | None:
        """Types of the columns; None where there are none (all texts, or only the rows know)."""
        ...


def text_problem(text: object, column: str) -> str | None:
    """Why this cannot be scored; None where it can."""
    if text is None:
        return f"has no '{column}'"
    if not isinstance(text, str):
        return f"'{column}' is not a text"
    if not text.strip():
        return f"'{column}' is empty"
    if len(text) > LONGEST_TEXT:
        return f"'{column}' has {len(text):,} characters, more than {LONGEST_TEXT:,}"
    return None


def rows_of(carried: Carried) -> Sequence[Row]:
    """As mappings of values that JSON can hold.

    Raises:
        StanceError: a column holds bytes that are not UTF-8.
    """
    if isinstance(carried, Sequence):
        return carried
    try:
        rows = carried.to_pylist()
    except UnicodeDecodeError as error:
        raise StanceError(f"a column of texts holds bytes that are not UTF-8: {error.reason}") from error
    return [{name: plain(value) for name, value in row.items()} for row in rows]


def taken(carried: Carried, numbers: Sequence[int]) -> Carried:
    """Those rows, in that order, a row as often as it is named."""
    if isinstance(carried, Sequence):
        return [carried[number] for number in numbers]
    return carried.take(list(numbers))


def with_texts(carried: Carried, column: str, texts: Sequence[str]) -> Carried:
    """The rows with other texts."""
    if isinstance(carried, Sequence):
        return [{**row, column: text} for row, text in zip(carried, texts, strict=True)]
    import pyarrow as pa

    at = carried.schema.get_field_index(column)
    field = carried.schema.field(at)
    return carried.set_column(at, field, pa.array(texts, pa.string()).cast(field.type))


def plain(value: Any) -> Any:
    """As JSON can hold it: bytes in base64, times as ISO 8601 has them, no number for what is none."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, bytes):
        return b64encode(value).decode("ascii")
    return value.isoformat() if hasattr(value, "isoformat") else str(value)

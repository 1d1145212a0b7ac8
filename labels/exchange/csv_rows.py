"""Rows of CSV and TSV files, with the lines that they begin on."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from labels.errors import StanceError
from labels.exchange.entry import Place

_LONGEST_CELL = 2**31 - 1


def csv_rows(path: Path, dialect: type[csv.Dialect] = csv.excel) -> Iterator[tuple[Place, list[str]]]:
    """Rows that are not blank, and the lines that they begin on; a byte order mark is passed over.

    Raises:
        StanceError: the file cannot be read, is not UTF-8, or a row is not one of a table.
    """
    csv.field_size_limit(_LONGEST_CELL)
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            yield from _numbered(stream, path, dialect)
    except OSError as error:
        raise StanceError(f"cannot be read: {error.strerror}", path=path) from error
    except UnicodeDecodeError as error:
        raise StanceError(f"is not UTF-8: {error.reason} at byte {error.start}", path=path) from error


def _numbered(stream: IO[str], path: Path, dialect: type[csv.Dialect]) -> Iterator[tuple[Place, list[str]]]:
    reader = csv.reader(stream, dialect=dialect, strict=True)
    line = 1
    try:
        for cells in reader:
            if any(cells):
                yield Place(path, line), cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise Place(path, line).error(f"is not a row of a table: {error}") from error


def same_width(cells: list[str], header: list[str], place: Place) -> None:
    """Refuse a row that has not as many cells as the header."""
    if len(cells) != len(header):
        raise place.error(f"has {len(cells)} cells, the header has {len(header)}")

"""CSV and its kin, with a header. A row's place is the byte that it begins at.

The delimiter is that of `,`, `;`, tab and `|` which makes the header name the column of texts. Source: RFC 4180.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from labels.errors import StanceError
from serving.batch.rows import LONGEST_ROW, Row, Seen, text_problem
from serving.batch.text_lines import bounded_line, opened

DELIMITERS = (",", ";", "\t", "|")

_LONGEST_CELL = 2**31 - 1


@dataclass(frozen=True)
class _Found:
    """Cells, or why there are none, and how many lines and bytes they take."""

    cells: list[str] | str
    lines: int
    taken: int


class CsvTable:
    """A `Source`.

    Raises:
        StanceError: the file cannot be read, is UTF-16, or its header does not name the column of texts once.
    """

    def __init__(self, path: Path, text_column: str) -> None:
        csv.field_size_limit(_LONGEST_CELL)
        self.text_column = text_column
        self._path = path
        self.size = path.stat().st_size if path.is_file() else 0
        self._read_header()

    def _read_header(self) -> None:
        with opened(self._path) as stream:
            begins = stream.tell()
            found = {}
            for delimiter in DELIMITERS:
                stream.seek(begins)
                header = _next_row(stream, delimiter)
                if isinstance(header.cells, list) and self.text_column in header.cells:
                    found[delimiter] = header
        if not found:
            raise StanceError(
                "its first row does not name the column of texts",
                path=self._path,
                line=1,
                field=self.text_column,
                hint="Name it with --text-column; the first row is the header.",
            )
        self._delimiter, header = max(found.items(), key=lambda item: len(item[1].cells))
        self._header = tuple(header.cells)
        self._first, self._first_line = begins + header.taken, header.lines + 1
        for number, name in enumerate(self._header):
            if name in self._header[:number]:
                raise StanceError("stands twice in the header", path=self._path, line=1, field=name)

    def columns(self) -> tuple[str, ...]:
        return self._header

    def schema(self) -> None:
        return None

    def survey(self) -> Iterator[Seen]:
        line = self._first_line
        with opened(self._path) as stream:
            for place, found in self._rows(stream, self._first, self.size):
                if isinstance(found.cells, str):
                    yield Seen(place, reason=found.cells, line=line)
                elif found.cells:
                    yield Seen(place, len(found.cells[self._header.index(self.text_column)]), line=line)
                line += found.lines

    def read(self, start: int, end: int) -> tuple[list[Row], list[str]]:
        with opened(self._path) as stream:
            rows: list[Row] = [
                dict(zip(self._header, found.cells, strict=True))
                for _, found in self._rows(stream, start, end)
                if found.cells and isinstance(found.cells, list)
            ]
        return rows, [row[self.text_column] for row in rows]

    def _rows(self, stream: IO[bytes], place: int, end: int) -> Iterator[tuple[int, _Found]]:
        """Rows with as many cells as the header and a text, bad ones, and blank lines as no cells."""
        stream.seek(place)
        while place < end:
            found = self._checked(_next_row(stream, self._delimiter))
            if not found.taken:
                return
            if isinstance(found.cells, str) and found.lines > 1:
                # A stray quote may have swallowed good rows: only the line that it stands in is given up.
                stream.seek(place)
                _, taken = bounded_line(stream, LONGEST_ROW)
                found = _Found(found.cells, 1, taken)
            yield place, found
            place += found.taken

    def _checked(self, found: _Found) -> _Found:
        cells = found.cells
        if isinstance(cells, str) or not cells:
            return found
        if len(cells) != len(self._header):
            reason: str | None = f"has {len(cells)} cells, the header has {len(self._header)}"
        elif not _is_unicode(cells):
            reason = "holds bytes that are not UTF-8"
        else:
            reason = text_problem(cells[self._header.index(self.text_column)], self.text_column)
        return _Found(reason, found.lines, found.taken) if reason else found


class _TooLongError(Exception):
    pass


def _next_row(stream: IO[bytes], delimiter: str) -> _Found:
    lines = taken = 0

    def decoded() -> Iterator[str]:
        nonlocal lines, taken
        while True:
            raw, size = bounded_line(stream, max(0, LONGEST_ROW - taken))
            taken += size
            lines += bool(size)
            if raw is None:
                raise _TooLongError
            if not raw:
                return
            yield raw.decode("utf8", "surrogateescape")

    try:
        cells: list[str] | str = next(csv.reader(decoded(), delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        cells = f"is not a row of a table: {error}"
    except _TooLongError:
        cells = f"the row is longer than {LONGEST_ROW:,} bytes"
    return _Found(cells, lines, taken)


def _is_unicode(cells: list[str]) -> bool:
    return all(cell.isascii() or not any("\ud800" <= c <= "\udfff" for c in cell) for cell in cells)

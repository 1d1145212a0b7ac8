"""What a file holds, found by reading it once before anything is scored: where chunks begin, bad rows, columns."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from labels.errors import StanceError
from labels.files import write_whole
from serving.batch.column_kinds import ColumnKinds
from serving.batch.rows import Seen, Source
from training.outcomes import Progress

CHUNK_ROWS = 2048
CHUNK_CHARACTERS = 2**19
"""At most so much is read, scored and written together, but for a row that is longer by itself. Enough for texts of
about the same length to be found, little enough that a few seconds are lost when it is killed."""

_OFTEN = 1000


@dataclass(frozen=True)
class Chunk:
    """Rows that go together.

    Attributes:
        number: from 0.
        start: place of the first row, see `Source`.
        end: place of the next chunk's first row, or of the end.
        rows: good ones.
    """

    number: int
    start: int
    end: int
    rows: int


@dataclass(frozen=True)
class Survey:
    """What is known of a file.

    Attributes:
        chunks: in order; every row is in one.
        rows: all, good and bad.
        bad: those that cannot be scored.
        columns: name → kind, see `ColumnKinds`; None where the source knows its columns.
    """

    chunks: tuple[Chunk, ...]
    rows: int
    bad: int
    columns: Mapping[str, str] | None

    def write(self, path: Path) -> None:
        """Keep it, for a run that goes on later."""
        chunks = [[chunk.start, chunk.end, chunk.rows] for chunk in self.chunks]
        about: dict[str, Any] = {"rows": self.rows, "bad": self.bad, "columns": self.columns, "chunks": chunks}
        write_whole(path, json.dumps(about))


def read_survey(path: Path) -> Survey | None:
    """What `Survey.write` kept, if it came to that."""
    try:
        about = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    chunks = tuple(Chunk(number, *each) for number, each in enumerate(about["chunks"]))
    return Survey(chunks, about["rows"], about["bad"], about["columns"])


def survey(source: Source, bad_rows: Path, taken: frozenset[str], progress: Progress) -> Survey:
    """Read all rows, and write what is wrong with the bad ones.

    Args:
        source: the rows.
        bad_rows: gets a line of JSON for each bad row; on disk when this returns.
        taken: names that the columns may not have, because scores stand under them.
        progress: told the places that were passed.

    Raises:
        StanceError: a column has such a name, or the file cannot be read.
    """
    kinds = ColumnKinds()
    _check_names(source.columns() or (), taken)
    chunks: list[Chunk] = []
    now: Chunk | None = None
    characters = rows = bad = 0
    with bad_rows.open("w", encoding="utf8") as stream:
        for rows, seen in enumerate(source.survey(), start=1):
            if seen.row is not None:
                _check_names(seen.row, taken)
                kinds.see(seen.row)
            full = now is not None and (now.rows >= CHUNK_ROWS or characters + seen.characters > CHUNK_CHARACTERS)
            if now is not None and full and now.rows:
                chunks.append(replace(now, end=seen.place))
                now = None
            if now is None:
                now, characters = Chunk(len(chunks), seen.place, source.size, 0), 0
            if seen.reason is None:
                now, characters = replace(now, rows=now.rows + 1), characters + seen.characters
            else:
                bad += 1
                stream.write(_bad_line(rows, seen))
            if rows % _OFTEN == 0:
                progress("looking through", seen.place, source.size)
        stream.flush()
        os.fsync(stream.fileno())
    if now is not None:
        chunks.append(now)
    return Survey(tuple(chunks), rows, bad, kinds.found if source.columns() is None else None)


def _bad_line(number: int, seen: Seen) -> str:
    where = {"row": number, "line": seen.line, "file": seen.file}
    known = {name: value for name, value in where.items() if value is not None}
    return json.dumps({**known, "reason": seen.reason}, ensure_ascii=False) + "\n"


def _check_names(names: Mapping[str, object] | tuple[str, ...], taken: frozenset[str]) -> None:
    if both := sorted(taken & set(names)):
        raise StanceError(
            "is a column already, and what is found stands under that name", field=both[0], hint="Rename it."
        )

"""JSONL, an object a line; blank lines are passed over. A row's place is the byte that it begins at."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from serving.batch.rows import LONGEST_ROW, Row, Seen, text_problem
from serving.batch.text_lines import bounded_line, opened


class JsonLines:
    """A `Source`.

    Raises:
        StanceError: the file cannot be read, or is UTF-16.
    """

    def __init__(self, path: Path, text_column: str) -> None:
        self.text_column = text_column
        self._path = path
        with opened(path):
            self.size = path.stat().st_size

    def columns(self) -> None:
        return None

    def schema(self) -> None:
        return None

    def survey(self) -> Iterator[Seen]:
        line = 0
        with opened(self._path) as stream:
            for place, raw in _lines(stream, stream.tell(), self.size):
                line += 1
                if raw is not None and not raw.strip():
                    continue
                found = self._parsed(raw)
                if isinstance(found, str):
                    yield Seen(place, reason=found, line=line)
                else:
                    yield Seen(place, len(found[self.text_column]), line=line, row=found)

    def read(self, start: int, end: int) -> tuple[list[Row], list[str]]:
        with opened(self._path) as stream:
            stream.seek(start)
            parsed = [self._parsed(raw) for _, raw in _lines(stream, start, end)]
        rows: list[Row] = [found for found in parsed if not isinstance(found, str)]
        return rows, [row[self.text_column] for row in rows]

    def _parsed(self, raw: bytes | None) -> dict[str, Any] | str:
        """The object, or why it is a bad row."""
        if raw is None:
            return f"the line is longer than {LONGEST_ROW:,} bytes"
        try:
            value = json.loads(raw.decode("utf8"), parse_constant=_refuse)
            # What cannot be written again cannot be carried through.
            json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf8")
        except UnicodeDecodeError as error:
            return f"is not UTF-8: {error.reason} at byte {error.start} of the line"
        except UnicodeEncodeError:
            return "holds half of a surrogate pair"
        except json.JSONDecodeError as error:
            return f"is not JSON: {error.msg} at column {error.colno}"
        except (ValueError, RecursionError) as error:
            return f"is not JSON that can be read: {error}"
        if not isinstance(value, dict):
            return "is not an object"
        return text_problem(value.get(self.text_column), self.text_column) or value


def _lines(stream: IO[bytes], place: int, end: int) -> Iterator[tuple[int, bytes | None]]:
    while place < end:
        raw, taken = bounded_line(stream, LONGEST_ROW)
        if not taken:
            return
        yield place, raw
        place += taken


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")

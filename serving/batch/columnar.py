"""Parquet files and dataset folders (`save_to_disk`). A row's place is its number."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from labels.errors import StanceError, needs_package
from serving.batch.rows import Seen, text_problem

_AT_ONCE = 1024
"""Rows that are read together."""


def _check_text(schema: pa.Schema, column: str, path: Path) -> None:
    if column not in schema.names:
        raise StanceError(
            f"has no such column; it has {', '.join(schema.names)}",
            path=path,
            field=column,
            hint="Name the column of texts with --text-column.",
        )
    if len(set(schema.names)) < len(schema.names):
        raise StanceError("has two columns of the same name", path=path)
    kind = schema.field(column).type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
        raise StanceError(f"is a column of {kind}, not of texts", path=path, field=column)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise StanceError(f"cannot be read: {error}", path=path) from error


def _texts(column: pa.ChunkedArray | pa.Array, name: str) -> list[tuple[str, str | None]]:
    """Each text, or nothing and why it is a bad row."""
    try:
        values = column.to_pylist()
    except UnicodeDecodeError:
        values = [_decoded(raw) for raw in column.cast(pa.binary()).to_pylist()]
    found = []
    for value in values:
        reason = "holds bytes that are not UTF-8" if isinstance(value, bytes) else text_problem(value, name)
        found.append(("" if reason else value, reason))
    return found


def _decoded(raw: bytes | None) -> str | bytes | None:
    try:
        return None if raw is None else raw.decode("utf8")
    except UnicodeDecodeError:
        return raw


def _good(table: pa.Table, column: str) -> tuple[pa.Table, list[str]]:
    found = _texts(table[column], column)
    good = [number for number, (_, reason) in enumerate(found) if reason is None]
    return (table if len(good) == len(found) else table.take(good)), [found[number][0] for number in good]


def _seen(place: int, column: Any, name: str) -> Iterator[Seen]:
    for number, (text, reason) in enumerate(_texts(column, name)):
        yield Seen(place + number, len(text), reason)


class ParquetRows:
    """A `Source`; rows are read on from where the last ones ended, a row group is never held whole.

    Raises:
        StanceError: the file is not Parquet, or has no such column of texts.
    """

    def __init__(self, path: Path, text_column: str) -> None:
        self.text_column = text_column
        self._path = path
        with _readable(path):
            self._file = pq.ParquetFile(path, pre_buffer=False, buffer_size=2**20)
        _check_text(self._file.schema_arrow, text_column, path)
        about = self._file.metadata
        self.size: int = about.num_rows
        self._firsts = [0]
        for group in range(about.num_row_groups):
            self._firsts.append(self._firsts[-1] + about.row_group(group).num_rows)
        self._at = self.size
        self._batches: Iterator[pa.RecordBatch] = iter(())
        self._left: pa.RecordBatch | None = None

    def columns(self) -> tuple[str, ...]:
        return tuple(self._file.schema_arrow.names)

    def schema(self) -> pa.Schema:
        return self._file.schema_arrow

    def survey(self) -> Iterator[Seen]:
        place = 0
        with _readable(self._path):
            # A file of its own: two that read on from one would disturb each other.
            file = pq.ParquetFile(self._path, pre_buffer=False, buffer_size=2**20)
            for batch in file.iter_batches(_AT_ONCE, columns=[self.text_column]):
                yield from _seen(place, batch.column(0), self.text_column)
                place += batch.num_rows

    def read(self, start: int, end: int) -> tuple[pa.Table, list[str]]:
        with _readable(self._path):
            table = pa.Table.from_batches(self._between(start, end), self._file.schema_arrow)
        return _good(table, self.text_column)

    def _between(self, start: int, end: int) -> list[pa.RecordBatch]:
        if start < self._at or self._group(start) > self._group(self._at):
            self._begin(self._group(start))
        found = []
        while self._at < end:
            batch = self._left if self._left is not None else next(self._batches)
            first, last = max(start - self._at, 0), min(end - self._at, batch.num_rows)
            if last > first:
                found.append(batch.slice(first, last - first))
            self._left = batch.slice(last) if last < batch.num_rows else None
            self._at += last
        return found

    def _group(self, row: int) -> int:
        return bisect_right(self._firsts, row) - 1

    def _begin(self, group: int) -> None:
        groups = list(range(group, self._file.metadata.num_row_groups))
        self._batches = iter(self._file.iter_batches(_AT_ONCE, row_groups=groups))
        self._at, self._left = self._firsts[group], None


class DatasetRows:
    """A `Source`: a folder as `datasets.Dataset.save_to_disk` writes it.

    Raises:
        StanceError: it cannot be read, holds several datasets, or has no such column of texts.
    """

    def __init__(self, path: Path, text_column: str) -> None:
        self.text_column = text_column
        self._path = path
        try:
            import datasets
        except ImportError as error:
            raise needs_package("a dataset folder", error.name, "train") from error
        if (path / "dataset_dict.json").is_file():
            inside = sorted(each.name for each in path.iterdir() if each.is_dir())
            raise StanceError("holds several datasets", path=path, hint=f"Name one: {', '.join(inside)}.")
        try:
            self._data = datasets.load_from_disk(str(path)).with_format("arrow")
        except Exception as error:  # pyarrow, fsspec and json each raise their own for a damaged folder
            raise StanceError(f"cannot be read as a dataset: {error}", path=path) from error
        self.size: int = len(self._data)
        # With what the library knows beyond types: names of classes, for one.
        self._schema: pa.Schema = self._data.features.arrow_schema
        _check_text(self._schema, text_column, path)

    def columns(self) -> tuple[str, ...]:
        return tuple(self._schema.names)

    def schema(self) -> pa.Schema:
        return self._schema

    def survey(self) -> Iterator[Seen]:
        texts = self._data.select_columns([self.text_column])
        for place in range(0, self.size, _AT_ONCE):
            with _readable(self._path):
                yield from _seen(place, texts[place : place + _AT_ONCE].column(0), self.text_column)

    def read(self, start: int, end: int) -> tuple[pa.Table, list[str]]:
        with _readable(self._path):
            table = self._data[start:end]
        return _good(table, self.text_column)

"""Parquet files and dataset folders of scores; parts are Parquet files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from labels.taxonomy import Taxonomy
from serving.batch.layout import Layout, Scored, added_fields, nested_values
from serving.batch.rows import Row

_GROUP_ROWS, _GROUP_BYTES = 2**16, 2**26
"""A row group of what is joined holds about as much."""

_SHARD_BYTES = 500 * 10**6
"""A file of a dataset folder: the library's own limit."""


@dataclass(frozen=True)
class ParquetOutput:
    """A file with the columns that came in, as they were, and those of `layout`.

    Attributes:
        model: its version.
        carried: types of the columns that came in.
        json_columns: those of them that hold JSON as text.
        taxonomy: the targets.
        layout: what is added.
    """

    model: str
    carried: pa.Schema
    json_columns: frozenset[str]
    taxonomy: Taxonomy
    layout: Layout

    @property
    def schema(self) -> pa.Schema:
        # What else a schema says (of pandas, of classes) was said of fewer columns.
        return pa.schema([*self.carried, *added_fields(self.taxonomy, self.layout)])

    def write_part(self, path: Path, scored: Iterator[Scored]) -> None:
        schema, added = self.schema, pa.schema(added_fields(self.taxonomy, self.layout))
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            for each in scored:
                table = each.carried if isinstance(each.carried, pa.Table) else self._table(each.carried)
                answers = pa.Table.from_pylist(nested_values(each, self.model), schema=added)
                columns = [*table.columns, *answers.columns]
                writer.write_table(pa.Table.from_arrays(columns, schema=schema))

    def _table(self, rows: Sequence[Row]) -> pa.Table:
        return pa.Table.from_pylist([self._as_typed(row) for row in rows], schema=self.carried)

    def _as_typed(self, row: Row) -> dict[str, Any]:
        return {
            name: json.dumps(value, ensure_ascii=False) if name in self.json_columns and value is not None else value
            for name, value in row.items()
        }

    def join(self, parts: Sequence[Path], path: Path) -> None:
        with pq.ParquetWriter(path, self.schema, compression="zstd") as writer:
            for table in _groups(parts):
                writer.write_table(table)


class DatasetOutput(ParquetOutput):
    """A folder that `datasets.load_from_disk` reads."""

    def join(self, parts: Sequence[Path], path: Path) -> None:
        import datasets

        known = dict(datasets.Features.from_arrow_schema(self.carried))
        added = datasets.Features.from_arrow_schema(pa.schema(added_fields(self.taxonomy, self.layout)))
        features = datasets.Features({**known, **added})
        datasets.disable_progress_bars()
        datasets.Dataset.from_dict({name: [] for name in features}, features=features).save_to_disk(str(path))
        for file in path.glob("*.arrow"):
            file.unlink()
        names = _shards(parts, path, features.arrow_schema)
        state = json.loads((path / "state.json").read_bytes())
        state["_data_files"] = [{"filename": name} for name in names]
        # The library would take the time into it; the same rows are the same dataset here.
        digest = hashlib.sha256(json.dumps([features.arrow_schema.to_string(), self.model]).encode())
        for part in parts:
            digest.update(part.read_bytes())
        state["_fingerprint"] = digest.hexdigest()[:16]
        (path / "state.json").write_text(json.dumps(state, indent=2, sort_keys=True), encoding="utf8")


def _shards(parts: Sequence[Path], folder: Path, schema: pa.Schema) -> list[str]:
    groups = _groups(parts)
    names: list[str] = []
    table = next(groups, schema.empty_table())
    while table is not None:
        names.append(f"data-{len(names):05d}.arrow")
        written, following = 0, table
        with pa.OSFile(str(folder / names[-1]), "wb") as sink, closing(pa.ipc.new_stream(sink, schema)) as stream:
            while following is not None and written < _SHARD_BYTES:
                stream.write_table(following.cast(schema), max_chunksize=1000)
                written += following.nbytes
                following = next(groups, None)
        table = following
    return names


def _groups(parts: Sequence[Path]) -> Iterator[pa.Table]:
    """The rows of all parts, in tables that are neither small nor large."""
    tables: list[pa.Table] = []
    for part in parts:
        # Not read_table: it would make columns of folders that are called `name=value`.
        tables.append(pq.ParquetFile(part).read())
        if sum(map(len, tables)) >= _GROUP_ROWS or sum(table.nbytes for table in tables) >= _GROUP_BYTES:
            yield pa.concat_tables(tables)
            tables = []
    if tables:
        yield pa.concat_tables(tables)

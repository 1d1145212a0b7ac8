"""Files that scores are written to: parts, a chunk each, and what they are joined to."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from labels.errors import StanceError, needs_package
from labels.taxonomy import Taxonomy
from serving.batch.column_kinds import arrow_schema
from serving.batch.layout import Layout, Scored, nested_names, nested_values, wide_names, wide_values
from serving.batch.rows import Source, rows_of
from serving.batch.survey import Survey

JSONL, CSV, PARQUET, DATASETS = KINDS = ("jsonl", "csv", "parquet", "datasets")

_BYTE_ORDER_MARK = "\ufeff"


class Output(Protocol):
    """A kind of file."""

    def write_part(self, path: Path, scored: Iterator[Scored]) -> None:
        """The rows of a chunk, as they come."""
        ...

    def join(self, parts: Sequence[Path], path: Path) -> None:
        """One file (or folder, which is there and empty) of all parts; the same parts make the same bytes."""
        ...


def kind_of(out: Path, named: str | None) -> str:
    """The kind that was named, or that the ending tells.

    Raises:
        StanceError: it tells none.
    """
    endings = {".jsonl": JSONL, ".ndjson": JSONL, ".csv": CSV, ".parquet": PARQUET}
    kind = named or endings.get(out.suffix.lower())
    if kind is None:
        raise StanceError("its ending tells no kind of file", path=out, hint=f"Say --to {', '.join(KINDS)}.")
    return kind


def added_names(kind: str, taxonomy: Taxonomy, layout: Layout) -> list[str]:
    """Columns that scores stand in."""
    return wide_names(taxonomy, layout) if kind == CSV else nested_names(layout)


def check_installed(kind: str) -> None:
    """Before anything is scored.

    Raises:
        StanceError: a package is missing.
    """
    try:
        if kind in (PARQUET, DATASETS):
            import pyarrow  # noqa: F401
        if kind == DATASETS:
            import datasets  # noqa: F401
    except ImportError as error:
        raise needs_package(f"writing {kind}", error.name, "feeds" if kind == PARQUET else "train") from error


def output_of(kind: str, source: Source, found: Survey, taxonomy: Taxonomy, model: str, layout: Layout) -> Output:
    """What writes files of this kind."""
    if kind == JSONL:
        return JsonLinesOutput(model)
    names = source.columns() or tuple(found.columns or ())
    if kind == CSV:
        return CsvOutput(model, names, tuple(wide_names(taxonomy, layout)))
    import pyarrow as pa

    from serving.batch.columnar_outputs import DatasetOutput, ParquetOutput

    schema = source.schema()
    if schema is None:
        schema = arrow_schema(found.columns or dict.fromkeys(names, "text"))
    json_columns = frozenset(name for name, kind in (found.columns or {}).items() if kind == "json")
    make = ParquetOutput if kind == PARQUET else DatasetOutput
    assert isinstance(schema, pa.Schema)
    return make(model, schema, json_columns, taxonomy, layout)


def _concatenated(parts: Sequence[Path], path: Path, begins: bytes) -> None:
    with path.open("wb") as whole:
        whole.write(begins)
        for part in parts:
            with part.open("rb") as stream:
                shutil.copyfileobj(stream, whole, 2**20)


@dataclass(frozen=True)
class JsonLinesOutput:
    """An object a line."""

    model: str

    def write_part(self, path: Path, scored: Iterator[Scored]) -> None:
        with path.open("w", encoding="utf8", newline="\n") as stream:
            for each in scored:
                rows, added = rows_of(each.carried), nested_values(each, self.model)
                stream.writelines(
                    json.dumps({**row, **values}, ensure_ascii=False) + "\n"
                    for row, values in zip(rows, added, strict=True)
                )

    def join(self, parts: Sequence[Path], path: Path) -> None:
        _concatenated(parts, path, b"")


@dataclass(frozen=True)
class CsvOutput:
    """A table with a header; with a byte order mark, without which Excel does not take it for UTF-8."""

    model: str
    names: tuple[str, ...]
    added: tuple[str, ...]

    def write_part(self, path: Path, scored: Iterator[Scored]) -> None:
        with path.open("w", encoding="utf8", newline="") as stream:
            table = csv.writer(stream)
            for each in scored:
                rows, added = rows_of(each.carried), nested_values(each, self.model)
                for row, values in zip(rows, added, strict=True):
                    cells = [*(row.get(name) for name in self.names), *wide_values(values)]
                    table.writerow([_cell(value) for value in cells])

    def join(self, parts: Sequence[Path], path: Path) -> None:
        header = path.with_name("header.csv")
        with header.open("w", encoding="utf8", newline="") as stream:
            stream.write(_BYTE_ORDER_MARK)
            csv.writer(stream).writerow([*self.names, *self.added])
        _concatenated([header, *parts], path, b"")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

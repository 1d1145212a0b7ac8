"""Which kind of file holds the rows, and what tells it from every other file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from labels.errors import StanceError, needs_package
from serving.batch.csv_table import CsvTable
from serving.batch.json_lines import JsonLines
from serving.batch.rows import Source
from serving.batch.text_folder import TextFolder, text_files
from training.outcomes import Progress

JSONL_ENDINGS = (".jsonl", ".ndjson")
CSV_ENDINGS = (".csv", ".tsv")
PARQUET_ENDINGS = (".parquet",)

_DATASET_MARKS = ("state.json", "dataset_info.json", "dataset_dict.json")
_AT_ONCE = 2**20


def open_source(path: Path, text_column: str) -> Source:
    """By its ending, or what the folder holds.

    Raises:
        StanceError: nothing is there, it is of no kind that is known, or cannot be read.
    """
    ending = path.suffix.lower()
    if not path.exists():
        raise StanceError("is not there", path=path)
    if path.is_dir() and not is_dataset(path):
        return TextFolder(path, text_column)
    if not path.is_dir() and ending in JSONL_ENDINGS:
        return JsonLines(path, text_column)
    if not path.is_dir() and ending in CSV_ENDINGS:
        return CsvTable(path, text_column)
    if path.is_dir() or ending in PARQUET_ENDINGS:
        try:
            from serving.batch.columnar import DatasetRows, ParquetRows
        except ImportError as error:
            raise needs_package("a columnar file", error.name, "feeds") from error
        return DatasetRows(path, text_column) if path.is_dir() else ParquetRows(path, text_column)
    raise StanceError(
        "is of no kind that is known by its ending",
        path=path,
        hint="Name a .jsonl, .csv, .tsv or .parquet file, a folder of .txt files or a dataset folder.",
    )


def is_dataset(folder: Path) -> bool:
    """Whether the library `datasets` wrote it."""
    return any((folder / mark).is_file() for mark in _DATASET_MARKS)


def fingerprint(path: Path, progress: Progress) -> str:
    """SHA-256 of a file; of a folder, of the names and contents of its files.

    Raises:
        StanceError: something cannot be read.
    """
    files = _files(path)
    total = sum(file.stat().st_size for file in files)
    digest, done = hashlib.sha256(), 0
    try:
        for file in files:
            if path.is_dir():
                about = f"{file.relative_to(path).as_posix()}\0{file.stat().st_size}\0"
                digest.update(about.encode("utf8", "surrogateescape"))
            for piece in _pieces(file):
                digest.update(piece)
                done += len(piece)
                progress("reading", done, total)
    except OSError as error:
        raise StanceError(f"cannot be read: {error.strerror}", path=path) from error
    return digest.hexdigest()


def stamp(path: Path) -> str:
    """Changes when a file is written to: a quick look where `fingerprint` is a thorough one."""
    digest = hashlib.sha256()
    for file in _files(path):
        about = file.stat()
        digest.update(f"{file}\0{about.st_size}\0{about.st_mtime_ns}\0".encode("utf8", "surrogateescape"))
    return digest.hexdigest()


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    if is_dataset(path):
        return sorted(each for each in path.rglob("*") if each.is_file())
    return text_files(path)


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while piece := stream.read(_AT_ONCE):
            yield piece

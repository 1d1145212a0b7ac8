"""Reading JSON whole, and writing so that nobody ever sees half a file."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from labels.errors import StanceError


def read_json(path: Path) -> object:
    """The value of a JSON file.

    Raises:
        StanceError: the file cannot be read, is not UTF-8 or not JSON; it names the line.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise StanceError(f"cannot be read: {error.strerror}", path=path) from error
    except UnicodeDecodeError as error:
        raise StanceError(f"is not UTF-8: {error.reason} at byte {error.start}", path=path) from error
    except json.JSONDecodeError as error:
        raise StanceError(f"is not JSON: {error.msg} at column {error.colno}", path=path, line=error.lineno) from error
    except RecursionError as error:
        raise StanceError("is not JSON that can be read: it is nested too deep", path=path) from error


@contextmanager
def replacing(path: Path, *, encoding: str = "utf8") -> Iterator[IO[str]]:
    """A stream whose content becomes the file when the block ends well; otherwise nothing is left of it.

    Raises:
        StanceError: the file cannot be written.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        try:
            with beside.open("x", encoding=encoding, newline="") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise StanceError(f"cannot be written: {error.strerror}", path=path) from error


@contextmanager
def replacing_folder(path: Path, marks: tuple[str, ...]) -> Iterator[Path]:
    """An empty folder that takes the place of `path` when the block ends well.

    Args:
        path: where it goes; what is there is replaced if it holds one of `marks`, or nothing.
        marks: names of files that tell a folder of this kind.

    Raises:
        StanceError: something else is there, or it cannot be written.
    """
    if path.exists() and not (path.is_dir() and (_holds(path, marks) or not any(path.iterdir()))):
        raise StanceError("exists and is something else", path=path, hint="Name another place to write to.")
    try:
        fresh = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
        try:
            inside = fresh / path.name
            inside.mkdir()
            yield inside
            _put(inside, path, fresh / "replaced")
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    except OSError as error:
        raise StanceError(f"cannot be written: {error.strerror}", path=path) from error


def _put(fresh: Path, path: Path, replaced: Path) -> None:
    if not path.exists():
        os.replace(fresh, path)
        return
    os.replace(path, replaced)
    try:
        os.replace(fresh, path)
    except OSError:
        os.replace(replaced, path)
        raise


def _holds(path: Path, marks: tuple[str, ...]) -> bool:
    return any((path / mark).is_file() for mark in marks)

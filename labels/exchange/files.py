"""Reading JSON whole, and writing a folder so that whoever looks sees the old one or the new one."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from labels.errors import StanceError
from labels.files import write_whole


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
    except (ValueError, RecursionError) as error:  # a number of too many digits, or nested too deep
        raise StanceError(f"is not JSON that can be read: {error}", path=path) from error


def write_json_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write an object a line, whole or not at all."""
    write_whole(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


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

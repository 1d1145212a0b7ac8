"""Writing a file or a folder so that whoever looks sees the old one or the new one."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labels.errors import StanceError


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file, whole or not at all; on return it is on disk. A link is followed, and its target replaced.

    Args:
        path: where.
        content: a text is written as UTF-8.

    Raises:
        StanceError: the file cannot be written; an older one is as it was.
    """
    with writing_whole(path) as fresh:
        fresh.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def writing_whole(path: Path) -> Iterator[Path]:
    """A place beside `path` for a file that takes its place, on disk, when the block ends well.

    A link is followed, and its target replaced.

    Raises:
        StanceError: the file cannot be written; an older one is as it was.
    """
    place = path.resolve()
    fresh = place.with_name(f".{place.name}-{os.getpid()}")
    try:
        yield fresh
        sync(fresh)
        if place.exists():
            fresh.chmod(place.stat().st_mode)
        os.replace(fresh, place)
        sync(place.parent)
    except OSError as error:
        raise StanceError(f"cannot be written: {error.strerror or error}", path=path) from error
    finally:
        fresh.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Bring a file's contents, or a folder's entries, to disk: what was renamed is only as durable as its entry."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def replacing_folder(path: Path, marks: tuple[str, ...], kind: str) -> Iterator[Path]:
    """An empty folder that takes the place of `path` when the block ends well.

    Args:
        path: where it goes; what is there is replaced if it holds one of `marks`, or nothing.
        marks: names of files that tell a folder of this kind.
        kind: what such a folder is called.

    Raises:
        StanceError: something else is there, or it cannot be written.
    """
    if path.exists() and not (path.is_dir() and (_holds(path, marks) or not any(path.iterdir()))):
        raise StanceError(f"exists and is not {kind}", path=path, hint="Name another place to write to.")
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

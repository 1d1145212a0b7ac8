"""Writing a file so that whoever looks sees the old one or the new one."""

from __future__ import annotations

import os
from pathlib import Path

from labels.errors import StanceError


def write_whole(path: Path, text: str) -> None:
    """Write a text file, whole or not at all; on return it is on disk. A link is followed, and its target replaced.

    Raises:
        StanceError: the file cannot be written; an older one is as it was.
    """
    place = path.resolve()
    fresh = place.with_name(f".{place.name}-{os.getpid()}")
    try:
        with fresh.open("w", encoding="utf8", newline="\n") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        if place.exists():
            fresh.chmod(place.stat().st_mode)
        os.replace(fresh, place)
        _sync_folder(place.parent)
    except OSError as error:
        raise StanceError(f"cannot be written: {error.strerror}", path=path) from error
    finally:
        fresh.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    # A file that was renamed is only as durable as the folder's entry for it.
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

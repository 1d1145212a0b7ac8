"""One run of the feeds at a time."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from labels.errors import StanceError
from labels.file_lock import file_lock

LOCK_FILE = "run.lock"


class RunsAlreadyError(StanceError):
    """Another run has the folder, or the state."""

    def __init__(self, path: Path | str) -> None:
        super().__init__("another run is at work here", path=path, hint="One runs at a time; stop it, or let it be.")


def run_lock(folder: Path) -> AbstractContextManager[int]:
    """Held as long as the block runs; the folder is made where it is missing.

    Raises:
        RunsAlreadyError: another run holds it.
        StanceError: the folder cannot be written.
    """
    return file_lock(folder / LOCK_FILE, RunsAlreadyError(folder))

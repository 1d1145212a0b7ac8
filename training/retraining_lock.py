"""One retraining at a time, whoever starts it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from labels.errors import StanceError
from labels.file_lock import file_lock

LOCK_FILE = "retrain.lock"


class RetrainingRunsError(StanceError):
    """Another retraining has the lock."""


def retraining_lock(home: Path) -> AbstractContextManager[int]:
    """Held as long as the block runs, or longer by a process that was given the lock's descriptor; see `file_lock`.

    Raises:
        RetrainingRunsError: somebody holds it.
        StanceError: the home folder cannot be written.
    """
    held = RetrainingRunsError("a retraining is running", path=home, hint="Wait for its end; one runs at a time.")
    return file_lock(home / LOCK_FILE, held)

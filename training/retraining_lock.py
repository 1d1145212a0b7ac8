"""One retraining at a time, whoever starts it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labels.errors import StanceError

LOCK_FILE = "retrain.lock"


class RetrainingRunsError(StanceError):
    """Another retraining has the lock."""


@contextmanager
def retraining_lock(home: Path) -> Iterator[int]:
    """Held as long as the block runs, or longer by a process that was given the lock's file descriptor.

    The kernel lets go of it when the last process that has the descriptor ends, however it ends; so nobody has to guess
    from a process id whether a lock is stale. Others see it on the same machine only, which is where SQLite wants its
    files too.

    Yields:
        the descriptor; processes started meanwhile inherit it only where they are told to.

    Raises:
        RetrainingRunsError: somebody holds it.
        StanceError: the home folder cannot be written.
    """
    path = home / LOCK_FILE
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise StanceError(f"cannot be written: {error.strerror}", path=path) from error
    # Closed, never unlocked: unlocking would take it from those too who inherited it.
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RetrainingRunsError(
                "a retraining is running", path=home, hint="Wait for its end; one runs at a time."
            ) from error
        yield lock
    finally:
        os.close(lock)

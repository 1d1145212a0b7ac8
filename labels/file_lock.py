"""A lock that the kernel lets go of, however its holder ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labels.errors import StanceError


@contextmanager
def file_lock(path: Path, held: StanceError) -> Iterator[int]:
    """Held as long as the block runs, or longer by a process that was given the lock's file descriptor.

    The kernel lets go of it when the last process that has the descriptor ends, however it ends; so nobody has to guess
    from a process id whether a lock is stale. Others see it on the same machine only, which is where SQLite wants its
    files too.

    Args:
        path: of the file, which stays there; its folder is made where it is missing.
        held: what is raised where somebody else holds it.

    Yields:
        the descriptor; processes started meanwhile inherit it only where they are told to.

    Raises:
        StanceError: `held`, or the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise StanceError(f"cannot be written: {error.strerror}", path=path) from error
    # Closed, never unlocked: unlocking would take it from those too who inherited it.
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise held from error
        yield lock
    finally:
        os.close(lock)

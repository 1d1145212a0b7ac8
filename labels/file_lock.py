"""A lock that the kernel lets go of, however its holder ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from labels.errors import StanceError


@contextmanager
def file_lock(path: Path, held: StanceError, *, stays: bool = True) -> Iterator[int]:
    """Held as long as the block runs, or longer by a process that was given the lock's file descriptor.

    The kernel lets go of it when the last process that has the descriptor ends, however it ends; so nobody has to guess
    from a process id whether a lock is stale. Others see it on the same machine only, which is where SQLite wants its
    files too.

    Args:
        path: of the file; its folder is made where it is missing.
        held: what is raised where somebody else holds it.
        stays: whether the file stays there afterwards.

    Yields:
        the descriptor; processes started meanwhile inherit it only where they are told to.

    Raises:
        StanceError: `held`, or the file cannot be written.
    """
    lock = _taken(path, held)
    # Closed, never unlocked: unlocking would take it from those too who inherited it.
    try:
        yield lock
    finally:
        if not stays:
            path.unlink(missing_ok=True)
        os.close(lock)


def _taken(path: Path, held: StanceError) -> int:
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise StanceError(f"cannot be written: {error.strerror}", path=path) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(lock)
            raise held from error
        # Whoever had it may have taken the file away meanwhile.
        with suppress(FileNotFoundError):
            if path.stat().st_ino == os.fstat(lock).st_ino:
                return lock
        os.close(lock)

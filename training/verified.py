"""Files that are trusted by their hash."""

from __future__ import annotations

import hashlib
from pathlib import Path

from labels.errors import StanceError


def read_verified(path: Path, sha256: str, hint: str) -> bytes:
    """What a file holds.

    Args:
        path: the file.
        sha256: what its content must hash to.
        hint: what to do where it does not.

    Raises:
        StanceError: the file cannot be read, or has another hash.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StanceError(f"cannot be read: {error.strerror}", path=path, hint=hint) from error
    check_hash(content, sha256, path, hint)
    return content


def check_hash(content: bytes, sha256: str, path: Path, hint: str) -> None:
    """Refuse content of another hash.

    Args:
        content: what was read.
        sha256: what it must hash to.
        path: where it came from.
        hint: what to do where it does not.

    Raises:
        StanceError: it has another hash.
    """
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise StanceError(
            f"was changed: SHA-256 {found}, expected {sha256}", path=path, hint=f"Nothing was loaded. {hint}"
        )

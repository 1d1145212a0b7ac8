"""API keys: who may do what over HTTP. The file holds their names and hashes, never the keys."""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from labels.errors import StanceError, not_as_described
from labels.files import write_whole

KEYS_FILE = "keys.json"


class KeyScope(StrEnum):
    """What a key is for: `/v1/score`; `/v1/labels`; `/v1/retrain` and `/v1/jobs`. None includes another."""

    SCORE = "score"
    LABEL = "label"
    ADMIN = "admin"


SCOPES = tuple(KeyScope)
USUAL_SCOPES = (KeyScope.SCORE, KeyScope.LABEL)

_NAME = re.compile(r"[\w.@+-]{1,64}")


class Key(BaseModel):
    """What is known of a key: `sha256` of its UTF-8 text (it is 32 random bytes, so no slow hash is needed), when it
    was made, and what it is for. A key of before there were scopes could do everything, and still can."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    made: datetime
    scopes: Annotated[tuple[KeyScope, ...], Field(min_length=1)] = SCOPES


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    keys: dict[str, Key]


def read_keys(home: Path) -> Mapping[str, Key]:
    """Names and hashes, in the order in which they were made; read again when the file has changed.

    Raises:
        StanceError: the file is not as `create_key` writes it.
    """
    path = home / KEYS_FILE
    try:
        stat = path.stat()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise StanceError(f"cannot be read: {error.strerror}", path=path) from error
    # It is replaced whole, never written in place; so another content is another inode.
    return _read(path, (stat.st_ino, stat.st_mtime_ns, stat.st_size))


@lru_cache(maxsize=4)
def _read(path: Path, mark: tuple[int, int, int]) -> Mapping[str, Key]:
    try:
        return _File.model_validate_json(path.read_bytes()).keys
    except OSError as error:
        raise StanceError(f"cannot be read: {error.strerror}", path=path) from error
    except ValidationError as error:
        raise not_as_described(error, path) from error


def key_holder(key: str, keys: Mapping[str, Key]) -> str | None:
    """Name of a key, or None where it is none; how long that takes does not depend on how much of it is right."""
    sha256 = _hash(key)
    holder = None
    for name, known in keys.items():
        if hmac.compare_digest(sha256, known.sha256):
            holder = name
    return holder


def create_key(home: Path, name: str, scopes: Collection[KeyScope] = USUAL_SCOPES) -> str:
    """Make a key for the given scopes, one or more.

    Returns:
        the key; it is nowhere kept.

    Raises:
        StanceError: the name is taken or none, or the file cannot be written.
    """
    if not _NAME.fullmatch(name):
        raise StanceError(f"'{name}' is not a name for a key", hint="Use up to 64 letters, digits and . _ - @ +.")
    with _changing(home) as keys:
        if name in keys:
            raise StanceError(
                f"there is a key '{name}'", path=home / KEYS_FILE, hint="Revoke it first, or name another."
            )
        ordered = tuple(scope for scope in KeyScope if scope in scopes)
        key = secrets.token_urlsafe(32)
        keys[name] = Key(sha256=_hash(key), made=datetime.now(UTC).replace(microsecond=0), scopes=ordered)
    return key


def revoke_key(home: Path, name: str) -> None:
    """Forget a key; a running service refuses it from its next request on.

    Raises:
        StanceError: there is none of that name, or the file cannot be written.
    """
    with _changing(home) as keys:
        if name not in keys:
            known = f"There are {', '.join(keys)}." if keys else "There are none."
            raise StanceError(f"no key '{name}'", path=home / KEYS_FILE, hint=known)
        del keys[name]


@contextmanager
def _changing(home: Path) -> Iterator[dict[str, Key]]:
    """The keys, to be changed; they are written when the block ends well."""
    path = home / KEYS_FILE
    try:
        home.mkdir(parents=True, exist_ok=True)
        with (home / f".{KEYS_FILE}.lock").open("a") as lock:
            # Of two that change it at once, the second must see what the first wrote.
            fcntl.flock(lock, fcntl.LOCK_EX)
            keys = dict(read_keys(home))
            yield keys
            given = _File(keys=keys).model_dump(mode="json")
            write_whole(path, json.dumps(given, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise StanceError(f"cannot be written: {error.strerror}", path=path) from error


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf8", "surrogateescape")).hexdigest()

"""Embeddings kept on disk by the hash of their text, so that retraining does not compute them again."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_path

from labels.errors import StanceError
from labels.files import write_whole
from labels.settings import path_setting

CACHE_VARIABLE = "STANCE_CACHE"
"""Environment variable that names the cache folder; the user's cache folder where it is not set."""


def cache_folder() -> Path:
    """Where whatever can be made anew is kept. Asking does not make it."""
    return path_setting(CACHE_VARIABLE) or user_cache_path("stance")


def cache_place(kind: str, deciding: Sequence[object]) -> Path:
    """Where the cache folder keeps what follows from some values, fit for JSON: the same place for the same values."""
    return cache_folder() / kind / hashlib.sha256(json.dumps(deciding).encode()).hexdigest()[:24]


def keep(path: Path, content: str | bytes) -> None:
    """Write a file into the cache folder, see `cache_place`, whole or not at all.

    Raises:
        StanceError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StanceError(f"cannot be written: {error.strerror}", path=path) from error
    write_whole(path, content)


class EmbeddingCache:
    """A SQLite file of float32 vectors by SHA-256 of the text; several processes may write to it.

    Args:
        encoder: identifies weights and pooling; another encoder has another file.
        folder: where the file lies; `cache_folder()` by default.
    """

    def __init__(self, encoder: str, folder: Path | None = None) -> None:
        folder = folder or cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"embeddings-{encoder}.sqlite"
        with closing(self._connect()) as database, database:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("CREATE TABLE IF NOT EXISTS embedding (text BLOB PRIMARY KEY, vector BLOB NOT NULL)")

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=60)

    def get(self, texts: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Those of the texts that are known."""
        found: dict[str, NDArray[np.float32]] = {}
        with closing(self._connect()) as database:
            for text in texts:
                row = database.execute("SELECT vector FROM embedding WHERE text = ?", (_key(text),)).fetchone()
                if row:
                    found[text] = np.frombuffer(row[0], np.float32)
        return found

    def put(self, embeddings: Mapping[str, NDArray[np.float32]]) -> None:
        """Keep them; what is known already stays as it is."""
        with closing(self._connect()) as database, database:
            database.executemany(
                "INSERT OR IGNORE INTO embedding VALUES (?, ?)",
                [(_key(text), vector.astype(np.float32).tobytes()) for text, vector in embeddings.items()],
            )


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf8", "surrogatepass")).digest()

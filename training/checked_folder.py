"""Folders of small models beside the classifier: a JSON file says what is there, and the hash of every other file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labels.errors import StanceError
from labels.files import replacing_folder, sync
from training.verified import read_verified

FORMAT = 1
WEIGHTS = "weights.safetensors"


@dataclass(frozen=True)
class CheckedFolder:
    """A kind of folder.

    Attributes:
        about: name of the JSON file.
        what: what such a folder is, as errors say it: "a holder tagger".
        versions: what versions begin with.
        mend: what to do where one cannot be read.
    """

    about: str
    what: str
    versions: str
    mend: str

    def save(
        self, folder: Path, deciding: Mapping[str, Any], about: Mapping[str, Any], files: Mapping[str, bytes]
    ) -> str:
        """Write a folder, whole or not at all; an older one of the kind there is replaced.

        Args:
            folder: where.
            deciding: what decides its answers besides the weights; kept in the JSON file.
            about: what else is known of it.
            files: the others; `WEIGHTS` is among them.

        Returns:
            its version, which ends with twelve digits of the hash of all that decides its answers.

        Raises:
            StanceError: the folder exists and is not of the kind, or cannot be written.
        """
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        whole = json_bytes({**deciding, "weights": hashes[WEIGHTS]})
        version = f"{self.versions}-{hashlib.sha256(whole).hexdigest()[:12]}"
        described = {"format": FORMAT, "version": version, **deciding, "about": about, "files": hashes}
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StanceError(f"cannot be written: {error.strerror}", path=folder) from error
        with replacing_folder(folder, (self.about,), self.what) as fresh:
            for name, content in {**files, self.about: json_bytes(described)}.items():
                (fresh / name).write_bytes(content)
                sync(fresh / name)
        return version

    def read(self, folder: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
        """What the JSON file says, and the other files, each checked against the hash that it names.

        Raises:
            StanceError: the folder is not of the kind or of this format, or a file is missing or was changed.
        """
        path = folder / self.about
        try:
            about = json.loads(path.read_bytes())
        except FileNotFoundError as error:
            raise StanceError(f"is not {self.what} (it has no {self.about})", path=folder, hint=self.mend) from error
        except (OSError, ValueError) as error:
            raise StanceError(f"cannot be read: {error}", path=path) from error
        found = about.get("format") if isinstance(about, dict) else None
        if found != FORMAT:
            raise StanceError(f"is of format {found}; this version reads format {FORMAT}", path=path, hint=self.mend)
        try:
            hashes = dict(about["files"].items())
        except (KeyError, AttributeError) as error:
            raise self.damaged(folder, error) from error
        return about, {name: read_verified(folder / name, sha256, self.mend) for name, sha256 in hashes.items()}

    def damaged(self, folder: Path, error: Exception) -> StanceError:
        """What to raise where the hashes are right and the content is not."""
        return StanceError(f"is damaged: {error!r}", path=folder, hint=self.mend)


def json_bytes(value: object) -> bytes:
    """As such folders hold it."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()

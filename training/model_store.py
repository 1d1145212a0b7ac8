"""Model folders in the BentoML model store, each whole or not there at all.

`bentoml.models.create` writes into the store file by file, so that a process killed meanwhile leaves half a model, over
which later even `bentoml models list` stumbles. So it writes into a folder beside the store here, and one rename moves
what it made, when that is on disk and has been read back, to its place.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labels.errors import StanceError
from labels.files import sync
from training.home import STORE_NAME, bentoml_home, stored_model
from training.model_folder import Model, load_model

_TAG = re.compile(r"(?=.{1,63}$)[a-z0-9]([-._a-z0-9]*[a-z0-9])?")
"""What BentoML takes for a version."""


def put_model(folder: Path) -> Model:
    """Copy a model folder into the store; one that is there and whole stays, one that was damaged is replaced.

    Raises:
        StanceError: the folder is not a whole model, its version cannot name one in the store, or the store cannot be
            written.
    """
    model = load_model(folder)
    if not _TAG.fullmatch(model.version):
        raise StanceError(
            f"the model store takes no version '{model.version}'",
            path=folder,
            hint="Give its recipe a name of lower-case letters, digits, '-', '_' and '.', of at most 50 characters.",
        )
    place = stored_model(model.version)
    try:
        with _staging() as staging:
            if not _is_whole(place, model.version):
                made = _made(folder, model, staging)
                place.parent.mkdir(parents=True, exist_ok=True)
                if place.exists():
                    os.replace(place, staging / "damaged")
                os.replace(made, place)
                sync(place.parent)
                # BentoML finds out anew which is the latest where nothing says it.
                (place.parent / "latest").unlink(missing_ok=True)
    except OSError as error:
        raise StanceError(f"cannot be written: {error.strerror}", path=place) from error
    return model


def _is_whole(place: Path, version: str) -> bool:
    try:
        return (place / "model.yaml").is_file() and load_model(place).version == version
    except StanceError:
        return False


def _made(folder: Path, model: Model, staging: Path) -> Path:
    # Registering a model is nobody else's business.
    os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
    import bentoml
    from bentoml._internal.models import ModelStore

    tag, labels = f"{STORE_NAME}:{model.version}", {"recipe": model.recipe.name}
    with bentoml.models.create(tag, labels=labels, _model_store=ModelStore(staging)) as made:
        for name in ("model.json", *json.loads((folder / "model.json").read_bytes())["files"]):
            shutil.copyfile(folder / name, made.path_of(name))
    inside = staging / STORE_NAME / model.version
    if load_model(inside).version != model.version:
        raise StanceError("was changed while it was copied", path=folder, hint="Try again.")
    for path in (*inside.iterdir(), inside):
        sync(path)
    return inside


@contextmanager
def _staging() -> Iterator[Path]:
    """An empty folder on the store's file system, for one process at a time; what a killed one left in it goes."""
    folder = bentoml_home() / ".stance-staging"
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        _clear(folder)
        yield folder
        _clear(folder)
    finally:
        os.close(handle)


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        shutil.rmtree(path)

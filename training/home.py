"""Where what outlives a command lies: one folder of state, and the BentoML model store beside it."""

from __future__ import annotations

from pathlib import Path

from labels.settings import path_setting

HOME_VARIABLE = "STANCE_HOME"
"""Environment variable that names the folder of state."""

STORE_NAME = "stance"
"""Under which name models stand in the BentoML model store."""


def home_folder() -> Path:
    """`$STANCE_HOME`, else `stance` in `bentoml_home()`. Asking does not make it."""
    return path_setting(HOME_VARIABLE) or bentoml_home() / "stance"


def bentoml_home() -> Path:
    """What BentoML itself takes for its home: `$BENTOML_HOME`, else `~/bentoml`."""
    return path_setting("BENTOML_HOME") or Path.home() / "bentoml"


def stored_model(version: str) -> Path:
    """The folder of a model in the BentoML model store, whether it is there or not."""
    return bentoml_home() / "models" / STORE_NAME / version


def labels_file(home: Path, version: str) -> Path:
    """The label records of a registered model, whether they are there or not."""
    return home / "labels" / f"{version}.jsonl"

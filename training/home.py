"""Where the state of an installation lies: models, labels, jobs, keys and counts of use."""

from __future__ import annotations

import os
from pathlib import Path

HOME_VARIABLE = "STANCE_HOME"
"""Environment variable that names the home folder."""


def home_folder() -> Path:
    """$STANCE_HOME, else $BENTOML_HOME/stance, else ~/bentoml/stance: beside the BentoML model store. Not created."""
    named, store = os.environ.get(HOME_VARIABLE), os.environ.get("BENTOML_HOME")
    return Path(named) if named else (Path(store) if store else Path.home() / "bentoml") / "stance"

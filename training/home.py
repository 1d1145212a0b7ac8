"""Where everything lies that changes while the service is in use: registry, labels, jobs, keys."""

from __future__ import annotations

import os
from pathlib import Path

HOME_VARIABLE = "STANCE_HOME"
"""Environment variable that names the folder."""


def home_folder() -> Path:
    """$STANCE_HOME, else the folder `stance` beside BentoML's model store; asking does not create it."""
    if named := os.environ.get(HOME_VARIABLE):
        return Path(named)
    bentoml_home = os.environ.get("BENTOML_HOME")
    return (Path(bentoml_home) if bentoml_home else Path.home() / "bentoml") / "stance"

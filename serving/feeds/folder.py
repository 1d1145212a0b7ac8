"""Where a collection of feeds lies. Nothing here needs the extra `feeds`, so the service can ask."""

from __future__ import annotations

from pathlib import Path

from labels.settings import path_setting
from training.home import home_folder

FEEDS_VARIABLE = "STANCE_FEEDS"
"""Environment variable that names the folder of the feeds."""

STATE_VARIABLE = "STANCE_FEEDS_STATE"
"""Environment variable that holds the URL of the state, where that is not a file of the folder."""

STATE_FILE = "state.sqlite"


def feeds_folder(named: Path | None = None) -> Path:
    """Where everything of one collection of feeds lies: as named, else $STANCE_FEEDS, else in the home folder."""
    return named or path_setting(FEEDS_VARIABLE) or home_folder() / "feeds"

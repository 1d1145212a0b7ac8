"""What a process must have as its PYTHONPATH to find this project, wherever it is started."""

from __future__ import annotations

import os
from pathlib import Path

PROJECT = Path(__file__).parents[1]


def child_path() -> str:
    """This project first, then what this process was given."""
    return os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH")]))

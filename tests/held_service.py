"""The service with a model that answers when it is allowed to: `bentoml serve tests.held_service:Stance`.

While the file that HELD names is there, texts wait for their answers.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import serving.service
from serving.scoring import score_texts
from serving.service import Stance

__all__ = ["Stance"]

_HELD = Path(os.environ["HELD"])


def _held_back(*given: Any, **named: Any) -> Any:
    while _HELD.exists():
        time.sleep(0.01)
    return score_texts(*given, **named)


serving.service.score_texts = _held_back

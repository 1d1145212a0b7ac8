"""The service with a model that answers when it is allowed to: `bentoml serve tests.held_service:Stance`.

While the file that HELD names is there, turns wait for their answers in which a text has what stands in the file. One
text cannot be answered at all.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import serving.service
from serving.scoring import Asked, score_together
from serving.service import Stance
from training.model_folder import Model

__all__ = ["Stance"]

_HELD, _POISON = Path(os.environ["HELD"]), os.environ["POISON"]


def _holds(asked: Sequence[Asked]) -> bool:
    with contextlib.suppress(FileNotFoundError):
        held = _HELD.read_text()
        return any(held in text for each in asked for text in each.texts)
    return False


def _held_back(model: Model, asked: Sequence[Asked], *more: Any) -> Any:
    while _holds(asked):
        time.sleep(0.01)
    if any(_POISON in each.texts for each in asked):
        raise RuntimeError("the cook has fainted")
    return score_together(model, asked, *more)


serving.service.score_together = _held_back

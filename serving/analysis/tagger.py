"""The tagger of holders that comes with the project; without one, everything goes by rules."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Protocol

import training
from training.holder import Holder

TAGGER_MODULE = "training.holder_tagger"
TAGGER_FOLDER = Path(training.__file__).parent / "holder_model"


class Tagger(Protocol):
    """Tells whose position each sentence voices, read on its own."""

    def tag(self, texts: Sequence[str]) -> Sequence[Holder]: ...


@cache
def shipped_tagger() -> Tagger | None:
    """The tagger that ships, loaded at the first call; None where none does.

    Raises:
        StanceError: it is there and damaged.
    """
    if not TAGGER_FOLDER.is_dir():
        return None
    # By name: this part works where that one was left out.
    tagger: Tagger = importlib.import_module(TAGGER_MODULE).load_tagger(TAGGER_FOLDER)
    return tagger

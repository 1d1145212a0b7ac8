"""The tagger of holders that comes with the project; without one, everything goes by rules."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Protocol

from training.holder import Holder


class Tagger(Protocol):
    """Tells whose position each sentence voices, read on its own."""

    def tag(self, texts: Sequence[str]) -> Sequence[Holder]: ...


@cache
def shipped_tagger() -> Tagger | None:
    """The tagger that ships, loaded at the first call; None where none does.

    Raises:
        StanceError: it is there and damaged.
    """
    from training.holder_tagger import HOLDER_MODEL, load_tagger  # not where a service only scores

    return load_tagger() if HOLDER_MODEL.is_dir() else None

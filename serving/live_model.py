"""The model that a service answers with: the one it was told to, or whichever is champion now.

Nothing of a change is seen from outside: the new champion is loaded and tried beside the old one, and takes its place
by one assignment. Each worker process follows by itself.
"""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Literal

from labels.errors import StanceError
from labels.settings import path_setting
from serving.scoring import score_texts
from training.home import stored_model
from training.model_folder import DEFAULT_MODEL, MODEL_VARIABLE, Model, load_model, shipped_version
from training.registry import Champion, read_champion, read_registry

POLL = 1.0
"""Seconds between two looks at the registry; one takes about a millisecond."""

Source = Literal["named", "champion", "former champion", "shipped"]

_TRIAL = "The ministers agreed to meet again in spring."

_logger = logging.getLogger("bentoml.stance")


@dataclass(frozen=True)
class Live:
    """A model ready to answer.

    Attributes:
        model: with all that it needs in memory.
        source: why this one: STANCE_MODEL names it, the registry does, the registry did (and the champion cannot be
            loaded), or none of these.
    """

    model: Model
    source: Source


class LiveModel:
    """Holds what answers now, and replaces it when another model becomes champion.

    Args:
        home: folder of the registry, see `training.home`.
        watch: given each model before it answers.

    Raises:
        StanceError: the named model cannot be loaded, or the one that ships cannot where it comes to that.
    """

    def __init__(self, home: Path, watch: Callable[[Model], None] | None = None) -> None:
        self._home = home
        self._watch_model = watch or (lambda model: None)
        self._trouble = ""
        # Looked up before anything is loaded: a change meanwhile is one that is still to be followed.
        self._seen = self._champion()
        self.now = first_live(home)
        self._watch_model(self.now.model)
        self._closed = threading.Event()
        if self.now.source != "named":
            threading.Thread(target=self._watch, name="champion", daemon=True).start()

    @property
    def ready(self) -> bool:
        """Whether a model is in memory that has answered once, and nobody has closed this."""
        return not self._closed.is_set()

    def close(self) -> None:
        """Stop following."""
        self._closed.set()

    def _watch(self) -> None:
        while not self._closed.wait(POLL):
            self._follow()

    def _follow(self) -> None:
        champion = self._champion()
        if champion is None or champion == self._seen:
            return
        self._seen = champion
        if champion.version == self.now.model.version:
            self.now = replace(self.now, source="champion")
            return
        try:
            model = _ready(champion.folder, champion.version)
        except Exception as error:
            version, source = self.now.model.version, self.now.source
            self.now = replace(self.now, source="former champion" if source == "champion" else source)
            _logger.error("champion %s cannot be loaded, %s goes on answering: %s", champion.version, version, error)
        else:
            _logger.info("champion %s answers now, in place of %s", champion.version, self.now.model.version)
            self._watch_model(model)
            self.now = Live(model, "champion")
            spare_what_stays()

    def _champion(self) -> Champion | None:
        try:
            champion = read_champion(self._home)
        except StanceError as error:
            # Said once, not every second.
            if str(error) != self._trouble:
                self._trouble = str(error)
                _logger.error("the champion cannot be followed: %s", error)
            return None
        self._trouble = ""
        return champion


def spare_what_stays() -> None:
    """Leave what is in memory now out of the garbage collector's full rounds.

    Those stop all threads until they have looked at every object, a tenth of a second for what modules and a model
    hold, and past capacity there are two a second. What was spared before and is not used any more is freed first.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def first_live(home: Path) -> Live:
    """The model that a service begins with.

    The one that STANCE_MODEL names, and no other; else the champion; where that cannot be loaded, the nearest of those
    before it that can, and at last the one that ships. What could not be loaded is in the log.

    Raises:
        StanceError: the named model, or the one that ships, cannot be loaded.
    """
    if named := path_setting(MODEL_VARIABLE):
        return Live(_ready(named), "named")
    shipped = shipped_version()
    champion, line = _succession(home, shipped)
    for version in takewhile(lambda version: version != shipped, line):
        try:
            model = _ready(stored_model(version), version)
        except Exception as error:
            _logger.error("%s cannot be loaded, so the champion before it is taken: %s", version, error)
        else:
            return Live(model, "champion" if version == champion else "former champion")
    return Live(_ready(DEFAULT_MODEL), "champion" if champion == shipped else "shipped")


def _succession(home: Path, shipped: str) -> tuple[str | None, list[str]]:
    """The champion's version, and all that one would go back through, beginning with it and ending with the shipped."""
    try:
        with read_registry(home) as registry:
            champion = registry.champion() if registry else None
            line = registry.line(shipped) if registry else [shipped]
    except StanceError as error:
        _logger.error("the champion is not known, so the model that ships is taken: %s", error)
        return None, [shipped]
    return (champion.version if champion else None), line[::-1]


def _ready(folder: Path, version: str | None = None) -> Model:
    """A model with all that it needs in memory, that has answered once."""
    model = load_model(folder)
    if version is not None and model.version != version:
        raise StanceError(f"holds {model.version}, not {version}", path=folder)
    model.estimator.load()
    score_texts(model, [_TRIAL])
    return model

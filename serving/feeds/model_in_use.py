"""The model that a run scores with, loaded once, and anew when another becomes champion."""

from __future__ import annotations

from pathlib import Path

from serving.live_model import first_live
from training.model_folder import Model, load_model
from training.registry import Champion, read_champion


class ModelInUse:
    """Holds the model between the rounds of a run that stays up.

    Args:
        home: folder of the registry.
        folder: a model folder to use, whoever is champion.
    """

    def __init__(self, home: Path, folder: Path | None = None) -> None:
        self._home, self._folder = home, folder
        self._model: Model | None = None
        self._seen: Champion | None = None

    def now(self) -> Model:
        """The named model, else that of `first_live`.

        Raises:
            StanceError: it cannot be loaded.
        """
        if self._folder is not None:
            self._model = self._model or load_model(self._folder)
            return self._model
        champion = read_champion(self._home)
        if self._model is None or champion != self._seen:
            self._model, self._seen = first_live(self._home).model, champion
        return self._model

"""The model for propositions in a service: read when it is first asked for, since most services never are."""

from __future__ import annotations

import threading

from training.relation_model import RelationModel, load_relation_model


class LateModel:
    """Holds the model once it was asked for; several requests at once read it once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._model: RelationModel | None = None

    def get(self) -> RelationModel:
        """The model, with all that it needs in memory.

        Raises:
            StanceError: see `load_relation_model`; asked again, it is tried again.
        """
        with self._lock:
            if self._model is None:
                model = load_relation_model()
                model.load()
                self._model = model
            return self._model

"""Other models that a training builds on: teachers, and one to begin with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from labels.errors import StanceError
from training.families import HelpFrom
from training.fine_tuned import FineTunedClassifier
from training.linear import LinearClassifier
from training.model_folder import Model, load_model
from training.outcomes import Progress
from training.teaching import teach


def settings_of(model: Model) -> HelpFrom:
    """What a training by the same recipe need not choose again."""
    estimator = model.estimator
    return HelpFrom(chosen=estimator.choices()) if isinstance(estimator, LinearClassifier) else HelpFrom()


def help_from(
    teachers: Sequence[Path], unit_of: Mapping[str, str], start: Path | None, progress: Progress | None = None
) -> HelpFrom:
    """Ask teachers, and take the adapters of a model.

    Args:
        teachers: their model folders.
        unit_of: what they are asked about, see `teach`.
        start: model folder to begin with.
        progress: told how far the teachers are.

    Raises:
        StanceError: see `load_model` and `teach`; or the model to begin with is not a fine-tuned one.
    """
    models = [load_model(folder) for folder in teachers]
    teaching = teach(models, unit_of, progress) if models else None
    if start is None:
        return HelpFrom(teaching)
    estimator = load_model(start).estimator
    if not isinstance(estimator, FineTunedClassifier):
        raise StanceError("is not a fine-tuned model", path=start, hint="Name one of the family 'fine-tuned'.")
    return HelpFrom(teaching, estimator.adapters())

"""The one shape that every family of classifiers has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, Self

from numpy.typing import NDArray

from labels.taxonomy import Taxonomy
from training.encoder import SentenceEncoder
from training.outcomes import Prediction, Probabilities, Progress

if TYPE_CHECKING:
    from datasets import Dataset  # only training needs it; what serves does not have it


class Estimator(Protocol):
    """A classifier of all targets at once.

    Attributes:
        taxonomy: the order of targets and outcomes on the axes of what `predict` gives.
    """

    taxonomy: Taxonomy

    def fit(self, data: Dataset, progress: Progress | None = None) -> Self:
        """Train on a dataset made by `training.dataset.to_dataset`; the same data give the same classifier."""
        ...

    def predict(self, texts: Sequence[str], progress: Progress | None = None) -> Prediction:
        """Probabilities, not calibrated (`Model.answers` does that), and which texts were cut, from one reading."""
        ...

    def embed(self, texts: Sequence[str], progress: Progress | None = None) -> Any:
        """What its heads see of each text: an array or a sparse matrix of shape (texts, features)."""
        ...

    def held_out_proba(self) -> Probabilities | None:
        """After `fit`: of the training sentences, from classifiers that did not see their group.

        NaN in rows for which no group could be held out; None where the classifier was loaded.
        """
        ...

    def earlier_seconds(self) -> float:
        """What runs that were interrupted had spent on the training that `fit` went on with."""
        ...

    def encoder(self) -> SentenceEncoder | None:
        """What embeds the texts, with what was trained of it; None where words are counted."""
        ...

    def load(self) -> None:
        """Get ready to predict now, rather than at the first text."""
        ...

    def settings(self) -> dict[str, Any]:
        """All that was learnt and is not a tensor, fit for JSON."""
        ...

    def tensors(self) -> dict[str, NDArray[Any]]:
        """What was learnt, by name."""
        ...

"""The linear classifiers: shared features, one logistic regression a target."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Self

from numpy.typing import NDArray

from labels.errors import StanceError
from labels.taxonomy import Taxonomy
from training.features import EncoderFeatures, Featurizer, TfidfFeatures
from training.heads import HeadChoice, LogisticHeads, choose_heads, fit_heads, head_grid
from training.outcomes import Probabilities, Progress

if TYPE_CHECKING:
    from datasets import Dataset

    from training.recipes import Recipe


class LinearClassifier:
    """An `Estimator` of features and logistic heads.

    Args:
        taxonomy: the targets.
        features: what is seen of a text.
        grid: settings of the heads to choose from, per target, on held-out groups.
        folds: into how many parts the groups are dealt for that.
        seed: of the dealing.
    """

    def __init__(
        self, taxonomy: Taxonomy, features: Featurizer, grid: Sequence[HeadChoice], folds: int, seed: int
    ) -> None:
        self.taxonomy = taxonomy
        self._features = features
        self._grid, self._folds, self._seed = grid, folds, seed
        self._heads: LogisticHeads | None = None
        self._held_out: Probabilities | None = None

    def fit(self, data: Dataset, progress: Progress | None = None) -> Self:
        from training.dataset import outcome_matrix, texts_of, units_of

        texts, outcomes = texts_of(data), outcome_matrix(data, self.taxonomy)
        self._features.fit(texts)
        matrix = self._features.transform(texts, progress)
        choices, self._held_out = choose_heads(
            matrix, outcomes, units_of(data), self.taxonomy, self._grid, self._folds, self._seed, progress
        )
        self._heads = fit_heads(matrix, outcomes, self.taxonomy, choices)
        return self

    def predict_proba(self, texts: Sequence[str], progress: Progress | None = None) -> Probabilities:
        return self._trained.predict_proba(self._features.transform(texts, progress))

    @property
    def _trained(self) -> LogisticHeads:
        if self._heads is None:
            raise StanceError("the classifier was not trained yet")
        return self._heads

    def held_out_proba(self) -> Probabilities | None:
        return self._held_out

    def truncated(self, texts: Sequence[str]) -> list[bool]:
        return self._features.truncated(texts)

    def load(self) -> None:
        self._features.load()

    def settings(self) -> dict[str, Any]:
        chosen = {
            target.id: asdict(choice) for target, choice in zip(self.taxonomy, self._trained.choices, strict=True)
        }
        return {"heads": chosen, "features": self._features.settings()}

    def tensors(self) -> dict[str, NDArray[Any]]:
        return {"weights": self._trained.weights, "bias": self._trained.bias, **self._features.tensors()}


_FEATURES: dict[str, Callable[[Mapping[str, Any], Mapping[str, NDArray[Any]], bool], Featurizer]] = {
    "tfidf": TfidfFeatures.restored,
    "frozen-encoder": EncoderFeatures.restored,
}


def new_linear(recipe: Recipe, taxonomy: Taxonomy) -> LinearClassifier:
    """The untrained classifier that a recipe describes."""
    features: Featurizer = (
        EncoderFeatures(recipe.encoder, recipe.layers, cache=True) if recipe.encoder is not None else TfidfFeatures()
    )
    grid = head_grid(recipe.heads.c, recipe.heads.balance)
    return LinearClassifier(taxonomy, features, grid, recipe.folds, recipe.seed)


def restored_linear(
    family: str, taxonomy: Taxonomy, settings: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]], *, cache: bool
) -> LinearClassifier:
    """The trained classifier that `settings()` and `tensors()` of one describe."""
    choices = tuple(HeadChoice(**settings["heads"][target_id]) for target_id in taxonomy.ids)
    classifier = LinearClassifier(
        taxonomy, _FEATURES[family](settings["features"], tensors, cache), choices, folds=0, seed=0
    )
    classifier._heads = LogisticHeads(tensors["weights"], tensors["bias"], choices)
    return classifier

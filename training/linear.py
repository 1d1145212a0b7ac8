"""The linear classifiers: shared features, one logistic regression a target."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Self

from numpy.typing import NDArray

from labels.errors import StanceError
from labels.taxonomy import Taxonomy
from training.encoder import SentenceEncoder
from training.features import EncoderFeatures, Featurizer, TfidfFeatures
from training.heads import HeadChoice, LogisticHeads, choose_heads, fit_heads, head_grid
from training.held_out import folds_of, starts_with_any
from training.outcomes import Prediction, Probabilities, Progress

if TYPE_CHECKING:
    from datasets import Dataset

    from training.recipes import FloorRecipe, FrozenRecipe


class LinearClassifier:
    """An `Estimator` of features and logistic heads.

    Args:
        taxonomy: the targets.
        features: what is seen of a text.
        grids: settings of the heads to choose from on held-out groups, for each target.
        folds: into how many parts the groups are dealt for that.
        seed: of the dealing.
        train_only: beginnings of the sources that are never held out.
    """

    def __init__(
        self,
        taxonomy: Taxonomy,
        features: Featurizer,
        grids: Sequence[Sequence[HeadChoice]],
        folds: int = 0,
        seed: int = 0,
        train_only: Sequence[str] = (),
    ) -> None:
        self.taxonomy = taxonomy
        self._features = features
        self._grids, self._folds, self._seed, self._train_only = grids, folds, seed, train_only
        self._heads: LogisticHeads | None = None
        self._held_out: Probabilities | None = None

    def fit(self, data: Dataset, progress: Progress | None = None) -> Self:
        from training.dataset import column, outcome_matrix, texts_of, units_of

        texts, outcomes = texts_of(data), outcome_matrix(data, self.taxonomy)
        self._features.fit(texts)
        matrix = self._features.transform(texts, progress)
        eligible = ~starts_with_any(column(data, "source"), self._train_only)
        folds = folds_of(units_of(data), eligible, self._folds, self._seed)
        choices, self._held_out = choose_heads(matrix, outcomes, folds, self.taxonomy, self._grids, progress)
        self._heads = fit_heads(matrix, outcomes, self.taxonomy, choices)
        return self

    def predict(self, texts: Sequence[str], progress: Progress | None = None) -> Prediction:
        matrix, truncated = self._features.read(texts, progress)
        return Prediction(self._trained.predict_proba(matrix), truncated)

    def embed(self, texts: Sequence[str], progress: Progress | None = None) -> Any:
        return self._features.transform(texts, progress)

    @property
    def _trained(self) -> LogisticHeads:
        if self._heads is None:
            raise StanceError("the classifier was not trained yet")
        return self._heads

    def earlier_seconds(self) -> float:
        return 0.0

    def held_out_proba(self) -> Probabilities | None:
        return self._held_out

    def encoder(self) -> SentenceEncoder | None:
        return self._features.encoder()

    def load(self) -> None:
        self._features.load()

    def choices(self) -> dict[str, HeadChoice]:
        """The settings of the heads that were chosen, by target."""
        return dict(zip(self.taxonomy.ids, self._trained.choices, strict=True))

    def settings(self) -> dict[str, Any]:
        chosen = {target_id: asdict(choice) for target_id, choice in self.choices().items()}
        return {"heads": chosen, "features": self._features.settings()}

    def tensors(self) -> dict[str, NDArray[Any]]:
        return {"weights": self._trained.weights, "bias": self._trained.bias, **self._features.tensors()}


_FEATURES: dict[str, Callable[[Mapping[str, Any], Mapping[str, NDArray[Any]], bool], Featurizer]] = {
    "tfidf": TfidfFeatures.restored,
    "frozen-encoder": EncoderFeatures.restored,
}


def new_linear(
    recipe: FloorRecipe | FrozenRecipe, taxonomy: Taxonomy, chosen: Mapping[str, HeadChoice] | None = None
) -> LinearClassifier:
    """The untrained classifier that a recipe describes.

    Args:
        chosen: settings of the heads by target, chosen before; those of other targets are still to be chosen.
    """
    known = chosen or {}
    features: Featurizer = (
        TfidfFeatures() if recipe.family == "tfidf" else EncoderFeatures(recipe.encoder, recipe.layers, cache=True)
    )
    grid = head_grid(recipe.heads.c, recipe.heads.balance)
    grids = [(known[target_id],) if target_id in known else grid for target_id in taxonomy.ids]
    return LinearClassifier(taxonomy, features, grids, recipe.folds, recipe.seed, recipe.train_only)


def restored_linear(
    family: str, taxonomy: Taxonomy, settings: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]], *, cache: bool
) -> LinearClassifier:
    """The trained classifier that `settings()` and `tensors()` of one describe."""
    choices = tuple(HeadChoice(**settings["heads"][target_id]) for target_id in taxonomy.ids)
    grids = [(choice,) for choice in choices]
    classifier = LinearClassifier(taxonomy, _FEATURES[family](settings["features"], tensors, cache), grids)
    classifier._heads = LogisticHeads(tensors["weights"], tensors["bias"], choices)
    return classifier

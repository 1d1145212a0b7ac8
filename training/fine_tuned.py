"""The fine-tuned classifiers: an encoder with low-rank adapters and a head a target; predicting needs no torch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from labels.errors import StanceError, needs_package
from labels.taxonomy import Taxonomy
from training.encoder import FIRST, MEAN, SentenceEncoder
from training.encoder_packages import encoder_named
from training.heads import LogisticHeads
from training.held_out import folds_of, starts_with_any
from training.low_rank import Adapted
from training.metrics import confusion, scores
from training.outcomes import Outcomes, Prediction, Probabilities, Progress
from training.recipes import TunedRecipe
from training.runtime import Runtime, chosen_runtime

if TYPE_CHECKING:
    from datasets import Dataset

    from training.lessons import Lesson
    from training.teaching import Teaching


class FineTunedClassifier:
    """An `Estimator` that is trained by `training.fine_tuning`.

    Args:
        taxonomy: the targets.
        recipe: how it is trained.
        teaching: what teachers say of sentences; needed where the recipe distils.
        start: adapters to begin with, instead of none.
    """

    def __init__(
        self,
        taxonomy: Taxonomy,
        recipe: TunedRecipe,
        teaching: Teaching | None = None,
        start: Mapping[str, NDArray[np.floating]] | None = None,
    ) -> None:
        self.taxonomy = taxonomy
        self._recipe, self._teaching, self._start = recipe, teaching, start
        self._teachers = list(teaching.teachers) if teaching else []
        self._package = encoder_named(recipe.encoder)
        # What is trained holds out, decides and is compared in float32, wherever it will run.
        self._runtime: Runtime = "onnx"
        self._encoder: SentenceEncoder | None = None
        self._heads: LogisticHeads | None = None
        self._held_out: Probabilities | None = None
        self._epochs = recipe.tuning.epochs
        self._figures: list[float] = []
        self._earlier = 0.0

    def fit(self, data: Dataset, progress: Progress | None = None) -> Self:
        try:
            from training.checkpoints import Checkpoint, checkpoint_folder, forget, seconds_spent
            from training.fine_tuning import adapt
        except ModuleNotFoundError as error:
            raise needs_package("fine-tuning", error.name, "train,torch") from error
        from training.dataset import column, outcome_matrix, texts_of, units_of
        from training.lessons import lesson_of

        recipe = self._recipe
        texts, outcomes, units = texts_of(data), outcome_matrix(data, self.taxonomy), units_of(data)
        lesson = lesson_of(data, self.taxonomy, recipe, self._teaching)
        folder = checkpoint_folder(self._name_of_training(lesson))
        self._earlier = seconds_spent(folder)

        def trained(what: str, file: str, of: Lesson, epochs: int) -> list[Adapted]:
            return adapt(
                self._package,
                of,
                recipe.tuning,
                recipe.seed,
                epochs=epochs,
                checkpoint=Checkpoint(folder, file),
                start=self._start,
                progress=progress,
                what=what,
            )

        eligible = ~starts_with_any(column(data, "source"), recipe.train_only)
        folds = folds_of(units, eligible, recipe.folds, recipe.seed)[: recipe.held_out_folds]
        # Of every epoch: which one is best is known only when all are made.
        given = np.full((recipe.tuning.epochs, *outcomes.shape, self.taxonomy.width), np.nan)
        learnt: list[Adapted] = []
        for number, (_, test) in enumerate(folds):
            rows, what = test.tolist(), f"fold {number + 1} of {len(folds)}"
            part = lesson.without({units[i] for i in rows})
            learnt = trained(what, f"fold-{number}", part, recipe.tuning.epochs)
            for epoch, adapted in enumerate(learnt):
                given[epoch, rows] = self._taken(adapted).predict([texts[i] for i in rows], progress).probabilities
        self._choose_epochs(given, outcomes, units)
        if recipe.refit or not learnt:
            learnt = trained("all sentences", "all", lesson, self._epochs)
        self._taken(learnt[self._epochs - 1])
        forget(folder)
        return self

    def _choose_epochs(self, given: NDArray[np.float64], outcomes: Outcomes, units: Sequence[str]) -> None:
        known = ~np.isnan(given[0, :, 0, 0])
        self._held_out = given[-1]
        if not known.any():
            return
        held_units = [unit for unit, is_known in zip(units, known.tolist(), strict=True) if is_known]
        for epoch in given:
            table = confusion(outcomes[known], epoch[known].argmax(axis=2), held_units, self.taxonomy.width)
            of = scores(table.sum(axis=0), self.taxonomy)
            self._figures.append(float(np.nanmean([of.mean_macro_f1, of.issue_side_f1, of.issue_pole_f1])))
        self._epochs = int(np.argmax(self._figures)) + 1
        self._held_out = given[self._epochs - 1]

    def _name_of_training(self, lesson: Lesson) -> str:
        """The same for the same training, and for no other."""
        deciding = {"encoder", "seed", "folds", "held_out_folds", "train_only", "tuning", "distillation"}
        digest = hashlib.sha256(self._recipe.model_dump_json(include=deciding).encode())
        digest.update("\0".join(lesson.texts).encode("utf8", "surrogatepass"))
        digest.update(lesson.aims.tobytes())
        for name, tensor in sorted((self._start or {}).items()):
            digest.update(name.encode() + np.ascontiguousarray(tensor).tobytes())
        return digest.hexdigest()[:24]

    def _taken(self, adapted: Adapted) -> Self:
        self._adapted = adapted
        self._encoder = SentenceEncoder(self._package, (MEAN, FIRST), adapters=adapted.adapters, runtime=self._runtime)
        self._heads = LogisticHeads(adapted.weights, adapted.bias, ())
        return self

    def _trained(self) -> tuple[SentenceEncoder, LogisticHeads]:
        if self._encoder is None or self._heads is None:
            raise StanceError("the classifier was not trained yet")
        return self._encoder, self._heads

    def adapters(self) -> Mapping[str, NDArray[np.floating]]:
        """The trained changes of the encoder, for another training to begin with."""
        self._trained()
        return self._adapted.adapters

    def predict(self, texts: Sequence[str], progress: Progress | None = None) -> Prediction:
        embedded = self._trained()[0].read(texts, progress)
        return Prediction(self.judge(embedded.vectors), embedded.truncated)

    def embed(self, texts: Sequence[str], progress: Progress | None = None) -> NDArray[np.float32]:
        return self._trained()[0].embed(texts, progress)

    def judge(self, vectors: NDArray[np.float32]) -> Probabilities:
        """Probabilities, not calibrated, of texts that the encoder has read: shape (texts, 2 × dimensions)."""
        return self._trained()[1].predict_proba(vectors)

    def earlier_seconds(self) -> float:
        return self._earlier

    def held_out_proba(self) -> Probabilities | None:
        return self._held_out

    def encoder(self) -> SentenceEncoder:
        return self._trained()[0]

    def load(self) -> None:
        self._trained()[0].load()

    def settings(self) -> dict[str, Any]:
        return {
            "epochs": self._epochs,
            "held_out_figure_by_epoch": self._figures,
            "teachers": self._teachers,
            "features": {"encoder": self._recipe.encoder, **self._package.about()},
        }

    def tensors(self) -> dict[str, NDArray[Any]]:
        self._trained()
        return dict(self._adapted.tensors())


def restored_fine_tuned(
    recipe: TunedRecipe, taxonomy: Taxonomy, settings: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]
) -> FineTunedClassifier:
    """The trained classifier that `settings()` and `tensors()` of one describe."""
    classifier = FineTunedClassifier(taxonomy, recipe)
    classifier._package.check_same(settings["features"])
    classifier._epochs, classifier._figures = settings["epochs"], settings["held_out_figure_by_epoch"]
    classifier._teachers, classifier._runtime = settings["teachers"], chosen_runtime()
    return classifier._taken(Adapted.restored(tensors))

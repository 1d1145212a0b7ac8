"""One training of the model for issues without labels: arguments first, then issues, each issue left out in turn."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from labels.errors import StanceError, needs_package
from labels.wordings import Wordings
from training.encoder_packages import encoder_named
from training.features import EncoderFeatures
from training.low_rank import Adapted
from training.outcomes import Progress
from training.pairs import Arguments, IssueSentences, PairLesson, argument_pairs, lesson_of_issues
from training.relation_model import Nearness, cosines
from training.relation_recipe import RelationRecipe

if TYPE_CHECKING:
    from training.recipes import TuningSettings


@dataclass(frozen=True)
class Taught:
    """What is learnt from.

    Attributes:
        sentences: labelled for issues.
        wordings: of the issues.
        arguments: public ones; none where empty.
        further: propositions beyond the issues.
    """

    sentences: IssueSentences
    wordings: Mapping[str, Wordings]
    arguments: Arguments
    further: Arguments


class RelationTraining:
    """Trainings of one recipe on one set of data, each kept in the cache folder until `forget`.

    Args:
        recipe: how.
        taught: from what.
        progress: told how far each training is.

    Raises:
        StanceError: torch is not installed.
    """

    def __init__(self, recipe: RelationRecipe, taught: Taught, progress: Progress | None = None) -> None:
        try:
            from training import checkpoints, fine_tuning
        except ModuleNotFoundError as error:
            raise needs_package("training on pairs", error.name, "train,torch") from error
        self._checkpoints, self._fine_tuning = checkpoints, fine_tuning
        self._recipe, self._taught, self._progress = recipe, taught, progress
        self._package = encoder_named(recipe.encoder)
        self._folders: list[Path] = []
        self._arguments: Adapted | None = None

    def learn(self, what: str, rows: NDArray[np.intp], left_out: str | None = None) -> Adapted:
        """Train on some of the sentences.

        Args:
            what: the name of this training in `progress`.
            rows: the sentences.
            left_out: issue that nothing is learnt of.

        Raises:
            StanceError: no sentence among them touches an issue, or there is nothing to learn from.
        """
        lesson = self.lesson(rows, left_out)
        before = self._of_arguments()
        if not self._recipe.issues.learn:
            if before is None:
                raise StanceError("this recipe learns from arguments alone", hint="Name some with --arguments.")
            return before
        return self._adapted(what, lesson, self._recipe.issues.tuning, before.adapters if before else None)

    def lesson(self, rows: NDArray[np.intp], left_out: str | None = None) -> PairLesson:
        """What `learn` learns last, after arguments."""
        how, taught = self._recipe.issues, self._taught
        sentences = taught.sentences.rows(rows).without(left_out)
        if not (sentences.outcomes > 0).any():
            raise StanceError(
                "no training sentence touches an issue" + (f" other than '{left_out}'" if left_out else ""),
                hint="Label some, for two issues at least; or name the corpus with --corpus.",
            )
        return lesson_of_issues(
            sentences,
            taught.wordings,
            taught.arguments,
            taught.further,
            passes=how.passes,
            most_of_issue=how.most_of_issue,
            argument_share=how.argument_share,
            further_share=how.further_share,
            seed=self._recipe.seed,
        )

    def _of_arguments(self) -> Adapted | None:
        how, arguments = self._recipe.arguments, self._taught.arguments
        if not arguments.texts or self._arguments:
            return self._arguments
        random = np.random.default_rng(self._recipe.seed)
        drawn = argument_pairs(arguments, how.pairs, random)
        if not self._recipe.issues.learn:
            drawn += argument_pairs(self._taught.further, round(how.pairs * self._recipe.issues.further_share), random)
        self._arguments = self._adapted("arguments", PairLesson.of(drawn), how.tuning, None)
        return self._arguments

    def _adapted(
        self, what: str, lesson: PairLesson, tuning: TuningSettings, start: Mapping[str, NDArray[np.floating]] | None
    ) -> Adapted:
        folder = self._checkpoints.checkpoint_folder(self._name(lesson, tuning, start))
        self._folders.append(folder)
        return self._fine_tuning.adapt(
            self._package,
            lesson,
            tuning,
            self._recipe.seed,
            epochs=tuning.epochs,
            checkpoint=self._checkpoints.Checkpoint(folder, "pairs"),
            start=start,
            progress=self._progress,
            what=what,
        )[-1]

    def _name(
        self, lesson: PairLesson, tuning: TuningSettings, start: Mapping[str, NDArray[np.floating]] | None
    ) -> str:
        """The same for the same training, and for no other."""
        digest = hashlib.sha256(f"{self._recipe.encoder} {self._recipe.seed} {tuning.model_dump_json()}".encode())
        for pair in lesson.texts:
            digest.update("\0".join((*pair, "")).encode("utf8", "surrogatepass"))
        digest.update(lesson.aims.tobytes())
        for name, tensor in sorted((start or {}).items()):
            digest.update(name.encode() + np.ascontiguousarray(tensor).tobytes())
        return f"pairs-{digest.hexdigest()[:24]}"

    def nearness(self, lesson: PairLesson) -> Nearness:
        """What best tells related pairs of a lesson from others by the cosine of their embeddings."""
        from sklearn.linear_model import LogisticRegression

        features = EncoderFeatures(self._recipe.encoder, [self._package.layers], cache=True)
        model = LogisticRegression().fit(cosines(features.encoder(), lesson.texts)[:, None], lesson.aims[:, 0, 0] < 0.5)
        return float(model.coef_[0, 0]), float(model.intercept_[0])

    def forget(self) -> None:
        """Remove what was kept to go on from after an interruption."""
        for folder in self._folders:
            self._checkpoints.forget(folder)

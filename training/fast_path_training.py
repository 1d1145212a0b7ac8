"""Making a model its fast path: a student that learns from it, and how much of it may be trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from labels.errors import StanceError
from training.answers import Answers, fit_rules
from training.dataset import column, fingerprint, outcome_matrix, texts_of, units_of
from training.encoder import SentenceEncoder
from training.fast_path import FastPath, Gate, counts_of, plain_ids
from training.fast_path_figures import gated_figures, lost, lost_at_most
from training.held_out import folds_of, starts_with_any
from training.metrics import confusion
from training.model_folder import Model
from training.outcomes import NOT_READ, Outcomes, Probabilities, Progress
from training.recipes import TunedRecipe
from training.static_student import StaticStudent
from training.static_training import StudentSettings, train_student
from training.taught import kept_probabilities

SHARES = tuple(step / 20 for step in range(1, 20))
"""Shares of the held-out sentences that a gate is tried at, the least first, fixed beforehand."""

MOST_LOST = 0.01
"""Macro-F1, mean over targets, that the fast path may lose."""


@dataclass(frozen=True)
class _Lesson:
    """Texts, as token ids, and the probabilities that should come out for them."""

    ids: Sequence[Sequence[int]]
    units: Sequence[str]
    aims: NDArray[np.float32]

    def rows(self, chosen: Sequence[int]) -> _Lesson:
        return _Lesson([self.ids[i] for i in chosen], [self.units[i] for i in chosen], self.aims[list(chosen)])


def train_fast_path(
    model: Model,
    part: Dataset,
    unit_of: Mapping[str, str],
    settings: StudentSettings | None = None,
    progress: Progress | None = None,
) -> FastPath:
    """Train a student of the model, and open its gate as far as held-out sentences allow.

    One student learns without the groups that the model held out when it was trained. What it says of them is
    calibrated and decided as the model's own answers are, and put in the place of the model's own held-out answers,
    the cheapest first (`Gate.costs`): the gate opens as long as the macro-F1 that is lost stays below MOST_LOST, with
    90% confidence. The student that is kept learns from all sentences, with those rules and that gate. What the teacher
    says of the other groups may owe a little to the held-out labels, which it was trained on in the end.

    Args:
        model: the teacher.
        part: the sentences that the model was trained on.
        unit_of: texts and the group of each: those, and others without labels.
        settings: of the student.
        progress: told how far it is.

    Raises:
        StanceError: the model has no encoder, held nothing out, or was trained on other sentences.
    """
    encoder = model.estimator.encoder()
    if encoder is None:
        raise StanceError(f"the model {model.version} has no encoder: nothing is faster than it is")
    held = held_out_rows(model, part)
    chosen = settings or StudentSettings()
    taught = kept_probabilities(model, list(unit_of), progress)
    lesson = _lesson(part, model, encoder, unit_of, taught, chosen)
    outcomes, units = outcome_matrix(part, model.taxonomy), units_of(part)
    texts = texts_of(part)
    vectors = encoder.token_vectors()
    seed = model.recipe.seed

    inside = {units[row] for row in held.tolist()}
    rest = lesson.rows([i for i, unit in enumerate(lesson.units) if unit not in inside])
    if not len(rest.ids):
        raise StanceError("every group was held out when the model was trained, so there is none to learn from")
    blind = train_student(rest.ids, rest.aims, vectors, chosen, seed, progress, "a student to be checked")
    ids = [plain_ids(each) for each in encoder.tokenize([texts[row] for row in held.tolist()])]
    gate_counts = counts_of(outcomes, model.taxonomy.width)
    fast_path = _checked(blind, ids, model, gate_counts)
    whole = train_student(lesson.ids, lesson.aims, vectors, chosen, seed, progress, "the student")
    return replace(fast_path, student=whole)


def held_out_rows(model: Model, part: Dataset) -> NDArray[np.intp]:
    """Which of its training sentences the model held out, in the order of `Model.held_out`.

    Raises:
        StanceError: it was trained on other sentences, or held none out.
    """
    if fingerprint(part) != model.data["fingerprint"]:
        raise StanceError(
            f"these are not the sentences that {model.version} was trained on",
            hint="Name its label files with --labels, and the corpus with --corpus.",
        )
    recipe, units = model.recipe, units_of(part)
    eligible = ~starts_with_any(column(part, "source"), recipe.train_only)
    folds = folds_of(units, eligible, recipe.folds, recipe.seed)
    made = recipe.held_out_folds if isinstance(recipe, TunedRecipe) else len(folds)
    rows = np.sort(np.concatenate([held for _, held in folds[:made]] or [np.zeros(0, np.intp)]))
    if not len(rows) or not np.array_equal(outcome_matrix(part, model.taxonomy)[rows], model.held_out.outcomes):
        raise StanceError(f"{model.version} does not say which sentences it held out", hint="Train it again.")
    return rows


def _lesson(
    part: Dataset,
    model: Model,
    encoder: SentenceEncoder,
    unit_of: Mapping[str, str],
    taught: Probabilities,
    settings: StudentSettings,
) -> _Lesson:
    row_of = {text: row for row, text in enumerate(texts_of(part))}
    outcomes = outcome_matrix(part, model.taxonomy)
    aims = taught.astype(np.float32)
    for i, text in enumerate(unit_of):
        if text in row_of:
            gold = outcomes[row_of[text]]
            read = np.flatnonzero(gold != NOT_READ)
            aims[i, read] *= 1 - settings.label_share
            aims[i, read, gold[read]] += settings.label_share
    ids = [plain_ids(each) for each in encoder.tokenize(list(unit_of))]
    lesson = _Lesson(ids, list(unit_of.values()), aims)
    return lesson.rows([i for i, each in enumerate(ids) if each])


def _checked(student: StaticStudent, ids: Sequence[Sequence[int]], model: Model, counts: NDArray[np.int64]) -> FastPath:
    """The fast path of a student that has not seen the held-out sentences."""
    held, taxonomy, recipe = model.held_out, model.taxonomy, model.recipe
    given = student.predict_proba(ids)
    fitted = fit_rules(given, held.outcomes, held.units, taxonomy, recipe)
    theirs = model.rules.answers(held.probabilities.astype(np.float64), taxonomy)
    # Cross-fitted labels, so that no sentence is answered by a rule that was chosen on it.
    own = fitted.rules.answers(given, taxonomy)
    own = replace(own, outcomes=np.where(fitted.labels == NOT_READ, own.outcomes, fitted.labels))
    costs = Gate(counts, 0.0).costs(own, taxonomy)

    def tables(most: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        mixed = np.where((costs <= most)[:, None], own.outcomes, theirs.outcomes)
        before, after = (
            confusion(held.outcomes, answered, held.units, taxonomy.width) for answered in (theirs.outcomes, mixed)
        )
        return before, after

    curve: list[dict[str, Any]] = []
    most = -1.0
    closed = False
    for share in SHARES:
        tried = float(np.quantile(costs, share))
        before, after = tables(tried)
        bound = lost_at_most(before, after, taxonomy, seed=recipe.seed)
        closed = closed or bound > MOST_LOST
        most = most if closed else tried
        curve.append(
            {"share": share, "most": tried, "opened": not closed, "bound": bound}
            | lost(before, after, taxonomy, seed=recipe.seed)
        )
    return FastPath(
        model=model.version,
        student=student,
        rules=fitted.rules,
        gate=Gate(counts, most),
        figures={
            "held_out": _figures(own, theirs, costs <= most, held.outcomes, held.units, model),
            "curve": curve,
            "most_lost": MOST_LOST,
        },
    )


def _figures(
    own: Answers, theirs: Answers, fast: NDArray[np.bool_], gold: Outcomes, units: Sequence[str], model: Model
) -> dict[str, Any]:
    return gated_figures(own, theirs, fast, gold, units, model.taxonomy, seed=model.recipe.seed)

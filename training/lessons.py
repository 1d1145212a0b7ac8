"""What a network learns: sentences, and the probabilities that should come out for them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from labels.taxonomy import Taxonomy
from training.dataset import column, outcome_matrix, texts_of, units_of
from training.heads import nothing_read
from training.held_out import starts_with_any
from training.outcomes import NOT_READ, Outcomes
from training.recipes import Distillation, TunedRecipe, TuningSettings

if TYPE_CHECKING:
    from training.teaching import Teaching


@dataclass(frozen=True)
class Lesson:
    """What is to be learnt.

    Attributes:
        texts: the sentences.
        units: the group of each.
        aims: shape (texts, targets, width): the probabilities that should come out, times what the sentence counts;
            zeros where it was not read for a target.
    """

    texts: Sequence[str]
    units: Sequence[str]
    aims: NDArray[np.float32]

    def without(self, units: Collection[str]) -> Lesson:
        """The lesson without the sentences of some groups."""
        kept = [i for i, unit in enumerate(self.units) if unit not in units]
        return Lesson([self.texts[i] for i in kept], [self.units[i] for i in kept], self.aims[kept])


def lesson_of(data: Dataset, taxonomy: Taxonomy, recipe: TunedRecipe, teaching: Teaching | None) -> Lesson:
    """The lesson of labelled sentences, and of what teachers say of them and of others.

    Raises:
        StanceError: no sentence was read for a target.
    """
    outcomes = outcome_matrix(data, taxonomy)
    counts = _counts(column(data, "source"), recipe.tuning)
    aims = _aims(outcomes, taxonomy, recipe.tuning)
    lesson = Lesson(texts_of(data), units_of(data), aims * counts[:, None, None])
    if recipe.distillation is None or teaching is None:
        return lesson
    return _taught(lesson, counts, recipe.distillation, teaching)


def _counts(sources: Sequence[str | None], settings: TuningSettings) -> NDArray[np.float32]:
    counts = np.ones(len(sources), np.float32)
    for prefix, count in settings.weights.items():
        counts[starts_with_any(sources, [prefix])] = count
    return counts


def _aims(outcomes: Outcomes, taxonomy: Taxonomy, settings: TuningSettings) -> NDArray[np.float32]:
    aims = np.zeros((*outcomes.shape, taxonomy.width), np.float32)
    for t, target in enumerate(taxonomy):
        k = len(target.outcomes)
        read = np.flatnonzero(outcomes[:, t] != NOT_READ)
        if not len(read):
            raise nothing_read(target)
        gold = outcomes[read, t]
        counts = np.maximum(np.bincount(gold, minlength=k), 1)
        balance = (len(gold) / (k * counts)) ** settings.balance
        # Whatever the balance, a target weighs as much as another.
        balance *= len(gold) / (balance * np.bincount(gold, minlength=k)).sum()
        aims[read, t, :k] = settings.smoothing / k
        aims[read, t, gold] += 1 - settings.smoothing
        aims[read, t] *= balance[gold, None]
    return aims


def _taught(lesson: Lesson, counts: NDArray[np.float32], how: Distillation, teaching: Teaching) -> Lesson:
    row_of = {text: i for i, text in enumerate(teaching.texts)}
    given = teaching.probabilities.astype(np.float32)
    aims = lesson.aims.copy()
    # What no teacher answers is learnt from labels alone.
    share = np.where(teaching.known, how.label_share, 1).astype(np.float32)[:, None]
    for i, text in enumerate(lesson.texts):
        if text in row_of:
            aims[i] = share * aims[i] + (1 - share) * counts[i] * given[row_of[text]]
    labelled = set(lesson.texts)
    more = [i for i, text in enumerate(teaching.texts) if how.unlabelled and text not in labelled]
    return Lesson(
        [*lesson.texts, *(teaching.texts[i] for i in more)],
        [*lesson.units, *(teaching.units[i] for i in more)],
        np.concatenate([aims, given[more]]),
    )

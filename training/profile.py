"""What a model said of texts, counted: from the counts no text can be had back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from labels.taxonomy import Taxonomy
from training.answers import Answers
from training.marks import count_words
from training.model_folder import Model

BINS = 10
"""Of the confidence, from 0 to 1, equally wide."""

What = Literal["outcomes", "confidence", "abstained", "words"]
Measure = tuple[str, What]
"""Target and what is counted of its answers. Words are of no target, which is the empty string."""

WORDS: Measure = ("", "words")
Row = tuple[str, str, int, int]
"""Target, what is counted, number of the cell, count."""


@dataclass(frozen=True)
class Said:
    """What a model said of texts, text by text.

    Attributes:
        outcomes: shape (texts, targets): the label, as an index into each target's `outcomes`.
        bins: same shape: which tenth the highest calibrated probability lies in.
        abstained: same shape: whether the label is marked as not sure enough.
        words: shape (texts, 2): how many of its words stand in a training sentence, and how many in none; zeros where
            the model does not know the words of its training sentences.
    """

    outcomes: NDArray[np.int8]
    bins: NDArray[np.int8]
    abstained: NDArray[np.bool_]
    words: NDArray[np.int64]

    def rows(self, chosen: NDArray[np.intp]) -> Said:
        """Of some of the texts, of each as often as it is named."""
        return Said(self.outcomes[chosen], self.bins[chosen], self.abstained[chosen], self.words[chosen])

    def tensors(self) -> dict[str, NDArray[np.generic]]:
        """All of it by name."""
        return {"outcomes": self.outcomes, "bins": self.bins, "abstained": self.abstained, "words": self.words}


def said(model: Model, texts: Sequence[str], given: Answers) -> Said:
    """What a model said, made of what it answered about these texts."""
    known = model.trained_on.get("words")
    words = np.zeros((len(texts), 2), np.int64) if known is None else count_words(texts, known)
    bins = np.minimum((given.probabilities.max(axis=2) * BINS).astype(np.int8), BINS - 1)
    return Said(given.outcomes.astype(np.int8), bins, given.abstained, words)


def counted(given: Said, taxonomy: Taxonomy, group: NDArray[np.intp]) -> dict[Measure, NDArray[np.int64]]:
    """Counts of every measure by group of texts; shape (groups, cells).

    Cells are the target's outcomes in their order, the tenths of confidence, sure and abstained, known and unknown.

    Args:
        given: what was said.
        taxonomy: of the model that said it.
        group: number of each text's group, shape (texts,).
    """
    groups = int(group.max(initial=-1)) + 1

    def table(places: NDArray[Any], cells: int) -> NDArray[np.int64]:
        flat = np.bincount(group * cells + places.astype(np.intp), minlength=groups * cells)
        return flat.astype(np.int64).reshape(groups, cells)

    found: dict[Measure, NDArray[np.int64]] = {}
    for t, target in enumerate(taxonomy):
        found[target.id, "outcomes"] = table(given.outcomes[:, t], len(target.outcomes))
        found[target.id, "confidence"] = table(given.bins[:, t], BINS)
        found[target.id, "abstained"] = table(given.abstained[:, t], 2)
    if given.words.any():
        found[WORDS] = np.zeros((groups, 2), np.int64)
        np.add.at(found[WORDS], group, given.words)
    return found


@dataclass(frozen=True)
class Profile:
    """Counts of what one model said. Two add up to that of the texts of both.

    Attributes:
        texts: how many there were.
        counts: see `counted`; a measure that is not there was never counted.
    """

    texts: int
    counts: Mapping[Measure, tuple[int, ...]]

    def __add__(self, other: Profile) -> Profile:
        """Raises ValueError where the two are of models with other outcomes."""
        both = {**self.counts, **other.counts}
        for measure in self.counts.keys() & other.counts.keys():
            pairs = zip(self.counts[measure], other.counts[measure], strict=True)
            both[measure] = tuple(one + more for one, more in pairs)
        return Profile(self.texts + other.texts, both)

    def by_measure(self) -> dict[Measure, NDArray[np.float64]]:
        """Counts by cell, as numbers to reckon with."""
        return {measure: np.array(counts, np.float64) for measure, counts in self.counts.items()}

    def rows(self) -> list[Row]:
        """All counts, zeros as well, one by one: what goes to disk, and into JSON."""
        cells = [(*measure, n, count) for measure, counts in self.counts.items() for n, count in enumerate(counts)]
        return [("", "texts", 0, self.texts), *cells]


NOTHING = Profile(0, {})


def profile_of(given: Said, taxonomy: Taxonomy) -> Profile:
    """The counts of all texts together."""
    texts = len(given.outcomes)
    if not texts:
        return NOTHING
    tables = counted(given, taxonomy, np.zeros(texts, np.intp))
    return Profile(texts, {measure: tuple(table[0].tolist()) for measure, table in tables.items()})


def profile_from(rows: Iterable[Sequence[Any]]) -> Profile:
    """What `Profile.rows` gave, in any order.

    Raises:
        ValueError: it did not give that.
    """
    texts, cells = 0, dict[Measure, dict[int, int]]()
    for target, what, place, count in rows:
        if what == "texts":
            texts = int(count)
        else:
            cells.setdefault((target, what), {})[int(place)] = int(count)
    for measure, places in cells.items():
        if sorted(places) != list(range(len(places))):
            raise ValueError(f"counts of {measure} lack a cell")
    return Profile(texts, {measure: tuple(places[n] for n in sorted(places)) for measure, places in cells.items()})

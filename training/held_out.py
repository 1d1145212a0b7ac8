"""Holding out groups: which sentences are scored by a classifier that did not see their group, and what it says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from training.outcomes import Outcomes, Probabilities

Fold = tuple[NDArray[np.intp], NDArray[np.intp]]
"""Rows to train on, rows that are held out."""

CROSS_FIT_FOLDS = 5


@dataclass(frozen=True)
class HeldOut:
    """What a classifier says of training sentences whose group it had not seen: answers are decided on them.

    Attributes:
        probabilities: not calibrated; shape (sentences, targets, width).
        outcomes: what was labelled, shape (sentences, targets).
        groups: a number for the group of each.
    """

    probabilities: NDArray[np.float32]
    outcomes: Outcomes
    groups: NDArray[np.int32]

    @classmethod
    def of(cls, given: Probabilities | None, outcomes: Outcomes, units: Sequence[str], width: int) -> Self:
        """Of the sentences that were held out.

        Args:
            given: NaN in rows of sentences that were not; None where none was.
            outcomes: of all sentences.
            units: of all sentences.
            width: number of outcomes.
        """
        if given is None:
            given = np.full((*outcomes.shape, width), np.nan)
        rows = np.flatnonzero(~np.isnan(given[:, 0, 0]))
        groups = np.unique(np.asarray(units), return_inverse=True)[1]
        return cls(given[rows].astype(np.float32), outcomes[rows], groups[rows].astype(np.int32))

    @property
    def units(self) -> list[str]:
        """The groups as names."""
        return [str(group) for group in self.groups.tolist()]

    def tensors(self) -> dict[str, NDArray[np.generic]]:
        """All of it by name."""
        return {"probabilities": self.probabilities, "outcomes": self.outcomes, "groups": self.groups}

    @classmethod
    def restored(cls, tensors: Mapping[str, NDArray[np.generic]]) -> Self:
        """What `tensors` gave."""
        return cls(tensors["probabilities"], tensors["outcomes"], tensors["groups"])  # type: ignore[arg-type]


def folds_of(units: Sequence[str], eligible: NDArray[np.bool_], folds: int, seed: int) -> list[Fold]:
    """Deal the groups of the eligible rows into parts, each held out once.

    Args:
        units: the group of each row.
        eligible: rows that may be held out; the others are always trained on.
        folds: how many parts, fewer where there are fewer groups.
        seed: of the dealing.

    Returns:
        the folds; none where the eligible rows are of fewer than two groups.
    """
    from sklearn.model_selection import GroupKFold  # what serves needs none of it

    rows = np.flatnonzero(eligible)
    groups = [units[i] for i in rows.tolist()]
    distinct = len(set(groups))
    if distinct < 2:
        return []
    splitter = GroupKFold(min(folds, distinct), shuffle=True, random_state=seed)
    held = [rows[test] for _, test in splitter.split(rows, groups=groups)]
    dealt: list[Fold] = []
    for test in held:
        inside = {units[i] for i in test.tolist()}
        dealt.append((np.array([i for i, unit in enumerate(units) if unit not in inside], np.intp), test))
    return dealt


def cross_fit_folds(units: Sequence[str], seed: int) -> list[Fold]:
    """Folds for what is fitted on held-out sentences and then checked on others of them.

    Returns:
        `CROSS_FIT_FOLDS` folds by group; none where there are fewer groups than that.
    """
    if len(set(units)) < CROSS_FIT_FOLDS:
        return []
    return folds_of(units, np.ones(len(units), bool), CROSS_FIT_FOLDS, seed)


def starts_with_any(sources: Sequence[str | None], prefixes: Sequence[str]) -> NDArray[np.bool_]:
    """Which sources begin with one of the prefixes."""
    return np.array([(source or "").startswith(tuple(prefixes)) for source in sources], bool)

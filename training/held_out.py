"""Holding out groups: which sentences are scored by a classifier that did not see their group."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

Fold = tuple[NDArray[np.intp], NDArray[np.intp]]
"""Rows to train on, rows that are held out."""

CROSS_FIT_FOLDS = 5


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

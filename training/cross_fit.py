"""Folds of whole groups, so that what is fitted on held-out sentences is itself checked on others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

Fold = tuple[NDArray[np.intp], NDArray[np.intp]]
"""Rows to fit on, and rows to check on."""

FOLDS = 5


def folds_of(units: Sequence[str], seed: int) -> list[Fold]:
    """The rows dealt into `FOLDS` parts by group; none where there are fewer groups than that."""
    if len(set(units)) < FOLDS:
        return []
    splitter = GroupKFold(FOLDS, shuffle=True, random_state=seed)
    return list(splitter.split(np.zeros(len(units)), groups=np.asarray(units)))

"""Abstention: which answers are sure enough that at most a stated share of them is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.bounds import upper_bound
from training.calibration import Gold

DELTA = 0.1
"""Probability that the stated rate is exceeded, for each threshold that is chosen."""

GRID = (0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5, 0.45, 0.4, 0.35, 0.0)
"""Confidences to choose from, the highest first, fixed beforehand."""

FEWEST = 30
"""Held-out answers that a confidence must leave to be tried: of fewer, no bound could be met."""

_UNRELATED = 0
"""The first outcome of every target (`Target.outcomes`)."""


@dataclass(frozen=True)
class Abstention:
    """The least confidence of an answer that is sure enough.

    Two thresholds a target: in one, the many sentences that do not touch it would hide the errors on the few that do.

    Attributes:
        unrelated: for the answer "unrelated"; None where no confidence is enough.
        touched: for all other answers; None likewise.
    """

    unrelated: float | None = None
    touched: float | None = None

    def abstains(self, labels: NDArray[np.integer], confidences: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which answers are not sure enough.

        Args:
            labels: shape (sentences,), indices into the target's outcomes.
            confidences: calibrated probability of each label.
        """
        least = [np.inf if value is None else value for value in (self.unrelated, self.touched)]
        return np.asarray(confidences < np.where(labels == _UNRELATED, *least))

    def as_dict(self) -> dict[str, float | None]:
        return asdict(self)


def abstain(
    error_rate: float, labels: NDArray[np.integer], confidences: NDArray[np.float64], gold: Gold, units: Sequence[str]
) -> tuple[Abstention, dict[str, Any]]:
    """Thresholds that keep the share of wrong answers at the stated rate or below, where there are any.

    Selective classification with guaranteed risk (Geifman & El-Yaniv 2017, "Selective Classification for Deep Neural
    Networks"), its thresholds tried in a fixed order, so that no confidence is spent on trying many (fixed sequence
    testing: Angelopoulos et al. 2021, "Learn then Test"): beginning with the highest confidence that leaves 30
    answers, thresholds are lowered as long as an upper bound of the share of wrong answers, at confidence 1 − 0.1,
    is no more than the rate. The bound is exact for independent sentences. Sentences of one document are not
    independent, so it is taken at an effective sample size (`training.bounds.upper_bound`), and the guarantee is
    approximate; and it speaks of sentences like those that were held out, not of other disputes or outlets.

    Args:
        error_rate: what is tolerated among the answers of each kind.
        labels: held-out answers, shape (sentences,).
        confidences: calibrated probability of each.
        gold: what they should have been.
        units: their groups.

    Returns:
        the thresholds, and figures fit for JSON for each kind of answers: `threshold` (None: always abstains),
        `answered` of `sentences`, and the share of `wrong` among the answered with its `bound`.
    """
    groups = np.unique(np.asarray(units), return_inverse=True)[1]
    unrelated = labels == _UNRELATED
    kinds = {"unrelated": unrelated, "touched": ~unrelated}
    figures = {
        kind: _lowest(error_rate, confidences[rows], labels[rows] != gold[rows], groups[rows])
        for kind, rows in kinds.items()
    }
    return Abstention(**{kind: found["threshold"] for kind, found in figures.items()}), figures


def _lowest(
    error_rate: float, confidences: NDArray[np.float64], wrong: NDArray[np.bool_], groups: NDArray[np.intp]
) -> dict[str, Any]:
    found: dict[str, Any] = {"threshold": None, "answered": 0, "sentences": len(wrong), "wrong": None, "bound": None}
    for threshold in GRID:
        sure = confidences >= threshold
        if sure.sum() < FEWEST:
            continue
        bound = upper_bound(wrong[sure], groups[sure], DELTA)
        if bound > error_rate:
            break
        found |= {
            "threshold": threshold,
            "answered": int(sure.sum()),
            "wrong": round(float(wrong[sure].mean()), 4),
            "bound": round(bound, 4),
        }
    return found

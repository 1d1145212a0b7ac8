"""One logistic regression a target, over features that all targets share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labels.errors import StanceError
from labels.taxonomy import Target, Taxonomy
from training.held_out import Fold
from training.metrics import confusion, scores
from training.outcomes import NOT_READ, Outcomes, Probabilities, Progress, softmax

Features = Any
"""A matrix of shape (sentences, features), dense (numpy) or sparse (scipy)."""


@dataclass(frozen=True)
class HeadChoice:
    """What was chosen for one target.

    Attributes:
        c: inverse strength of the L2 penalty.
        balance: exponent of the class weights (n / (k · n_class)); 0 leaves classes as they are, 1 is "balanced".
    """

    c: float
    balance: float


@dataclass(frozen=True)
class LogisticHeads:
    """Trained heads.

    Attributes:
        weights: shape (targets, width, features).
        bias: shape (targets, width); −inf for outcomes that a target lacks or that never stood in training.
        choices: per target, what it was trained with.
    """

    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    choices: tuple[HeadChoice, ...]

    def predict_proba(self, features: Features) -> Probabilities:
        """Softmax over each target's outcomes."""
        targets, width, _ = self.weights.shape
        # One product for all targets; sparse features keep their own multiplication.
        logits = np.asarray(features @ self.weights.reshape(targets * width, -1).T, np.float64)
        return softmax(logits.reshape(-1, targets, width) + self.bias)


# Loose is enough to tell settings apart; tight, rounding of one machine or another no longer shows in the answers.
_CHOOSING, _FINAL = 1e-4, 1e-6


def fit_heads(
    features: Features,
    outcomes: Outcomes,
    taxonomy: Taxonomy,
    choices: Sequence[HeadChoice],
    tolerance: float = _FINAL,
) -> LogisticHeads:
    """Train a head a target on the sentences that were read for it.

    Args:
        tolerance: gradient below which the optimisation counts as done.

    Raises:
        StanceError: no sentence was read for a target.
    """
    from joblib import Parallel, cpu_count, delayed  # what serves needs none of it
    from threadpoolctl import threadpool_limits

    for t, target in enumerate(taxonomy):
        if not (outcomes[:, t] != NOT_READ).any():
            raise nothing_read(target)
    heads = _untrained(features, taxonomy, choices)

    def fit(t: int) -> None:
        _fit_head(features, outcomes[:, t], choices[t], tolerance, heads.weights[t], heads.bias[t])

    # Matrices of this size are multiplied faster by one thread, so the cores are given a fit each.
    with threadpool_limits(1):
        Parallel(n_jobs=min(len(taxonomy), cpu_count()), prefer="threads")(
            delayed(fit)(t) for t in range(len(taxonomy))
        )
    return heads


def _untrained(features: Features, taxonomy: Taxonomy, choices: Sequence[HeadChoice]) -> LogisticHeads:
    weights = np.zeros((len(taxonomy), taxonomy.width, features.shape[1]), np.float32)
    return LogisticHeads(weights, np.full(weights.shape[:2], -np.inf, np.float32), tuple(choices))


def _fit_head(
    features: Features,
    column: NDArray[np.int8],
    choice: HeadChoice,
    tolerance: float,
    weights: NDArray[np.float32],
    bias: NDArray[np.float32],
) -> None:
    """Write one target's weights, shape (width, features), and bias, shape (width,), in place."""
    from sklearn.linear_model import LogisticRegression

    read = column != NOT_READ
    gold = column[read]
    present, counts = np.unique(gold, return_counts=True)
    if len(present) == 1:
        bias[present[0]] = 0.0
        return
    rate = (len(gold) / (len(present) * counts)) ** choice.balance
    model = LogisticRegression(
        C=choice.c,
        class_weight=dict(zip(present.tolist(), rate.tolist(), strict=True)),
        tol=tolerance,
        max_iter=2000,
    )
    model.fit(features[read], gold)
    if len(present) == 2:  # scikit-learn keeps the difference only
        weights[present[1]], bias[present] = model.coef_[0], (0.0, model.intercept_[0])
    else:
        weights[present], bias[present] = model.coef_, model.intercept_


def nothing_read(target: Target) -> StanceError:
    """The error of a target that no training sentence was read for."""
    return StanceError(
        f"no training sentence was read for target '{target.id}'",
        field=f"labels.{target.id}",
        hint="Label some (null where it is not touched), name more label files with --labels, "
        "or name a taxonomy without it with --targets.",
    )


def choose_heads(
    features: Features,
    outcomes: Outcomes,
    folds: Sequence[Fold],
    taxonomy: Taxonomy,
    grids: Sequence[Sequence[HeadChoice]],
    progress: Progress | None = None,
) -> tuple[tuple[HeadChoice, ...], Probabilities]:
    """Per target, the choice with the best macro-F1 on groups that were held out.

    Args:
        grids: what there is to choose from, for each target.

    Returns:
        the choices, and for every sentence the probabilities given by heads that did not see its group.
        NaN for sentences that no fold holds out.
    """
    from joblib import Parallel, delayed
    from threadpoolctl import threadpool_limits

    held_out = np.full((len(outcomes), len(taxonomy), taxonomy.width), np.nan)
    if not folds:
        return tuple(grid[0] for grid in grids), held_out

    def predict_held_out(t: int, choice: HeadChoice, fold: Fold) -> Probabilities | None:
        (train, test), column = fold, outcomes[:, [t]]
        if not (column[train] != NOT_READ).any():
            return None
        head = _untrained(features, Taxonomy((taxonomy.targets[t],)), [choice])
        _fit_head(features[train], column[train, 0], choice, _CHOOSING, head.weights[0], head.bias[0])
        return head.predict_proba(features[test])

    settings = [(t, choice) for t, grid in enumerate(grids) for choice in grid]
    best = [-1.0] * len(taxonomy)
    choices = [grid[0] for grid in grids]
    with threadpool_limits(1):
        fits = (delayed(predict_held_out)(t, choice, fold) for t, choice in settings for fold in folds)
        results = enumerate(Parallel(n_jobs=-1, prefer="threads", return_as="generator")(fits), start=1)
        for t, choice in settings:
            given = np.full((len(outcomes), 1, len(taxonomy.targets[t].outcomes)), np.nan)
            for (_, test), (done, predicted) in zip(folds, results, strict=False):
                if predicted is not None:
                    given[test] = predicted
                if progress:
                    progress("choosing settings", done, len(settings) * len(folds))
            macro = _macro_f1(outcomes[:, [t]], given, taxonomy.targets[t])
            if macro > best[t]:
                best[t], choices[t] = macro, choice
                known = ~np.isnan(given[:, 0, 0])
                held_out[known, t] = 0.0
                held_out[known, t, : given.shape[2]] = given[known, 0]
    return tuple(choices), held_out


def head_grid(c: Sequence[float], balance: Sequence[float]) -> tuple[HeadChoice, ...]:
    """Every pairing, in the order given."""
    return tuple(HeadChoice(*pair) for pair in product(c, balance))


def _macro_f1(column: Outcomes, given: Probabilities, target: Target) -> float:
    known = ~np.isnan(given[:, 0, 0])
    if not known.any():
        return 0.0
    table = confusion(column[known], given[known].argmax(axis=2), [""] * int(known.sum()), given.shape[2])
    return float(scores(table.sum(axis=0), Taxonomy((target,))).macro_f1[0])

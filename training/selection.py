"""What to label next, told from probabilities and embeddings: what the model is unsure of, rare and not all alike.

Settles 2009, "Active Learning Literature Survey", names the strategies; notebooks/what-to-label-next.ipynb shows what
they bring.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from labels.taxonomy import Taxonomy
from training.outcomes import Probabilities

ByTarget = NDArray[np.float64]
"""Shape (sentences, targets)."""


def uncertainty(probabilities: Probabilities, taxonomy: Taxonomy) -> ByTarget:
    """Entropy over each target's outcomes, from 0 (certain) to 1 (all equally probable).

    Uncertainty sampling is of Lewis & Gale 1994, "A Sequential Algorithm for Training Text Classifiers"; entropy is
    its measure for more than two classes (Settles 2009, section 3.1).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        surprise = np.where(probabilities > 0, -np.log(probabilities), 0.0)
    most = np.log([len(target.outcomes) for target in taxonomy])
    return np.asarray((probabilities * surprise).sum(axis=2) / most)


def surprisal(counts: Mapping[str, Mapping[str, int]], taxonomy: Taxonomy) -> NDArray[np.float64]:
    """How rare each outcome is among the labels so far: −log of its share, one added to each count.

    Args:
        counts: target → outcome → sentences, as a model's `data["classes"]` has them.

    Returns:
        shape (targets, width), zeros where a target has fewer outcomes.
    """
    rare = np.zeros((len(taxonomy), taxonomy.width))
    for t, target in enumerate(taxonomy):
        count = np.array([counts[target.id][outcome] + 1 for outcome in target.outcomes], float)
        rare[t, : len(count)] = -np.log(count / count.sum())
    return rare


def rarity(probabilities: Probabilities, surprisal: NDArray[np.float64]) -> ByTarget:
    """Expected `surprisal` of the label: high where a rare class is probable."""
    return np.asarray((probabilities * surprisal).sum(axis=2))


def worth(uncertainty: ByTarget, rarity: ByTarget) -> NDArray[np.float64]:
    """How much a label promises to teach: mean uncertainty × mean rarity over targets; shape (sentences,)."""
    return np.asarray(uncertainty.mean(axis=1) * rarity.mean(axis=1))


def spread(embeddings: NDArray[np.float32], worth: NDArray[np.float64], n: int, seed: int) -> NDArray[np.intp]:
    """Of each of n clusters the sentence of most worth, so that the picks are not all alike.

    k-means weighted by worth over the most promising sentences (Zhdanov 2019, "Diverse mini-batch Active Learning").
    The farthest-first traversal of core-sets (Sener & Savarese 2018) was tried and picked oddities.

    Args:
        embeddings: shape (candidates, dimensions).
        worth: shape (candidates,), positive.
        n: how many; all where there are no more.
        seed: of the clusters' beginnings.

    Returns:
        indices of the candidates, of most worth first; equal worth in the order of the candidates.
    """
    if n >= len(worth):
        chosen = np.arange(len(worth))
    else:
        # One thread adds in one order, so the same candidates give the same clusters.
        with threadpool_limits(1):
            clusters = KMeans(n, n_init=1, random_state=seed).fit_predict(embeddings, sample_weight=worth)
        chosen = np.array([max(np.flatnonzero(clusters == c), key=lambda i: worth[i]) for c in np.unique(clusters)])
    return np.asarray(chosen[np.argsort(-worth[chosen], kind="stable")])

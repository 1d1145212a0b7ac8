"""Sets of sentences that differ in one thing: does an answer change where the label does, and only there?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from labels.taxonomy import Taxonomy
from training.dataset import column, outcome_matrix, texts_of, units_of
from training.model_folder import Model
from training.outcomes import NOT_READ, Progress
from training.resampling import Resampling
from training.scored import columns_of, scored_by, unseen
from training.train import LabelledData

ORIGINAL = "original"
"""The `note` of the sentence that the others of its set were changed from; theirs name the kind of change."""


@dataclass(frozen=True)
class Pair:
    """An original and what it was changed to: rows of the dataset, kind of change, and set."""

    original: int
    changed: int
    kind: str
    unit: str


def pairs_of(data: Dataset) -> list[Pair]:
    """Every changed sentence with its original; sets without exactly one original are left out."""
    notes, members = column(data, "note"), defaultdict(list)
    for row, unit in enumerate(units_of(data)):
        members[unit].append(row)
    pairs: list[Pair] = []
    for unit, rows in members.items():
        originals = [row for row in rows if notes[row] == ORIGINAL]
        if len(originals) == 1:
            pairs += [Pair(originals[0], row, notes[row] or "not said", unit) for row in rows if row not in originals]
    return pairs


def contrast_of(
    systems: Mapping[str, Model], contrast: LabelledData, *, seed: int = 0, progress: Progress | None = None
) -> dict[str, Any] | None:
    """Figures of sets that none of the systems was trained on, see `contrast_figures`.

    Args:
        systems: models by name; each answers all targets of `contrast`.
        contrast: the sets.

    Returns:
        None where no set is left that can be scored: of other targets, or trained on.
    """
    data, taxonomy = contrast.dataset, contrast.taxonomy
    fresh, units = set(unseen(list(systems.values()), data)), units_of(data)
    # A set of which one sentence was trained on says nothing about the others either.
    spoilt = {unit for row, unit in enumerate(units) if row not in fresh}
    read = (outcome_matrix(data, taxonomy) != NOT_READ).any(axis=1).tolist()
    scored = data.select([row for row, unit in enumerate(units) if unit not in spoilt and read[row]])
    if not pairs_of(scored):
        return None
    outcomes = {
        name: scored_by(system, texts_of(scored), progress).columns(columns_of(system, taxonomy)).outcomes
        for name, system in systems.items()
    }
    return {
        "files": contrast.files,
        "left_out_as_trained_on": sum(unit in spoilt for unit in units),
        **contrast_figures(scored, outcomes, taxonomy, seed=seed),
    }


def contrast_figures(
    data: Dataset, outcomes: Mapping[str, NDArray[np.integer]], taxonomy: Taxonomy, *, seed: int = 0
) -> dict[str, Any]:
    """Behaviour on contrast sets by kind of change, fit for JSON; intervals resample sets.

    Counted are (pair, target). Where the label of the changed sentence is another, the answer must flip: `flips`, the
    share whose answer is another, and `flips_rightly`, the share answered rightly before and after. Where the label
    is the same the answer must stay: `stays` on targets that the sentences touch, `stays_untouched` on the others.
    `consistent` is the share of sets answered rightly in all sentences, on all targets that one of them touches
    (contrast consistency, Gardner et al. 2020).

    Args:
        data: sentences of sets, none of them trained on.
        outcomes: answers of each system, shape (sentences, targets).
    """
    gold, pairs = outcome_matrix(data, taxonomy), pairs_of(data)

    def about(chosen: Sequence[Pair]) -> dict[str, Any]:
        return {
            "pairs": len(chosen),
            "sets": len({pair.unit for pair in chosen}),
            "must_flip": int(_must_flip(gold, chosen).sum()),
            "must_stay": int(_must_stay(gold, chosen, touched=True).sum()),
            **{name: _behaviour(gold, given, chosen, seed) for name, given in outcomes.items()},
        }

    kinds = sorted({pair.kind for pair in pairs})
    return {
        "sentences": len(data),
        "all": about(pairs),
        "kinds": {kind: about([pair for pair in pairs if pair.kind == kind]) for kind in kinds},
    }


def _rows(pairs: Sequence[Pair]) -> tuple[list[int], list[int]]:
    return [pair.original for pair in pairs], [pair.changed for pair in pairs]


def _must_flip(gold: NDArray[np.int8], pairs: Sequence[Pair]) -> NDArray[np.bool_]:
    before, after = (gold[rows] for rows in _rows(pairs))
    return np.asarray((before != after) & (before != NOT_READ) & (after != NOT_READ))


def _must_stay(gold: NDArray[np.int8], pairs: Sequence[Pair], *, touched: bool) -> NDArray[np.bool_]:
    before, after = (gold[rows] for rows in _rows(pairs))
    return np.asarray((before == after) & (before != NOT_READ) & ((before != 0) == touched))


def _behaviour(gold: NDArray[np.int8], given: NDArray[np.integer], pairs: Sequence[Pair], seed: int) -> dict[str, Any]:
    originals, changed = _rows(pairs)
    right = given == gold
    flipped = given[originals] != given[changed]
    both_right = right[originals] & right[changed]
    flip = _must_flip(gold, pairs)
    resampling = Resampling.of([pair.unit for pair in pairs], seed=seed)

    def share(part: NDArray[np.bool_], whole: NDArray[np.bool_]) -> Any:
        return resampling.ratio((part & whole).sum(axis=1), whole.sum(axis=1))

    sets: dict[str, set[int]] = defaultdict(set)
    for pair in pairs:
        sets[pair.unit] |= {pair.original, pair.changed}
    consistent = np.array([_consistent(gold[sorted(rows)], right[sorted(rows)]) for rows in sets.values()])
    return {
        "flips": share(flipped, flip),
        "flips_rightly": share(both_right, flip),
        "stays": share(~flipped, _must_stay(gold, pairs, touched=True)),
        "stays_untouched": share(~flipped, _must_stay(gold, pairs, touched=False)),
        "consistent": Resampling.of(list(sets), seed=seed).ratio(consistent, np.ones(len(consistent))),
    }


def _consistent(gold: NDArray[np.int8], right: NDArray[np.bool_]) -> bool:
    touched = (gold > 0).any(axis=0)
    return bool((right | (gold == NOT_READ))[:, touched].all())

"""Two models on the same sentences: differences, tests, and where they take opposite sides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from scipy.stats import binomtest

from labels.errors import StanceError
from labels.taxonomy import Taxonomy
from training.confident_errors import reference
from training.contrast import contrast_of
from training.dataset import fingerprint, outcome_matrix, texts_of, units_of
from training.metrics import confusion
from training.model_folder import Model
from training.outcomes import NOT_READ, Outcomes, Progress
from training.probability_figures import calibration_side_by_side
from training.resampling import number
from training.scored import columns_of, scored_by, unseen
from training.summary import differences, summary
from training.train import LabelledData, part_at_hand

Given = NDArray[np.integer]


def compare(
    first: Model,
    second: Model,
    data: LabelledData,
    split: str = "test",
    *,
    contrast: LabelledData | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Compare on one part of the data, without what either was trained on; docs/report.md describes what is returned.

    Args:
        data: of targets that both answer, see `shared_targets`.
        contrast: sets of sentences that differ in one thing, of the same targets; see `training.contrast`.

    Raises:
        StanceError: see `common_part`.
    """
    part, left_out = common_part([first, second], data, split)
    taxonomy, seed = data.taxonomy, first.recipe.seed
    models = dict(zip("ab", (first, second), strict=True))
    gold, units = outcome_matrix(part, taxonomy), units_of(part)
    scored = {
        name: scored_by(model, texts_of(part), progress).columns(columns_of(model, taxonomy))
        for name, model in models.items()
    }
    given = [of.outcomes for of in scored.values()]
    tables = [confusion(gold, outcomes, units, taxonomy.width) for outcomes in given]
    compared = {
        "models": {name: _about(model) for name, model in models.items()},
        **taxonomy.as_dict(),
        "split": split,
        "sentences": len(part),
        "groups": len(tables[0]),
        "fingerprint": fingerprint(part),
        "left_out_as_trained_on": left_out,
        "missing": {"records": data.missing.total(), "documents": len(data.missing)},
        **{name: summary(table, taxonomy, seed=seed) for name, table in zip("ab", tables, strict=True)},
        "a_minus_b": differences(tables[0], tables[1], taxonomy, seed=seed),
        "mcnemar": mcnemar(gold, given[0], given[1], taxonomy),
        "calibration": calibration_side_by_side(
            scored["a"].probabilities, scored["b"].probabilities, gold, units, taxonomy, seed=seed
        ),
        "changed_sides": changed_sides(part, gold, given[0], given[1], taxonomy),
    }
    if contrast and (figures := contrast_of(models, contrast, seed=seed, progress=progress)):
        compared["contrast"] = figures
    return compared


def shared_targets(models: Sequence[Model]) -> Taxonomy:
    """The targets that all models answer in the same classes, in the order of the first.

    Raises:
        StanceError: there are none.
    """
    first, *others = (model.taxonomy for model in models)
    shared = [target for target in first if all(other.get(target.id) == target for other in others)]
    if not shared:
        raise StanceError("the models have different targets or classes", hint="Train all by the same taxonomy.")
    return Taxonomy(tuple(shared))


def common_part(models: Sequence[Model], data: LabelledData, split: str) -> tuple[Dataset, int]:
    """Sentences of one part of the data that models can be compared on.

    Returns:
        those that none of the models was trained on, and how many others there are.

    Raises:
        StanceError: a model does not answer a target of the data, or no sentence is left.
    """
    if any(model.taxonomy.get(target.id) != target for model in models for target in data.taxonomy):
        raise StanceError("the models have different targets or classes", hint="Train all by the same taxonomy.")
    part = part_at_hand(data, split)
    kept = unseen(models, part)
    if not kept:
        raise StanceError(
            f"one of the models was trained on all {len(part)} sentences of the part '{split}' or on their groups",
            hint="Compare on sentences that none has seen.",
        )
    return part.select(kept), len(part) - len(kept)


def _about(model: Model) -> dict[str, Any]:
    return {
        "version": model.version,
        "recipe": model.recipe.name,
        "title": model.recipe.title,
        "sentences": model.learnt,
        "data": model.data["fingerprint"],
    }


def mcnemar(gold: Outcomes, first: Given, second: Given, taxonomy: Taxonomy) -> dict[str, dict[str, Any]]:
    """McNemar's exact test a target, corrected over targets by Holm.

    It takes sentences as independent, which those of one document are not: the paired bootstrap does not.

    Returns:
        by target: `only_a` and `only_b`, sentences that only one answers rightly; `p`; `p_holm`.
    """
    read = gold != NOT_READ
    only_a = ((first == gold) & (second != gold) & read).sum(axis=0).tolist()
    only_b = ((second == gold) & (first != gold) & read).sum(axis=0).tolist()
    p = [mcnemar_p(a, b) for a, b in zip(only_a, only_b, strict=True)]
    return {
        target.id: {"only_a": a, "only_b": b, "p": number(value), "p_holm": number(corrected)}
        for target, a, b, value, corrected in zip(taxonomy, only_a, only_b, p, holm(p), strict=True)
    }


def mcnemar_p(only_first: int, only_second: int) -> float:
    """Two-sided exact p: were both as good, each sentence that only one has right would be a toss of a coin."""
    if only_first == only_second:
        return 1.0
    return float(binomtest(only_first, only_first + only_second).pvalue)


def holm(p: Sequence[float]) -> list[float]:
    """P-values corrected for being several (Holm 1979), in the order given."""
    corrected, worst = [0.0] * len(p), 0.0
    for rank, at in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        worst = max(worst, min(1.0, (len(p) - rank) * p[at]))
        corrected[at] = worst
    return corrected


def changed_sides(
    part: Dataset, gold: Outcomes, first: Given, second: Given, taxonomy: Taxonomy
) -> list[dict[str, Any]]:
    """References to the sentences that the models put on opposite sides of a target, in the order of the data."""
    found: list[dict[str, Any]] = []
    for t, target in enumerate(taxonomy):
        poles = {target.outcome(target.conciliatory), target.outcome(target.other)}
        for row in range(len(part)):
            if {int(first[row, t]), int(second[row, t])} == poles:
                found.append(
                    {
                        **reference(part[row]),
                        "target": target.id,
                        "gold": "not read" if gold[row, t] == NOT_READ else target.outcomes[gold[row, t]],
                        "a": target.outcomes[first[row, t]],
                        "b": target.outcomes[second[row, t]],
                    }
                )
    return found

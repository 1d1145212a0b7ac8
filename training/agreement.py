"""How far annotators agree, by target and over all, with intervals by resampling groups."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labels.annotators import Annotated, differing, given_labels
from labels.errors import StanceError
from labels.taxonomy import Target, Taxonomy
from training.metrics import confusion, resampled, scores
from training.outcomes import NOT_READ
from training.reliability import agreement_of, alpha_of, cohens_kappa, coincidences, kappa_of, krippendorffs_alpha
from training.resampling import Figure, figure

Readings = NDArray[np.int8]
"""Shape (annotators, sentences, targets): the outcome that each annotator gave, or NOT_READ."""

Floats = NDArray[np.float64]
Sampled = tuple[Floats, Floats]
"""A figure of all sentences, and the same with an axis of resamples before its own."""


def agreement(annotated: Annotated, taxonomy: Taxonomy, *, resamples: int = 1000, seed: int = 0) -> dict[str, Any]:
    """Figures of agreement, fit for JSON; docs/agreement.md describes them.

    A missing target is a missing value, null is the value "unrelated". Alpha is nominal over everything; for a target
    of scope "overall" it is also given as ordinal, in the order of its classes in the taxonomy, on the sentences that
    all who read them saw as touching the target, since "unrelated" has no place in that order.

    Raises:
        StanceError: there are not two annotators, or no sentence was read by two for the same target.
    """
    names = annotated.annotators
    if len(names) < 2:
        raise StanceError(
            f"agreement takes two annotators, and here is {repr(names[0]) if names else 'none'}",
            hint="Give files whose records have annotations, or one file for each annotator.",
        )
    everything = _outcomes(annotated, taxonomy)
    compared = ((everything != NOT_READ).sum(axis=0) > 1).any(axis=1)
    if not compared.any():
        raise StanceError(
            f"no two of the annotators ({', '.join(names)}) read the same sentence for the same target",
            hint="They must have labelled the same texts, refs or ids.",
        )
    units = [record.unit for record, kept in zip(annotated.records, compared, strict=True) if kept]
    kept = everything[:, compared]
    sampled = _sampled(kept, units, taxonomy, resamples, seed)
    readers = (kept != NOT_READ).sum(axis=0)
    differences = _differences(annotated, taxonomy)
    return {
        "annotators": {n: int((row != NOT_READ).any(axis=1).sum()) for n, row in zip(names, everything, strict=True)},
        "sentences": {
            "compared": int(compared.sum()),
            "differing": len(differences),
            "read_by_one": int(((everything != NOT_READ).any(axis=(0, 2)) & ~compared).sum()),
            "without_annotations": annotated.passed_over,
        },
        "groups": len(set(units)),
        **taxonomy.as_dict(),
        "overall": _overall(sampled),
        "by_target": {
            target.id: {
                "read_by_two": int((readers[:, t] > 1).sum()),
                "read_by_all": int((readers[:, t] == len(names)).sum()),
                **_of_target(sampled, t, target),
                "confusion": [
                    {"annotators": [names[i], names[j]], "counts": _counts(kept[[i, j], :, t], len(target.outcomes))}
                    for i, j in combinations(range(len(names)), 2)
                ],
            }
            for t, target in enumerate(taxonomy)
        },
        "differences": differences,
    }


def _outcomes(annotated: Annotated, taxonomy: Taxonomy) -> Readings:
    readings = np.full((len(annotated.annotators), len(annotated.records), len(taxonomy)), NOT_READ, np.int8)
    row = {name: i for i, name in enumerate(annotated.annotators)}
    for s, record in enumerate(annotated.records):
        for annotation in record.annotations:
            for t, target in enumerate(taxonomy):
                if target.id in annotation.labels:
                    readings[row[annotation.annotator], s, t] = target.outcome(annotation.labels[target.id])
    return readings


def _sampled(readings: Readings, units: list[str], taxonomy: Taxonomy, resamples: int, seed: int) -> dict[str, Sampled]:
    """Figures of all sentences and of resampled groups, by target; `together` and `issue_side_f1` over all targets."""
    width, every = taxonomy.width, range(len(taxonomy))

    def sample(table: NDArray[Any]) -> NDArray[Any]:
        return resampled(table, resamples=resamples, seed=seed)

    # All figures follow from tables of counts that add up over groups, so a resample is a sum of tables.
    pairs = [confusion(one, other, units, width) for one, other in combinations(readings, 2)]
    paired = np.sum(pairs, axis=0)
    total, drawn = paired.sum(axis=0), sample(paired)
    touched = _touched(readings)
    nominal, ordinal = (
        np.stack([coincidences(given[:, :, t], width, units) for t in every], axis=1) for given in (readings, touched)
    )
    figures: dict[str, Sampled] = {
        "agreement": (agreement_of(total), agreement_of(drawn)),
        "alpha": (
            np.array([krippendorffs_alpha(readings[:, :, t], width) for t in every]),
            alpha_of(sample(nominal)),
        ),
        "alpha_ordinal": (
            np.array([krippendorffs_alpha(touched[:, :, t], width, "ordinal") for t in every]),
            alpha_of(sample(ordinal), "ordinal"),
        ),
        "together": (agreement_of(total.sum(axis=0)), agreement_of(drawn.sum(axis=1))),
        "issue_side_f1": (scores(total, taxonomy).issue_side_f1, scores(drawn, taxonomy).issue_side_f1),
    }
    if len(readings) == 2:
        figures["kappa"] = np.array([cohens_kappa(*readings[:, :, t]) for t in every]), kappa_of(drawn)
    if len(nominal) == 1:  # resampling a single group says nothing about other groups
        figures = {name: (value, np.full_like(given, np.nan)) for name, (value, given) in figures.items()}
    return figures


def _touched(readings: Readings) -> Readings:
    """Readings without "unrelated", and without the sentences that somebody called so; NOT_READ in their place."""
    kept = ~(readings == 0).any(axis=0) & (readings != NOT_READ)
    return np.where(kept, readings, NOT_READ).astype(np.int8)


def _overall(sampled: Mapping[str, Sampled]) -> dict[str, Figure]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the mean of nothing is NaN, which is what is wanted
        means = {
            f"mean_{name}": figure(*(np.nanmean(given, axis=-1) for given in sampled[name]))
            for name in ("kappa", "alpha")
            if name in sampled
        }
    together, side = sampled["together"], sampled["issue_side_f1"]
    return {"agreement": figure(*together), **means, "issue_side_f1": figure(*side)}


def _of_target(sampled: Mapping[str, Sampled], t: int, target: Target) -> dict[str, Figure]:
    names = ["agreement", "kappa", "alpha", *(["alpha_ordinal"] if target.scope == "overall" else [])]
    return {name: figure(sampled[name][0][t], sampled[name][1][:, t]) for name in names if name in sampled}


def _counts(readings: Readings, width: int) -> list[list[int]]:
    """Confusion matrix of two annotators on one target."""
    first, second = readings[:, (readings != NOT_READ).all(axis=0)]
    table = np.zeros((width, width), int)
    np.add.at(table, (first, second), 1)
    return table.tolist()


def _differences(annotated: Annotated, taxonomy: Taxonomy) -> list[dict[str, Any]]:
    """The sentences on which annotators differ, most first; opposite sides count twice."""
    found: list[dict[str, Any]] = []
    for record in annotated.records:
        targets = {target_id: given_labels(record, target_id) for target_id in differing(record, taxonomy)}
        if targets:
            weight = sum(_weight(given, taxonomy[target_id]) for target_id, given in targets.items())
            found.append({"id": record.id, "weight": round(weight, 4), "targets": targets})
    return sorted(found, key=lambda difference: -float(difference["weight"]))


def _weight(given: Mapping[str, str | None], target: Target) -> float:
    """Share of the pairs of annotators who differ, those on opposite sides counted twice."""
    pairs = list(combinations(given.values(), 2))
    sides = {target.conciliatory, target.other}
    return sum((a != b) + ({a, b} == sides) for a, b in pairs) / len(pairs)

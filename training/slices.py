"""Figures by outlet, leaning, kind of text, year, length, holder: where a model is worse than elsewhere."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from labels.taxonomy import Taxonomy
from training.dataset import units_of
from training.metrics import confusion, resampled, scores
from training.outcomes import NOT_READ, Outcomes
from training.resampling import RESAMPLES, Resampling, figure

FEW_SENTENCES, FEW_GROUPS = 50, 5
"""A slice with fewer of either says little, and is marked small."""
SUPPORT = 10
"""Sentences of a slice that must touch a target for it to count in the slice's mean macro-F1."""

_LEAN = re.compile(r"\s*\[AllSides lean: ([^\]]+)\]")
_LENGTHS = ((15, "15 words or fewer"), (30, "16 to 30 words"), (45, "31 to 45 words"))
_LONGEST = "more than 45 words"
NOT_SAID = "not said"

Row = Mapping[str, Any]


def outlet(source: str | None) -> str:
    """Without the leaning that some sources carry."""
    return _LEAN.sub("", source or "").strip() or NOT_SAID


def leaning(source: str | None) -> str:
    """As AllSides rates the outlet, where the source carries it."""
    found = _LEAN.search(source or "")
    return found[1].strip() if found else "not rated"


def length(text: str) -> str:
    """Which length a text has, by its words."""
    words = len(text.split())
    return next((name for most, name in _LENGTHS if words <= most), _LONGEST)


def holder_kind(holder: str | None) -> str:
    """Whose position it is, in the terms of the codebook's rule 9."""
    if holder in ("author", "several"):
        return str(holder)
    return "named" if holder else "unnamed"


DIMENSIONS: Mapping[str, tuple[str, Callable[[Row], str]]] = {
    "outlet": ("Outlet", lambda row: outlet(row["source"])),
    "leaning": ("Leaning of the outlet (AllSides)", lambda row: leaning(row["source"])),
    "kind": ("Kind of text", lambda row: row["kind"] or NOT_SAID),
    "year": ("Year", lambda row: (row["date"] or "")[:4] or "not dated"),
    "length": ("Length of the sentence", lambda row: length(row["text"])),
    "holder": ("Holder of the position", lambda row: holder_kind(row["holder"])),
    "labelled": ("Readings of the label", lambda row: "twice" if len(row["passes"]) == 2 else "once"),
}

_IN_ORDER = {
    "length": [*(name for _, name in _LENGTHS), _LONGEST],
    "holder": ["author", "named", "several", "unnamed"],
}


def slice_figures(
    part: Dataset, gold: Outcomes, outcomes: NDArray[np.integer], taxonomy: Taxonomy, *, seed: int = 0
) -> dict[str, Any]:
    """Figures of every slice, and the worst that is not small.

    Slices differ in how often each class stands in them, and F1 follows that. They are therefore compared by
    `error_ratio`: errors of the slice over those that the same labels meet in all sentences (indirect
    standardisation by target and labelled class). 1 is as elsewhere, 2 twice as many errors.
    """
    wrong, expected = errors_of(gold, outcomes)
    units, rows = np.array(units_of(part)), list(part)
    dimensions: dict[str, list[dict[str, Any]]] = {}
    for key, (_, name_of) in DIMENSIONS.items():
        names = np.array([name_of(row) for row in rows])
        found = [
            {
                "name": str(name),
                **_of_slice(gold[chosen], outcomes[chosen], units[chosen], taxonomy, seed),
                "error_ratio": Resampling.of(units[chosen], seed=seed).ratio(wrong[chosen], expected[chosen]),
            }
            for name in np.unique(names)
            for chosen in [names == name]
        ]
        dimensions[key] = sorted(found, key=partial(_place, key))
    comparable = [
        {"dimension": key, **{field: about[field] for field in ("name", "sentences", "groups", "error_ratio")}}
        for key, slices in dimensions.items()
        for about in slices
        if not about["small"] and len(slices) > 1 and about["error_ratio"]["value"] is not None
    ]
    return {
        "dimensions": dimensions,
        "compared": len(comparable),
        "worst": max(comparable, key=lambda about: about["error_ratio"]["value"], default=None),
    }


def _place(key: str, about: Mapping[str, Any]) -> tuple[Any, ...]:
    if key in _IN_ORDER:
        return (_IN_ORDER[key].index(about["name"]),)
    return (about["name"],) if key == "year" else (-about["sentences"], about["name"])


def errors_of(gold: Outcomes, outcomes: NDArray[np.integer]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Errors of each sentence over targets, and how many its labels would lead one to expect."""
    wrong = ((outcomes != gold) & (gold != NOT_READ)).astype(float)
    expected = np.zeros_like(wrong)
    for t, column in enumerate(gold.T):
        for label in set(column.tolist()) - {NOT_READ}:
            expected[column == label, t] = wrong[column == label, t].mean()
    return wrong.sum(axis=1), expected.sum(axis=1)


def _of_slice(
    gold: Outcomes, outcomes: NDArray[np.integer], units: NDArray[np.str_], taxonomy: Taxonomy, seed: int
) -> dict[str, Any]:
    table = confusion(gold, outcomes, units.tolist(), taxonomy.width)
    groups = len(table)
    point = scores(table.sum(axis=0), taxonomy)
    drawn = scores(resampled(table, resamples=RESAMPLES, seed=seed), taxonomy)
    # A single group says nothing about other groups.
    known = slice(None) if groups > 1 else slice(0)
    supported = np.flatnonzero((gold > 0).sum(axis=0) >= SUPPORT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the mean of nothing is NaN, which is what is wanted
        mean_macro = point.macro_f1[supported].mean(), drawn.macro_f1[known][:, supported].mean(axis=1)
    return {
        "sentences": len(gold),
        "groups": groups,
        "small": len(gold) < FEW_SENTENCES or groups < FEW_GROUPS,
        "supported_targets": [taxonomy.ids[t] for t in supported],
        "supported_macro_f1": figure(*mean_macro),
        "issue_side_f1": figure(point.issue_side_f1, drawn.issue_side_f1[known]),
        "overall_scope": {
            target.id: figure(point.macro_f1[t], drawn.macro_f1[known, t])
            for t, target in enumerate(taxonomy)
            if target.scope == "overall"
        },
    }

"""Confusion matrices as figures with intervals, fit for JSON."""

from __future__ import annotations

from typing import Any

from labels.taxonomy import Taxonomy
from training.metrics import Confusion, Interval, Scores, bootstrap, resampled, scores
from training.resampling import RESAMPLES, Figure, figure, number

OVERALL = ("mean_macro_f1", "issue_pole_f1", "issue_side_f1")


def _figure(point: Scores, interval: Interval, name: str, *index: int) -> Figure:
    return {
        "value": number(getattr(point, name)[index]),
        "low": number(getattr(interval.low, name)[index]),
        "high": number(getattr(interval.high, name)[index]),
    }


def summary(table: Confusion, taxonomy: Taxonomy, *, seed: int = 0) -> dict[str, Any]:
    """All figures of confusion matrices by group, see `training.metrics`."""
    total = table.sum(axis=0)
    point, interval = scores(total, taxonomy), bootstrap(table, taxonomy, seed=seed)
    return {
        "groups": len(table),
        "overall": {name: _figure(point, interval, name) for name in OVERALL},
        "targets": {
            target.id: {
                "read": int(total[t].sum()),
                "macro_f1": _figure(point, interval, "macro_f1", t),
                "pole_f1": _figure(point, interval, "pole_f1", t),
                "classes": {
                    label: {
                        "support": int(total[t, k].sum()),
                        "precision": _figure(point, interval, "precision", t, k),
                        "recall": _figure(point, interval, "recall", t, k),
                        "f1": _figure(point, interval, "f1", t, k),
                    }
                    for k, label in enumerate(target.outcomes)
                },
                "confusion": total[t, : len(target.outcomes), : len(target.outcomes)].tolist(),
            }
            for t, target in enumerate(taxonomy)
        },
    }


def difference(first: Confusion, second: Confusion, taxonomy: Taxonomy, *, seed: int = 0) -> dict[str, Figure]:
    """First minus second over all targets, with the interval of the paired bootstrap: both on the same groups."""
    overall: dict[str, Figure] = differences(first, second, taxonomy, seed=seed)["overall"]
    return overall


def differences(first: Confusion, second: Confusion, taxonomy: Taxonomy, *, seed: int = 0) -> dict[str, Any]:
    """As `difference`, under `overall`; and macro-F1 and F_avg of each target under `targets`."""
    if first.shape != second.shape:
        raise ValueError("both must be of the same groups and targets")
    point_1, point_2 = scores(first.sum(axis=0), taxonomy), scores(second.sum(axis=0), taxonomy)
    drawn_1, drawn_2 = (scores(resampled(given, resamples=RESAMPLES, seed=seed), taxonomy) for given in (first, second))

    def minus(name: str, *index: int) -> Figure:
        drawn = (getattr(drawn_1, name) - getattr(drawn_2, name))[(slice(None), *index)]
        return figure(getattr(point_1, name)[index] - getattr(point_2, name)[index], drawn)

    return {
        "overall": {name: minus(name) for name in OVERALL},
        "targets": {
            target.id: {name: minus(name, t) for name in ("macro_f1", "pole_f1")} for t, target in enumerate(taxonomy)
        },
    }

"""Confusion matrices as figures with intervals, fit for JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from labels.taxonomy import Taxonomy
from training.metrics import Confusion, Interval, Scores, bootstrap, resampled, scores

Figure = Mapping[str, float | None]
"""`value`, and `low` and `high` of the 95% interval; None where undefined."""

OVERALL = ("mean_macro_f1", "issue_pole_f1", "issue_side_f1")


def _number(value: Any) -> float | None:
    return None if math.isnan(value) else round(float(value), 4)


def _figure(point: Scores, interval: Interval, name: str, *index: int) -> Figure:
    return {
        "value": _number(getattr(point, name)[index]),
        "low": _number(getattr(interval.low, name)[index]),
        "high": _number(getattr(interval.high, name)[index]),
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
    """First minus second, with the interval of the paired bootstrap: both on the same resampled groups."""
    if first.shape != second.shape:
        raise ValueError("both must be of the same groups and targets")
    point_1, point_2 = scores(first.sum(axis=0), taxonomy), scores(second.sum(axis=0), taxonomy)
    drawn_1, drawn_2 = (scores(resampled(table, resamples=1000, seed=seed), taxonomy) for table in (first, second))
    figures: dict[str, Figure] = {}
    for name in OVERALL:
        drawn = getattr(drawn_1, name) - getattr(drawn_2, name)
        low, high = np.nanpercentile(drawn, [2.5, 97.5]) if not np.isnan(drawn).all() else (np.nan, np.nan)
        figures[name] = {
            "value": _number(getattr(point_1, name) - getattr(point_2, name)),
            "low": _number(low),
            "high": _number(high),
        }
    return figures

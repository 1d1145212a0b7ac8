"""Models side by side, by the held-out figures that their folders carry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from training.model_folder import Model
from training.pages import interval

COLUMNS: Mapping[str, str] = {
    "mean_macro_f1": "mean macro-F1",
    "issue_side_f1": "(issue, side) F1",
    "issue_pole_f1": "mean F_avg",
}


def recipe_row(folder: Path, model: Model) -> dict[str, Any]:
    """What is known of one model; figures are null where nothing could be held out of its training."""
    overall, targets = model.metrics.get("overall", {}), model.metrics.get("targets", {})
    return {
        "folder": folder.name,
        "version": model.version,
        "recipe": model.recipe.name,
        "sentences": model.learnt,
        "data": model.data["fingerprint"],
        "method": model.metrics.get("method"),
        "overall_scope": {
            target.id: targets[target.id]["macro_f1"] if target.id in targets else None
            for target in model.taxonomy
            if target.scope == "overall"
        },
        **{name: overall.get(name) for name in COLUMNS},
    }


def cells(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """The table, its head first: a line a model."""
    readings = list(dict.fromkeys(target_id for row in rows for target_id in row["overall_scope"]))
    head = ["model", "recipe", "sentences", *(f"{target_id} macro-F1" for target_id in readings), *COLUMNS.values()]
    return [
        head,
        *(
            [
                row["version"],
                row["recipe"],
                str(row["sentences"]),
                *(_shown(row["overall_scope"].get(target_id)) for target_id in readings),
                *(_shown(row[name]) for name in COLUMNS),
            ]
            for row in rows
        ),
    ]


def markdown(table: Sequence[Sequence[str]]) -> str:
    """A table in Markdown; its first row is the head."""
    head, *rows = (f"| {' | '.join(row)} |" for row in table)
    return "\n".join([head, "|" + "---|" * len(table[0]), *rows])


def _shown(figure: Mapping[str, float | None] | None) -> str:
    return interval(figure) if figure else "–"

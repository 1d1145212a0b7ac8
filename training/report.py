"""What `stance evaluate` writes: report.html, metrics.json and a model card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from labels.errors import StanceError
from labels.files import write_whole
from training.pages import TEMPLATES
from training.plots import confusion_matrices, figures_by_target

OVERALL_TITLES = {
    "mean_macro_f1": "Mean macro-F1 over targets",
    "issue_pole_f1": "Mean F_avg over issues",
    "issue_side_f1": "(issue, side) micro-F1",
}


def write_report(metrics: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write the three files.

    Args:
        metrics: what `training.evaluation.evaluate` returns.
        folder: made where it is missing.

    Returns:
        the files.

    Raises:
        StanceError: the folder cannot be written.
    """
    titles = {target_id: about["title"] for target_id, about in metrics["targets"].items()}
    # Figures with independent second labels are the ones to rely on, where there are any.
    main = "twice" if "twice" in metrics["sets"] else "all"
    context = {
        "metrics": metrics,
        "titles": titles,
        "main": main,
        "overall_titles": OVERALL_TITLES,
        "systems": [name for name in ("model", "floor", "agreement") if name in metrics["sets"][main]],
    }
    plots = {
        "by_target": Markup(figures_by_target(metrics["sets"][main], titles)),
        "confusion": Markup(confusion_matrices(metrics["sets"]["all"]["model"], titles)),
    }
    contents = {
        "report.html": TEMPLATES.get_template("report.html.j2").render(**context, plots=plots),
        "metrics.json": json.dumps(metrics, indent=2, ensure_ascii=False) + "\n",
        "model-card.md": TEMPLATES.get_template("model-card.md.j2").render(**context),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StanceError(f"cannot be made: {error.strerror}", path=folder) from error
    for name, content in contents.items():
        write_whole(folder / name, content)
    return [folder / name for name in contents]

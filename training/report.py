"""What `stance evaluate` and `stance compare` write."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from labels.errors import StanceError
from labels.files import write_whole
from labels.records import DEFAULT_LABELS
from training.decision_words import asked_for, check_name, verdict
from training.model_card import model_card
from training.pages import OVERALL_TITLES, TEMPLATES
from training.plots import confusion_matrices, differences_by_target, figures_by_target, learning_curve
from training.probability_plots import reliability_diagrams, risk_coverage_curves
from training.resampling import TOO_FEW_GROUPS
from training.slices import DIMENSIONS, FEW_GROUPS, FEW_SENTENCES, SUPPORT


def write_report(metrics: Mapping[str, Any], folder: Path, texts: Mapping[str, str] | None = None) -> list[Path]:
    """Write report.html, metrics.json and model-card.md.

    Args:
        metrics: what `training.evaluation.evaluate` returns.
        folder: made where it is missing.
        texts: record id → sentence, to be shown in report.html with the surest errors; None to show references only.

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
        "licences": label_licences(),
        "dimensions": {key: title for key, (title, _) in DIMENSIONS.items()},
        "too_few_documents": metrics["sets"]["all"]["model"]["groups"] < TOO_FEW_GROUPS,
        "few": {"sentences": FEW_SENTENCES, "groups": FEW_GROUPS, "support": SUPPORT},
        "texts": texts,
    }
    plots = {
        "by_target": figures_by_target(metrics["sets"][main], titles),
        "confusion": confusion_matrices(metrics["sets"]["all"]["model"], titles),
        "reliability": reliability_diagrams(metrics["probabilities"], titles),
        "risk_coverage": risk_coverage_curves(metrics["probabilities"], titles),
    }
    if "learning_curve" in metrics:
        plots["learning_curve"] = learning_curve(metrics["learning_curve"])
    drawn = {name: Markup(plot) for name, plot in plots.items()}
    return _write_all(
        folder,
        {
            "report.html": TEMPLATES.get_template("report.html.j2").render(**context, plots=drawn),
            "metrics.json": _json(metrics),
            "model-card.md": model_card(context),
        },
    )


def write_comparison(compared: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write comparison.html and comparison.json of what `training.comparison.compare` returns.

    Raises:
        StanceError: the folder cannot be written.
    """
    titles = {target_id: about["title"] for target_id, about in compared["targets"].items()}
    page = TEMPLATES.get_template("comparison.html.j2").render(
        compared=compared,
        titles=titles,
        overall_titles=OVERALL_TITLES,
        plot=Markup(differences_by_target(compared["a_minus_b"], titles)),
    )
    return _write_all(folder, {"comparison.html": page, "comparison.json": _json(compared)})


def write_decision(decision: Mapping[str, Any], compared: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write decision.html, decision.json and comparison.json.

    Args:
        decision: what `training.retraining.retrain` returns.
        compared: what `training.comparison.compare` returns of candidate and champion.
        folder: made where it is missing.

    Raises:
        StanceError: the folder cannot be written.
    """
    titles = {target_id: about["title"] for target_id, about in compared["targets"].items()}
    page = TEMPLATES.get_template("decision.html.j2").render(
        decision=decision,
        compared=compared,
        titles=titles,
        overall_titles=OVERALL_TITLES,
        verdict=verdict(decision),
        failed=[check for check in decision["checks"] if not check["passed"]],
        name=check_name,
        asked=asked_for,
        plot=Markup(differences_by_target(compared["a_minus_b"], titles)),
    )
    return _write_all(
        folder, {"decision.html": page, "decision.json": _json(decision), "comparison.json": _json(compared)}
    )


def label_licences() -> dict[str, str]:
    """SHA-256 of the project's own label files → their licence (labels/README.md)."""
    return {hashlib.sha256(path.read_bytes()).hexdigest(): "MIT" for path in sorted(DEFAULT_LABELS.glob("*.jsonl"))}


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _write_all(folder: Path, contents: Mapping[str, str]) -> list[Path]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StanceError(f"cannot be made: {error.strerror}", path=folder) from error
    for name, content in contents.items():
        write_whole(folder / name, content)
    return [folder / name for name in contents]

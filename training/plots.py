"""Plots of a report, as SVG that stands in a page by itself."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

COLOURS = {"model": "#1f6f8b", "floor": "#b0791f", "agreement": "#6b6b6b"}
NAMES = {"model": "model", "floor": "floor (TF-IDF)", "agreement": "agreement of the passes"}
_STYLE: Any = {
    "svg.hashsalt": "stance",  # the same figures give the same file
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None}, bbox_inches="tight")
    return buffer.getvalue()[buffer.getvalue().index("<svg") :]


def figures_by_target(given: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    """Macro-F1 and F_avg of each target with their intervals, model beside floor and agreement."""
    shown = [name for name in COLOURS if name in given]
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9.5, 0.62 * len(titles) + 1.3))
        panels = figure.subplots(1, 2, sharey=True)
        for panel, (measure, label) in zip(
            panels, (("macro_f1", "macro-F1"), ("pole_f1", "F_avg (mean F1 of the poles)")), strict=True
        ):
            for offset, name in enumerate(shown):
                for row, target_id in enumerate(titles):
                    at = given[name]["targets"][target_id][measure]
                    if at["value"] is None:
                        continue
                    y = row + 0.24 * (offset - (len(shown) - 1) / 2)
                    panel.plot([at["low"], at["high"]], [y, y], color=COLOURS[name], linewidth=2, alpha=0.55)
                    panel.plot(at["value"], y, "o", color=COLOURS[name], label=NAMES[name] if row == 0 else None)
            panel.set_xlim(0, 1.02)
            panel.set_xlabel(label)
            panel.grid(axis="x", color="#dddddd", linewidth=0.6)
            panel.set_axisbelow(True)
        panels[0].set_yticks(range(len(titles)), list(titles.values()))
        panels[0].invert_yaxis()
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="lower center", ncols=len(shown), frameon=False, bbox_to_anchor=(0.5, 0.97))
        figure.tight_layout()
        return _svg(figure)


def confusion_matrices(given: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    """Shares of each labelled class that were given each outcome, with the counts written in."""
    columns = min(4, len(titles))
    rows = -(-len(titles) // columns)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(2.9 * columns, 3.0 * rows))
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for panel in panels[len(titles) :]:
            panel.set_visible(False)
        for panel, (target_id, title) in zip(panels, titles.items(), strict=False):
            about = given["targets"][target_id]
            counts, outcomes = about["confusion"], list(about["classes"])
            shares = [[n / max(1, sum(line)) for n in line] for line in counts]
            panel.imshow(shares, vmin=0, vmax=1, cmap="Blues")
            panel.set_title(title, fontsize=10)
            panel.set_xticks(range(len(outcomes)), outcomes, rotation=45, ha="right", fontsize=8)
            panel.set_yticks(range(len(outcomes)), outcomes, fontsize=8)
            for i, line in enumerate(counts):
                for j, count in enumerate(line):
                    dark = shares[i][j] > 0.55
                    panel.text(j, i, count, ha="center", va="center", fontsize=8, color="white" if dark else "#222222")
            for side in panel.spines.values():
                side.set_visible(False)
        figure.supxlabel("answered", fontsize=10)
        figure.supylabel("labelled", fontsize=10)
        figure.tight_layout()
        return _svg(figure)

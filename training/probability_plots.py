"""Plots of `training.probability_figures`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes

from training.plots import COLOURS, FAINT, STYLE, grid, panels_of, svg
from training.probability_figures import HISTOGRAM


def reliability_diagrams(given: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    """Share of right answers by confidence, a panel a target, with the counts of answers below."""
    with mpl.rc_context(STYLE):
        figure, panels = panels_of(titles, 2.9, 3.3)
        for number, (panel, (target_id, title)) in enumerate(zip(panels, titles.items(), strict=True)):
            about = given["targets"][target_id]
            panel.set_title(f"{title}\nECE {_short(about['ece']['value'])}, {about['answers']} answers")
            panel.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8, linestyle="--")
            if "before" in given:
                _bins(panel, given["before"]["targets"][target_id]["bins"], COLOURS["floor"], "before calibration")
            _bins(panel, about["bins"], COLOURS["model"], "as answered")
            panel.set_xlim(0, 1.02)
            panel.set_ylim(-0.02, 1.04)
            panel.set_xticks([0, 0.5, 1], [])
            panel.set_yticks([0, 0.5, 1])
            grid(panel)
            below = panel.inset_axes((0, -0.33, 1, 0.28))
            _counts(below, about["histogram"])
            shown = [panel.get_legend_handles_labels(), below.get_legend_handles_labels()]
            if number % 4 == 0:
                panel.set_ylabel("share right")
                below.set_ylabel("answers", fontsize=8)
        handles, labels = (lines + bars for lines, bars in zip(*shown, strict=True))
        figure.legend(handles, labels, loc="lower center", ncols=4, bbox_to_anchor=(0.5, 0.99))
        figure.supxlabel("confidence of the answer", fontsize=10)
        figure.tight_layout(h_pad=1.0)
        return svg(figure, "reliability", "share of right answers by confidence, a panel a target")


def _bins(panel: Axes, bins: list[Mapping[str, Any]], colour: str, label: str) -> None:
    for at in bins:
        if at["right"]["low"] is not None:
            panel.plot([at["confidence"]] * 2, [at["right"]["low"], at["right"]["high"]], color=colour, alpha=0.45)
    x, y = [at["confidence"] for at in bins], [at["right"]["value"] for at in bins]
    panel.plot(x, y, "o-", color=colour, markersize=3.5, linewidth=0.9, label=label)


def _counts(panel: Axes, histogram: Mapping[str, list[int]]) -> None:
    """Of answers by confidence, on a scale of powers of ten: nearly all answers are that nothing is touched."""
    bottom = np.zeros(len(HISTOGRAM) - 1)
    for name, colour, label in (
        ("touched", COLOURS["model"], "answers that a target is touched"),
        ("unrelated", COLOURS["agreement"], "that it is not"),
    ):
        panel.bar(
            HISTOGRAM[:-1], histogram[name], np.diff(HISTOGRAM) * 0.9, bottom, align="edge", color=colour, label=label
        )
        bottom += histogram[name]
    panel.set_xlim(0, 1.02)
    panel.set_xticks([0, 0.5, 1])
    panel.set_yscale("symlog", linthresh=1)
    most = max(1.0, float(bottom.max()))
    panel.set_ylim(0, most * 1.5)
    marks = [10**power for power in range(1, 7) if 10**power <= most] or [1]
    panel.set_yticks(marks[:: max(1, len(marks) // 2)])
    panel.tick_params(labelsize=7)
    panel.minorticks_off()


def risk_coverage_curves(given: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    """Share of wrong answers among those of highest confidence, all targets together and each by itself."""
    curves = {"": ("All targets", given["overall"]["risk_coverage"])}
    curves |= {target_id: (title, given["targets"][target_id]["risk_coverage"]) for target_id, title in titles.items()}
    with mpl.rc_context(STYLE):
        figure, panels = panels_of({name: title for name, (title, _) in curves.items()}, 3.6, 2.5, most=3)
        for panel, (title, both) in zip(panels, curves.values(), strict=True):
            panel.set_title(title)
            for name, colour, label in (
                ("touched", COLOURS["model"], "answers that a target is touched"),
                ("all", COLOURS["agreement"], "all answers"),
            ):
                points = [point for point in both[name]["points"] if point["value"] is not None]
                coverage = [point["coverage"] for point in points]
                known = [point for point in points if point["low"] is not None]
                panel.fill_between(
                    [point["coverage"] for point in known],
                    [point["low"] for point in known],
                    [point["high"] for point in known],
                    color=colour,
                    alpha=0.18,
                    linewidth=0,
                )
                panel.plot(coverage, [point["value"] for point in points], color=colour, label=label)
            panel.set_xlim(0, 1.0)
            panel.set_ylim(bottom=0)
            grid(panel)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="lower center", ncols=2, bbox_to_anchor=(0.5, 0.99))
        figure.supxlabel("coverage: share of answers that are kept", fontsize=10)
        figure.supylabel("share of them that is wrong", fontsize=10)
        figure.tight_layout()
        return svg(figure, "risk-coverage", "share of wrong answers by coverage, a panel a target")


def _short(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"

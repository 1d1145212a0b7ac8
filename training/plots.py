"""Plots of a report, as SVG that stands in a page by itself and takes its colours from the page's style."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from training.pages import OVERALL_TITLES

INK, FAINT, LINE = "#1c2429", "#5c676e", "#d9dfe2"
COLOURS = {"model": "#1f6f8b", "floor": "#b0791f", "agreement": "#6b6b6b"}
NAMES = {"model": "model", "floor": "floor (TF-IDF)", "agreement": "agreement of the passes"}
_VARIABLES = {INK: "--ink", FAINT: "--faint", LINE: "--line", **{hue: f"--{name}" for name, hue in COLOURS.items()}}
"""A page may be light or dark: each of these colours stands for a variable of `page.css`."""

STYLE: Any = {
    "svg.fonttype": "none",  # text stays text: it can be searched and read aloud
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlesize": 10,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "legend.frameon": False,
    "legend.labelcolor": INK,
}


def svg(figure: Figure, name: str, description: str) -> str:
    """The figure as an element of a page.

    Args:
        name: keeps its inner references apart from those of the page's other plots.
        description: what is read aloud in its place.
    """
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name}):  # the same figures give the same file
        figure.savefig(buffer, format="svg", metadata={"Date": None}, bbox_inches="tight", transparent=True)
    drawn = buffer.getvalue()[buffer.getvalue().index("<svg") :]
    for colour, variable in _VARIABLES.items():
        drawn = drawn.replace(colour, f"var({variable})")
    drawn = re.sub(r"<metadata>.*?</metadata>\s*", "", drawn, flags=re.DOTALL)
    drawn = re.sub(r'<g id="[^"]*"', "<g", drawn)  # matplotlib numbers groups anew in each figure
    return drawn.replace("<svg ", f'<svg role="img" aria-label="{description}" ', 1)


def interval_line(panel: Axes, figure: Mapping[str, Any], y: float, colour: str, label: str | None = None) -> None:
    """A figure as a dot on the line of its interval; nothing where it is undefined."""
    if figure["value"] is None:
        return
    if figure["low"] is not None:
        panel.plot([figure["low"], figure["high"]], [y, y], color=colour, linewidth=2, alpha=0.55)
    panel.plot(figure["value"], y, "o", color=colour, label=label)


def grid(panel: Axes, axis: Any = "both") -> None:
    """Thin lines behind what is drawn, along `axis` (x, y or both)."""
    panel.grid(axis=axis, color=LINE, linewidth=0.6)
    panel.set_axisbelow(True)


def panels_of(titles: Mapping[str, str], width: float, height: float, most: int = 4) -> tuple[Figure, list[Axes]]:
    """A panel a target, at most so many in a row."""
    columns = min(most, len(titles))
    rows = -(-len(titles) // columns)
    figure = Figure(figsize=(width * columns, height * rows))
    panels = list(figure.subplots(rows, columns, squeeze=False).ravel())
    for panel in panels[len(titles) :]:
        panel.set_visible(False)
    return figure, panels[: len(titles)]


def figures_by_target(given: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    """Macro-F1 and F_avg of each target with their intervals, model beside floor and agreement."""
    shown = [name for name in COLOURS if name in given]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.5, 0.62 * len(titles) + 1.3))
        panels = figure.subplots(1, 2, sharey=True)
        for panel, (measure, label) in zip(
            panels, (("macro_f1", "macro-F1"), ("pole_f1", "F_avg (mean F1 of the poles)")), strict=True
        ):
            for offset, name in enumerate(shown):
                for row, target_id in enumerate(titles):
                    y = row + 0.24 * (offset - (len(shown) - 1) / 2)
                    at = given[name]["targets"][target_id][measure]
                    interval_line(panel, at, y, COLOURS[name], NAMES[name] if row == 0 else None)
            panel.set_xlim(0, 1.02)
            panel.set_xlabel(label)
            grid(panel, "x")
        panels[0].set_yticks(range(len(titles)), list(titles.values()))
        panels[0].set_ylim(len(titles) - 0.5, -0.5)  # rows without a figure have their place too
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="lower center", ncols=len(shown), bbox_to_anchor=(0.5, 0.97))
        figure.tight_layout()
        return svg(figure, "by-target", "macro-F1 and F_avg of each target with intervals; the table below holds them")


def confusion_matrices(given: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    """Shares of each labelled class that were given each outcome, with the counts written in."""
    with mpl.rc_context(STYLE):
        figure, panels = panels_of(titles, 2.9, 3.0)
        for panel, (target_id, title) in zip(panels, titles.items(), strict=True):
            about = given["targets"][target_id]
            counts, outcomes = about["confusion"], list(about["classes"])
            panel.set_title(title)
            panel.set_xlim(-0.5, len(outcomes) - 0.5)
            panel.set_ylim(len(outcomes) - 0.5, -0.5)
            panel.set_aspect("equal")
            panel.set_xticks(range(len(outcomes)), outcomes, rotation=45, ha="right", fontsize=8)
            panel.set_yticks(range(len(outcomes)), outcomes, fontsize=8)
            for i, line in enumerate(counts):
                for j, count in enumerate(line):
                    share = count / max(1, sum(line))
                    # Never so strong that the page's ink could not be read on it, in light or dark.
                    tint = Rectangle(
                        (j - 0.48, i - 0.48), 0.96, 0.96, facecolor=COLOURS["model"], alpha=0.03 + 0.52 * share
                    )
                    panel.add_patch(tint)
                    panel.text(j, i, str(count), ha="center", va="center", fontsize=8)
            panel.tick_params(length=0)
            for side in panel.spines.values():
                side.set_visible(False)
        figure.supxlabel("answered", fontsize=10)
        figure.supylabel("labelled", fontsize=10)
        figure.tight_layout()
        return svg(figure, "confusion", "confusion matrix of each target, with counts")


_LOG_FROM = 20
"""From how many times the smallest number of sentences on the axis is logarithmic."""


def learning_curve(points: Sequence[Mapping[str, Any]]) -> str:
    """Figures by the number of training sentences, with intervals."""
    names = list(dict.fromkeys(point["name"] for point in points))
    colours = list(COLOURS.values())
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7, 3.6))
        panel = figure.subplots()
        for number, name in enumerate(names):
            colour, around = colours[number % len(colours)], number // len(colours)
            curve = [point for point in points if point["name"] == name]
            sentences = [point["sentences"] for point in curve]
            panel.fill_between(
                sentences,
                [point["low"] for point in curve],
                [point["high"] for point in curve],
                color=colour,
                alpha=0.18,
                linewidth=0,
            )
            # Where there are more curves than colours, a mark and a line tell those of one colour apart.
            line = ("o-", "s--", "^:")[around % 3]
            panel.plot(sentences, [point["figure"] for point in curve], line, color=colour, label=name)
        panel.set_xlabel("training sentences")
        sizes = [point["sentences"] for point in points]
        if max(sizes) > _LOG_FROM * min(sizes):
            panel.set_xscale("log")
        else:
            panel.set_xlim(left=0)
        measures = list(dict.fromkeys(point["measure"] for point in points if point["measure"]))
        if len(names) == 1:
            panel.set_ylabel(names[0])
        else:
            panel.legend(loc="upper left")
            panel.set_ylabel(", ".join(OVERALL_TITLES.get(measure, measure) for measure in measures))
        grid(panel)
        figure.tight_layout()
        return svg(figure, "learning-curve", "figures by the number of training sentences")


def differences_by_target(given: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    """Macro-F1 of one model minus that of another, with the intervals of the paired bootstrap."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7, 0.4 * len(titles) + 1.0))
        panel = figure.subplots()
        panel.axvline(0, color=FAINT, linewidth=1)
        for row, target_id in enumerate(titles):
            interval_line(panel, given["targets"][target_id]["macro_f1"], row, COLOURS["model"])
        panel.set_yticks(range(len(titles)), list(titles.values()))
        panel.invert_yaxis()
        panel.set_xlabel("macro-F1: A − B")
        grid(panel, "x")
        figure.tight_layout()
        return svg(figure, "differences", "difference of macro-F1 by target; the table below holds it")

"""Plots of the report on scored feeds: small ones, one a target, that a narrow screen shows as they are."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any

import matplotlib as mpl
from markupsafe import escape
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, DateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, MaxNLocator

from labels.taxonomy import Target
from serving.feeds.figures import Bins, Point, last_day
from serving.feeds.means import Mean
from training.plots import COLOURS, FAINT, INK, STYLE, grid, svg

_WIDTH = 4.0
"""Inches, of 72 points each: on a telephone, and beside two others on a desk, a point is a little over a pixel."""

_COLOUR = COLOURS["model"]
_LONGEST_NAME = 20
_LIMITS = (0.2, 0.5, 1.0)


def reach(given: Iterable[Mean]) -> float:
    """How far from 0 the axes of plots go that are to be compared: as far as any mean or interval, in round steps."""
    bounds = [abs(bound) for mean in given for bound in (mean.value, mean.low, mean.high) if bound is not None]
    return next((limit for limit in _LIMITS if all(bound <= limit for bound in bounds)), _LIMITS[-1])


def plot_over_time(target: Target, bins: Bins, points: Sequence[Point], span: tuple[date, date], limit: float) -> str:
    """Means of a target with intervals above the number of articles, for each day, week or month.

    Args:
        target: whose poles name the ends of the axis.
        bins: how long a stretch of `points` is.
        points: in order; at least one.
        span: first and last day of the axis, the same for all targets.
        limit: of the scores, the same for all targets: see `reach`.
    """
    with _drawing():
        figure = Figure(figsize=(_WIDTH, 2.7))
        panel, below = figure.subplots(
            2,
            1,
            sharex=True,
            gridspec_kw={
                "height_ratios": [3.6, 1],
                "hspace": 0.12,
                "left": 0.16,
                "right": 0.99,
                "top": 0.98,
                "bottom": 0.17,
            },
        )
        stretches = [_stretch(point.first, bins, span) for point in points]
        at = [(first + last) / 2 for first, last in stretches]
        # Stretches of few articles are shown, but no line leads to them.
        sure = [(x, point.mean.value) for x, point in zip(at, points, strict=True) if not point.mean.few]
        panel.plot([x for x, _ in sure], [y for _, y in sure], color=_COLOUR, linewidth=0.9, alpha=0.45)
        for x, point in zip(at, points, strict=True):
            _upright(panel, x, point.mean)
        _scale(panel.yaxis, panel.set_ylim, limit)
        panel.axhline(0, color=FAINT, linewidth=0.8)
        panel.set_ylabel("mean score")
        for height, alignment, pole in ((0.985, "top", target.conciliatory), (0.015, "bottom", target.other)):
            panel.text(0.012, height, pole, transform=panel.transAxes, va=alignment, ha="left", color=FAINT, fontsize=9)
        grid(panel, "y")
        _whole(figure)
        widths = [0.85 * (last - first + 1) for first, last in stretches]
        below.bar(at, [point.mean.articles for point in points], width=widths, color=FAINT, alpha=0.55)
        below.set_ylabel("articles")
        below.yaxis.set_major_locator(MaxNLocator(2, integer=True, min_n_ticks=1))
        below.set_ylim(0, max(1.0, 1.15 * max(point.mean.articles for point in points)))
        _dates(below, span)
        figure.align_ylabels([panel, below])
        return svg(figure, f"time-{target.id}", _read_aloud(target, bins, points))


def plot_by_name(target: Target, kind: str, named: Mapping[str, Mean], limit: float) -> str:
    """Means of a target with intervals, a line an outlet or a holder, with the number of articles.

    Args:
        target: whose poles name the ends of the axis.
        kind: what the names are, for those who hear the plot.
        named: at least one.
        limit: of the scores, the same for all targets: see `reach`.
    """
    with _drawing():
        figure = Figure(figsize=(_WIDTH, 0.26 * len(named) + 0.75))
        # All the same, however long the names are.
        panel = figure.subplots(gridspec_kw={"left": 0.43, "right": 0.98, "top": 0.99})
        panel.axvline(0, color=FAINT, linewidth=0.8)
        _whole(figure)
        for row, mean in enumerate(named.values()):
            _lying(panel, row, mean)
        labels = [f"{_shortened(name)} ({mean.articles})" for name, mean in named.items()]
        panel.set_yticks(range(len(named)), labels, fontsize=9)
        panel.set_ylim(len(named) - 0.4, -0.6)
        panel.tick_params(axis="y", length=0)
        _scale(panel.xaxis, panel.set_xlim, limit)
        panel.set_xlabel(f"mean score\n← {target.other} · {target.conciliatory} →")
        grid(panel, "x")
        said = "; ".join(f"{name} {in_words(mean)}" for name, mean in named.items())
        return svg(figure, f"{kind}-{target.id}", str(escape(_plain(f"{target.title} by {kind}: {said}"))))


def in_words(mean: Mean) -> str:
    """A mean with its interval, for those who hear it."""
    if mean.value is None:
        return "no sure answer"
    if mean.low is None or mean.high is None:
        return f"{mean.value:+.2f} (few articles)"
    return f"{mean.value:+.2f} ({mean.low:+.2f} to {mean.high:+.2f})"


def _read_aloud(target: Target, bins: Bins, points: Sequence[Point]) -> str:
    values = [point.mean.value for point in points if point.mean.value is not None]
    said = (
        f"{target.title} by {bins}, {points[0].first} to {last_day(points[-1].first, bins)}: mean score between "
        f"{min(values):+.2f} and {max(values):+.2f}, at last {in_words(points[-1].mean)}; "
        f"below 0 is {target.other}, above {target.conciliatory}. The table below holds the figures."
    )
    return str(escape(_plain(said)))


def _whole(figure: Figure) -> None:
    """Keep the margins that `svg` would cut off: only so do letters have one size in all plots."""
    figure.add_artist(Rectangle((0, 0), 1, 1, transform=figure.transFigure, facecolor="none", edgecolor="none"))


def _upright(panel: Axes, x: float, mean: Mean) -> None:
    _dot(panel, x, mean.value, mean, [x, x], [mean.low, mean.high])


def _lying(panel: Axes, y: float, mean: Mean) -> None:
    _dot(panel, mean.value, y, mean, [mean.low, mean.high], [y, y])


def _dot(panel: Axes, x: Any, y: Any, mean: Mean, along: list[Any], up: list[Any]) -> None:
    """Full with its interval; hollow where there are too few articles for one."""
    if mean.value is None:
        return
    if mean.low is not None:
        panel.plot(along, up, color=_COLOUR, linewidth=2, alpha=0.55)
    # "none" would let grid lines show through, but no colour is right on both grounds.
    panel.plot(x, y, "o", color=_COLOUR, markersize=4.5, fillstyle="none" if mean.few else "full")


def _scale(axis: Any, limit_axis: Any, limit: float) -> None:
    limit_axis(-1.06 * limit, 1.06 * limit)
    ticks = [-limit, -limit / 2, 0, limit / 2, limit]
    axis.set_ticks(ticks, [f"{tick:+g}".replace("-", "−") if tick else "0" for tick in ticks])


def _dates(panel: Axes, span: tuple[date, date]) -> None:
    first, last = span
    days = (last - first).days + 1
    panel.set_xlim(_number(first) - 0.6 - 0.01 * days, _number(last) + 0.6 + 0.01 * days)
    if days < 5:
        panel.xaxis.set_major_locator(FixedLocator([_number(first + timedelta(days=n)) for n in range(days)]))
    else:
        panel.xaxis.set_major_locator(AutoDateLocator(minticks=3, maxticks=5))  # type: ignore[no-untyped-call]
    form = "%b %Y" if days > 300 else "%-d %b"
    panel.xaxis.set_major_formatter(DateFormatter(form))  # type: ignore[no-untyped-call]
    years = f"{first:%Y}" if first.year == last.year else f"{first:%Y} to {last:%Y}"
    panel.set_xlabel("day of the article" if days > 300 else f"day of the article, {years}")


def _stretch(first: date, bins: Bins, span: tuple[date, date]) -> tuple[float, float]:
    """First and last day of what the axis shows of a stretch."""
    return _number(max(first, span[0])), _number(min(last_day(first, bins), span[1]))


def _number(day: date) -> float:
    return float(date2num(day))  # type: ignore[no-untyped-call]


def _shortened(name: str) -> str:
    name = _plain(name) or "no name"
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1].rstrip()}…"


def _plain(text: str) -> str:
    """Without what no page can hold: names come from feeds."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


@contextmanager
def _drawing() -> Iterator[None]:
    # A name with two dollar signs is no formula; letters that matplotlib has no shape for are the browser's to draw.
    with mpl.rc_context({**STYLE, "text.parse_math": False, "axes.labelcolor": INK}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        yield

"""Pages made from templates: what reports share, and the page on agreement."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

OVERALL_TITLES = {
    "mean_macro_f1": "Mean macro-F1 over targets",
    "issue_pole_f1": "Mean F_avg over issues",
    "issue_side_f1": "(issue, side) micro-F1",
}

TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=jinja2.select_autoescape(["html.j2"]),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


UNDEFINED = "–"
"""What stands for a figure that cannot be computed, because the sentences hold nothing of the kind."""


def interval(figure: Mapping[str, float | None], digits: int = 2) -> str:
    """A figure with its 95% interval, or a dash where it is undefined."""
    value, low, high = figure["value"], figure["low"], figure["high"]
    if value is None:
        return UNDEFINED
    if low is None or high is None:
        return f"{value:z.{digits}f}"
    return f"{value:z.{digits}f} [{low:z.{digits}f}, {high:z.{digits}f}]"


def plain(value: float | None, digits: int = 3) -> str:
    """A figure, or a dash where it is undefined."""
    return UNDEFINED if value is None else f"{value:z.{digits}f}"


TEMPLATES.filters |= {"interval": interval, "plain": plain}

MOST_DIFFERENCES = 50
"""How many sentences that annotators differ on stand in a page."""


def agreement_page(figures: Mapping[str, Any]) -> str:
    """The page on what `training.agreement.agreement` returns; it needs nothing beside it."""
    template = TEMPLATES.get_template("agreement.html.j2")
    return template.render(figures=figures, differences=figures["differences"][:MOST_DIFFERENCES])

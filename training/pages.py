"""Pages made from templates: what reports share, and the page on agreement."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=jinja2.select_autoescape(["html.j2"]),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def interval(figure: Mapping[str, float | None]) -> str:
    """A figure with its 95% interval, or a dash where it is undefined."""
    value, low, high = figure["value"], figure["low"], figure["high"]
    if value is None:
        return "–"
    if low is None or high is None:
        return f"{value:z.2f}"
    return f"{value:z.2f} [{low:z.2f}, {high:z.2f}]"


TEMPLATES.filters["interval"] = interval

MOST_DIFFERENCES = 50
"""How many sentences that annotators differ on stand in a page."""


def agreement_page(figures: Mapping[str, Any]) -> str:
    """The page on what `training.agreement.agreement` returns; it needs nothing beside it."""
    template = TEMPLATES.get_template("agreement.html.j2")
    return template.render(figures=figures, differences=figures["differences"][:MOST_DIFFERENCES])

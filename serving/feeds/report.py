"""The report on scored feeds as one page that needs nothing beside it: `stance feeds report`, `/feeds`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from labels.files import write_whole
from labels.taxonomy import Target, Taxonomy, load_taxonomy, parse_taxonomy
from serving.feeds.coverage import Coverage, coverage
from serving.feeds.extremes import extremes
from serving.feeds.figures import Ask, Period, Tallies, by_holder, by_outlet, last_day, over_time, tallies
from serving.feeds.last_report import (
    Changed,
    Said,
    as_json,
    changed,
    changed_since,
    collection_mark,
    means_by_target,
    read_said,
)
from serving.feeds.means import FEW, MANY, Mean
from serving.feeds.report_plots import plot_by_name, plot_over_time, reach
from training.home import stored_model
from training.model_folder import DEFAULT_MODEL, shipped_version
from training.pages import TEMPLATES

PLOTTED = 12
"""Outlets, or holders, of a plot: those with most articles. The table below it has more."""

LISTED = 200
"""Outlets, or holders, of a table."""

_FOLDER = Path(__file__).parent / "templates"
# The styles of all reports lie with those of the model's.
_TEMPLATES = TEMPLATES.overlay(
    loader=jinja2.ChoiceLoader([jinja2.FileSystemLoader(_FOLDER), *filter(None, [TEMPLATES.loader])])
)


def write_report(ask: Ask, out: Path, period: Period, now: datetime) -> list[Path]:
    """Write the report, and beside it what the next one is compared with.

    Args:
        ask: answers questions about the collection.
        out: the page; the other file has its name with the ending `.json`.
        period: days of the articles.
        now: the moment, with zone.

    Returns:
        both files.

    Raises:
        StanceError: they cannot be written, or the file beside is something else.
    """
    memory = out.with_suffix(".json")
    taxonomy, strange = taxonomy_of(ask)
    given = tallies(ask, period, taxonomy)
    collection, newest = collection_mark(ask)
    last = read_said(memory, collection)
    counted = coverage(ask, period)
    change = changed(given, taxonomy, period, last) if last else None
    page = _page(ask, period, now, taxonomy, strange, given, counted, change)
    said = Said(
        made=now,
        collection=collection,
        newest=newest,
        period=period,
        versions=tuple(counted.versions),
        targets=means_by_target(taxonomy, given.means()),
    )
    # In this order: cut off between the two, the next report tells of changes once more rather than not at all.
    write_whole(out, page)
    write_whole(memory, as_json(said))
    return [out, memory]


def page_since(ask: Ask, now: datetime, hours: int) -> str:
    """The report of the whole collection, with what changed in the last hours; leaves nothing behind."""
    taxonomy, strange = taxonomy_of(ask)
    given = tallies(ask, Period(), taxonomy)
    change = changed_since(given, taxonomy, ask, now - timedelta(hours=hours))
    return _page(ask, Period(), now, taxonomy, strange, given, coverage(ask, Period()), change)


def taxonomy_of(ask: Ask) -> tuple[Taxonomy, tuple[str, ...]]:
    """The taxonomy of the newest model that scored, as far as it is at hand, else the project's own; and the targets
    that were scored but are not in it, whose poles nobody knows."""
    versions = [row[0] for row in ask("SELECT version FROM latest GROUP BY 1 ORDER BY max(article) DESC, 1")]
    scored = {row[0] for row in ask("SELECT DISTINCT target FROM latest")}
    found = next((taxonomy for version in versions if (taxonomy := _of_model(version))), None) or load_taxonomy()
    return found, tuple(sorted(scored - set(found.ids)))


def _of_model(version: str) -> Taxonomy | None:
    folder = DEFAULT_MODEL if version == shipped_version() else stored_model(version)
    try:
        return parse_taxonomy(json.loads((folder / "model.json").read_bytes()), folder / "model.json")
    except (OSError, ValueError):
        return None


def _page(
    ask: Ask,
    period: Period,
    now: datetime,
    taxonomy: Taxonomy,
    strange: Sequence[str],
    given: Tallies,
    counted: Coverage,
    change: Changed | None,
) -> str:
    outlets = _means_by_name(by_outlet(ask, period, taxonomy))
    holders = _means_by_name(by_holder(ask, period, taxonomy))
    span = (counted.first, counted.last)
    overall = means_by_target(taxonomy, given.means())
    return _TEMPLATES.get_template("feeds-report.html.j2").render(
        period=period,
        made=now,
        taxonomy=taxonomy,
        strange=strange,
        coverage=counted,
        overall=overall,
        unsure=_unsure(given, taxonomy),
        silent=[target.title for target in taxonomy if overall[target.id].value is None],
        time=_over_time(given, taxonomy, span),
        named={
            kind: {
                "plots": _plots_by_name(kind, means, taxonomy),
                "means": dict(list(means.items())[:LISTED]),
                "all": len(means),
            }
            for kind, means in (("outlet", outlets), ("holder", holders))
            if means
        },
        extremes=extremes(ask, period, taxonomy),
        changed=change,
        few=FEW,
        many=MANY,
        plotted=PLOTTED,
        last_day=last_day,
    )


def _unsure(given: Tallies, taxonomy: Taxonomy) -> dict[str, float | None]:
    """Mean score of the abstained answers, which no other figure contains."""
    sums, numbers = given.unsure_totals.sum(axis=0), given.unsure.sum(axis=0)
    return {target_id: float(sums[t] / numbers[t]) if numbers[t] else None for t, target_id in enumerate(taxonomy.ids)}


def _over_time(
    given: Tallies, taxonomy: Taxonomy, span: tuple[date | None, date | None]
) -> list[tuple[Target, dict[str, Any]]]:
    first, last = span
    if first is None or last is None:
        return []
    shown = [(target, *binned) for target, binned in zip(taxonomy, over_time(given), strict=True) if binned[1]]
    limit = reach(point.mean for _, _, points in shown for point in points)
    return [
        (
            target,
            {
                "bins": bins,
                "points": points,
                "plot": Markup(plot_over_time(target, bins, points, (first, last), limit)),
            },
        )
        for target, bins, points in shown
    ]


def _means_by_name(given: Mapping[str, Tallies]) -> dict[str, list[Mean]]:
    return {name: of.means() for name, of in given.items()}


def _plots_by_name(kind: str, means: Mapping[str, list[Mean]], taxonomy: Taxonomy) -> list[tuple[Target, Markup]]:
    shown = list(means.items())[:PLOTTED]
    limit = reach(mean for _, of in shown for mean in of)
    plots = []
    for t, target in enumerate(taxonomy):
        named = {name: of[t] for name, of in shown if of[t].value is not None}
        if named:
            plots.append((target, Markup(plot_by_name(target, kind, named, limit))))
    return plots

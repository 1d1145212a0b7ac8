"""The numbers of the report on scored feeds, asked of the views of `serving.feeds.query`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from labels.taxonomy import UNRELATED, Taxonomy
from serving.feeds.means import FEW, Mean, means
from serving.feeds.query import TOUCHING

Ask = Callable[[str], Sequence[tuple[Any, ...]]]
"""Answers a question in DuckDB's SQL over the views."""

Bins = Literal["day", "week", "month"]

_LONGEST: Mapping[Bins, int] = {"day": 92, "week": 3 * 366}
"""Over how many days a point a day, or a week, can still be told apart in a plot."""


@dataclass(frozen=True)
class Period:
    """Days of articles, both included; None where open."""

    since: date | None = None
    until: date | None = None

    def within(self, column: str = "date") -> str:
        """As a condition in SQL."""
        bounds = [(">=", self.since), ("<=", self.until)]
        return " AND ".join([f"{column} {sign} DATE '{day}'" for sign, day in bounds if day] or ["true"])


@dataclass(frozen=True)
class Tallies:
    """Articles and what their sentences voice; the axis of targets is that of the taxonomy.

    Attributes:
        ids: shape (articles,).
        days: likewise.
        totals: sums of the scores that count, shape (articles, targets).
        counts: how many sentences those are.
        unsure_totals: sums of the scores of abstained answers that name a class of the target.
        unsure: how many sentences those are.
    """

    ids: NDArray[np.int64]
    days: NDArray[np.datetime64]
    totals: NDArray[np.float64]
    counts: NDArray[np.int64]
    unsure_totals: NDArray[np.float64]
    unsure: NDArray[np.int64]

    def means(self, chosen: NDArray[np.bool_] | None = None) -> list[Mean]:
        """Of all articles, or of some: a mean a target."""
        return means(*self.part(slice(None) if chosen is None else chosen))

    def part(self, chosen: NDArray[np.bool_] | slice) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Totals and counts of some articles."""
        return self.totals[chosen], self.counts[chosen]


@dataclass(frozen=True)
class Point:
    """A mean of one stretch of days.

    Attributes:
        first: its first day.
        mean: of its articles.
    """

    first: date
    mean: Mean


def tallies(ask: Ask, period: Period, taxonomy: Taxonomy) -> Tallies:
    """Every scored article of the period once, however often it appeared."""
    return next(
        iter(_tallied(ask, period, taxonomy, "SELECT '' AS named, * FROM latest").values()), _no_tallies(taxonomy)
    )


def by_outlet(ask: Ask, period: Period, taxonomy: Taxonomy) -> dict[str, Tallies]:
    """Every article at each outlet that carried it, "" where that has no name; the one with most articles first."""
    carried = "SELECT DISTINCT article, coalesce(trim(outlet), '') AS named FROM appearances"
    source = (
        f"SELECT carried.named, latest.* FROM latest JOIN ({carried}) AS carried ON carried.article = latest.article"
    )
    return _tallied(ask, period, taxonomy, source)


def by_holder(ask: Ask, period: Period, taxonomy: Taxonomy) -> dict[str, Tallies]:
    """The sentences of each holder of a stance; empty while none is known."""
    return _tallied(ask, period, taxonomy, "SELECT holder AS named, * FROM latest WHERE holder IS NOT NULL")


def over_time(given: Tallies) -> list[tuple[Bins, list[Point]]]:
    """For each target, how its days are thrown together, and the points; stretches without a sentence are left out."""
    if not len(given.ids):
        return [("day", []) for _ in range(given.counts.shape[1])]
    points: dict[Bins, list[tuple[date, list[Mean]]]] = {}
    found = []
    for t in range(given.counts.shape[1]):
        bins = _bins(given.days[given.counts[:, t] > 0])
        if bins not in points:
            points[bins] = _in_bins(given, bins)
        found.append((bins, [Point(first, of[t]) for first, of in points[bins] if of[t].value is not None]))
    return found


def _bins(days: NDArray[np.datetime64]) -> Bins:
    """Days, unless most have too few articles for an interval or there are too many to tell apart."""
    if not len(days):
        return "day"
    span = int((days.max() - days.min()).astype(int)) + 1
    articles = np.unique(days, return_counts=True)[1]
    if span <= _LONGEST["day"] and (span <= 7 or np.median(articles) >= FEW):
        return "day"
    return "week" if span <= _LONGEST["week"] else "month"


def _in_bins(given: Tallies, bins: Bins) -> list[tuple[date, list[Mean]]]:
    if bins == "week":
        # The epoch was a Thursday; weeks begin on Monday.
        first = given.days - ((given.days.astype("datetime64[D]").astype(int) + 3) % 7).astype("timedelta64[D]")
    else:
        first = given.days.astype("datetime64[M]" if bins == "month" else "datetime64[D]").astype("datetime64[D]")
    return [(each.astype(object), given.means(first == each)) for each in np.unique(first)]


def last_day(first: date, bins: Bins) -> date:
    """The last day of a stretch."""
    if bins == "day":
        return first
    following = first + timedelta(days=7 if bins == "week" else 32)
    return (following if bins == "week" else following.replace(day=1)) - timedelta(days=1)


def _tallied(ask: Ask, period: Period, taxonomy: Taxonomy, source: str) -> dict[str, Tallies]:
    unsure = f"label <> '{UNRELATED}' AND abstained"
    rows = ask(f"""
        SELECT named, article, date, target,
          coalesce(sum(score) FILTER ({TOUCHING}), 0), count(*) FILTER ({TOUCHING}),
          coalesce(sum(score) FILTER ({unsure}), 0), count(*) FILTER ({unsure})
        FROM ({source}) WHERE {period.within()} GROUP BY ALL ORDER BY named, article
    """)
    grouped: dict[str, list[tuple[Any, ...]]] = {}
    for named, *row in rows:
        grouped.setdefault(str(named), []).append(tuple(row))
    found = {named: _as_tallies(of, taxonomy) for named, of in grouped.items()}
    return dict(sorted(found.items(), key=lambda item: (-len(item[1].ids), item[0])))


def _as_tallies(rows: Sequence[tuple[Any, ...]], taxonomy: Taxonomy) -> Tallies:
    ids, place = np.unique(np.array([row[0] for row in rows], dtype=np.int64), return_inverse=True)
    days = np.empty(len(ids), dtype="datetime64[D]")
    days[place] = np.array([row[1] for row in rows], dtype="datetime64[D]")
    columns = {target_id: t for t, target_id in enumerate(taxonomy.ids)}
    # A target that this taxonomy lacks has no poles to be read by.
    known = [(n, columns[row[2]]) for n, row in enumerate(rows) if row[2] in columns]
    tables = [np.zeros((len(ids), len(taxonomy))) for _ in range(4)]
    for n, t in known:
        for table, value in zip(tables, rows[n][3:], strict=True):
            table[place[n], t] += float(value)
    totals, counts, unsure_totals, unsure = tables
    return Tallies(ids, days, totals, counts.astype(np.int64), unsure_totals, unsure.astype(np.int64))


def _no_tallies(taxonomy: Taxonomy) -> Tallies:
    return _as_tallies([], taxonomy)

"""What a collection of scored feeds holds, counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from labels.taxonomy import UNRELATED
from serving.feeds.figures import Ask, Period
from serving.feeds.query import TOUCHING


@dataclass(frozen=True)
class TargetCoverage:
    """Sentences by how a target was answered.

    Attributes:
        counted: they touch it, and the answer is sure.
        unsure: a class of it was named, but the answer abstained.
        unsure_whether: abstained on whether it is touched at all.
    """

    counted: int
    unsure: int
    unsure_whether: int


@dataclass(frozen=True)
class Coverage:
    """Counts of the articles of a period.

    Attributes:
        articles: different ones.
        appearances: how often they appeared in feeds.
        feeds: in how many.
        outlets: of how many outlets.
        scored: articles that have scores.
        languages: articles without scores, by language.
        dates: articles by how their date was marked.
        sentences: scored.
        touching: sentences that touch at least one target, surely.
        targets: by target.
        versions: articles by the version of the model that scored them.
        first: first day of a scored article.
        last: the last.
    """

    articles: int
    appearances: int
    feeds: int
    outlets: int
    scored: int
    languages: Mapping[str, int]
    dates: Mapping[str, int]
    sentences: int
    touching: int
    targets: Mapping[str, TargetCoverage]
    versions: Mapping[str, int]
    first: date | None
    last: date | None


def coverage(ask: Ask, period: Period) -> Coverage:
    """Count."""
    within = period.within()
    articles, appearances, feeds, outlets = ask(
        "SELECT count(DISTINCT articles.id), count(appearances.guid), count(DISTINCT appearances.feed),"
        " count(DISTINCT nullif(trim(appearances.outlet), ''))"
        " FROM articles LEFT JOIN appearances ON appearances.article = articles.id"
        f" WHERE {period.within('articles.date')}"
    )[0]
    languages = ask(
        f"SELECT coalesce(language, 'und'), count(*) FROM articles WHERE {within}"
        " AND id NOT IN (SELECT article FROM latest) GROUP BY 1 ORDER BY 2 DESC, 1"
    )
    dates = ask(f"SELECT date_mark, count(*) FROM articles WHERE {within} GROUP BY 1 ORDER BY 2 DESC, 1")
    scored, first, last = ask(f"SELECT count(DISTINCT article), min(date), max(date) FROM latest WHERE {within}")[0]
    sentences, touching = ask(
        "SELECT count(*), count(*) FILTER (touches) FROM"
        f" (SELECT bool_or({TOUCHING}) AS touches FROM latest WHERE {within}"
        " GROUP BY article, sentence)"
    )[0]
    targets = ask(
        f"SELECT target, count(*) FILTER ({TOUCHING}),"
        f" count(*) FILTER (label <> '{UNRELATED}' AND abstained),"
        f" count(*) FILTER (label = '{UNRELATED}' AND abstained)"
        f" FROM latest WHERE {within} GROUP BY 1"
    )
    versions = ask(f"SELECT version, count(DISTINCT article) FROM latest WHERE {within} GROUP BY 1 ORDER BY 2 DESC, 1")
    return Coverage(
        articles=articles,
        appearances=appearances,
        feeds=feeds,
        outlets=outlets,
        scored=scored,
        languages=dict(languages),
        dates=dict(dates),
        sentences=sentences,
        touching=touching,
        targets={row[0]: TargetCoverage(*row[1:]) for row in targets},
        versions=dict(versions),
        first=first,
        last=last,
    )

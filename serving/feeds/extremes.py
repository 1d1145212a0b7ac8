"""The sentences nearest to the poles of a target, and where they stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from labels.taxonomy import Taxonomy
from serving.feeds.figures import Ask, Period

SHOWN = 5
"""Sentences a pole."""


@dataclass(frozen=True)
class Extreme:
    """A sentence near a pole.

    Attributes:
        text: of the sentence.
        score: p(conciliatory pole) − p(other pole).
        probability: of the pole.
        day: of the article that had it first.
        title: of that article.
        url: of that article; None unless it is one that may be followed.
        outlet: of that article.
        articles: in how many it stands.
        outlets: how many outlets carried that first article.
    """

    text: str
    score: float
    probability: float
    day: date
    title: str | None
    url: str | None
    outlet: str | None
    articles: int
    outlets: int


def extremes(ask: Ask, period: Period, taxonomy: Taxonomy) -> Mapping[tuple[str, str], Sequence[Extreme]]:
    """The most pronounced sure answers for each target and pole; a sentence that stands in many articles once.

    Returns:
        (target, pole) → sentences, the most pronounced first; a pole that nothing voices is missing.
    """
    poles = ", ".join(
        f"({_quoted(target.id)}, {_quoted(pole)})"
        for target in taxonomy
        for pole in (target.conciliatory, target.other)
    )
    rows = ask(f"""
        WITH found AS (
          SELECT target, label, text, arg_min(score, article) AS reached,
            arg_min(probabilities[label], article) AS probability, min(article) AS article,
            arg_min({{'date': date, 'title': title, 'url': url, 'outlet': outlet}}, article) AS source,
            count(DISTINCT article) AS articles
          FROM latest WHERE NOT abstained AND (target, label) IN ({poles}) AND {period.within()}
          GROUP BY target, label, text
        ), most AS (
          FROM found
          QUALIFY row_number() OVER (PARTITION BY target, label ORDER BY abs(reached) DESC, text) <= {SHOWN}
        ), carried AS (SELECT article, count(DISTINCT outlet) AS outlets FROM appearances GROUP BY article)
        SELECT target, label, text, reached, probability,
          source.date, source.title, source.url, source.outlet, articles, outlets
        FROM most LEFT JOIN carried USING (article) ORDER BY target, label, abs(reached) DESC, text
    """)
    found: dict[tuple[str, str], list[Extreme]] = {}
    for target, label, *about in rows:
        found.setdefault((target, label), []).append(_extreme(about))
    return found


def _extreme(about: Sequence[Any]) -> Extreme:
    text, score, probability, day, title, url, outlet, articles, outlets = about
    return Extreme(
        text, float(score), float(probability), day, title, followable(url), outlet, articles, max(1, outlets or 0)
    )


def followable(url: str | None) -> str | None:
    """The address, if it is one of the web: what feeds give may as well be a script."""
    if not url or any(ord(c) <= 0x20 or ord(c) == 0x7F for c in url):
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return url if parts.scheme in ("http", "https") and parts.hostname else None


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"

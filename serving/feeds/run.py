"""One run: ask the feeds, take in what they bring, score what waits. Every step can be repeated, and is done once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from serving.feeds.admission import Stories, known_stories
from serving.feeds.article_voices import holder_finder
from serving.feeds.batches import plan, settle
from serving.feeds.model_in_use import ModelInUse
from serving.feeds.scoring_articles import score_planned
from serving.feeds.taking_in import AddressTrouble, Reading, Subscriptions, take_in
from serving.scoring import check_fast
from training.outcomes import Progress

Build = Callable[[Iterable[tuple[int, bytes, str | None, str]]], Stories]
"""Makes `Stories` of what is known."""


@dataclass(frozen=True)
class Summary:
    """What a run came to.

    Attributes:
        feeds: asked.
        new: entries that they brought.
        articles: that were not known, with new versions of known ones.
        versions: of those, texts that were replaced at the same address.
        duplicates: further appearances of known articles.
        other_languages: of the articles, those that are kept and not scored.
        unread: entries of which no article could be made.
        scored: articles.
        sentences: scored.
        version: of the model.
        stopped: whether it was asked to stop before the end.
        troubles: addresses and reasons.
    """

    feeds: int
    new: int
    articles: int
    versions: int
    duplicates: int
    other_languages: int
    unread: int
    scored: int
    sentences: int
    version: str
    stopped: bool
    troubles: tuple[AddressTrouble, ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def run_once(
    folder: Path,
    engine: Engine,
    subscriptions: Subscriptions,
    reading: Reading,
    stories: Build,
    models: ModelInUse,
    progress: Progress,
    stop: Callable[[], bool],
    *,
    rescore: bool = False,
    fast: bool = False,
    holders: bool = True,
) -> Summary:
    """Ask, take in, score; under `run_lock`.

    Args:
        folder: of the feeds, where files of scores go.
        engine: of the state, see `open_state`.
        subscriptions: the feeds.
        reading: how entries become articles.
        stories: finds articles that are known.
        models: what scores.
        progress: told how far it is.
        stop: whether to leave off after the step in hand.
        rescore: whether to score what only other models have scored.
        fast: whether the model's fast path answers what is clear.
        holders: whether it is found out who voices what.

    Raises:
        StanceError: a model, the state or a file cannot be used.
    """
    model = models.now()
    if fast:
        check_fast(model)
    finder = holder_finder() if holders else None
    now = datetime.now(UTC)
    polled = subscriptions.poll(now, progress, stop)
    with engine.begin() as db:
        known = stories(known_stories(db))
    taken = take_in(subscriptions, reading, engine, known, now, progress, stop)
    with engine.begin() as db:
        settle(db, folder, model.version)
        plan(db, model.version, now, rescore=rescore)
    scored = score_planned(engine, folder, model, finder, progress, stop, fast=fast)
    counts = taken.counts
    return Summary(
        feeds=polled.feeds,
        new=polled.new,
        articles=counts["new"] + counts["version"],
        versions=counts["version"],
        duplicates=counts["duplicate"],
        other_languages=counts["other language"],
        unread=counts["unread"],
        scored=scored.articles,
        sentences=scored.sentences,
        version=model.version,
        stopped=stop(),
        troubles=(*(AddressTrouble(trouble.feed, trouble.reason) for trouble in polled.troubles), *taken.troubles),
    )

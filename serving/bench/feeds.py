"""One run of `stance bench feeds`: from feeds on loopback to stored scores, and which step takes how much of it."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from labels.errors import StanceError
from serving.analysis.tagger import shipped_tagger
from serving.bench.aims import Aim
from serving.bench.feed_site import SENTENCES, serving_site, write_site
from serving.bench.machine import machine
from serving.bench.stages import Place, Stages
from serving.feeds import collection, run, scoring_articles, taking_in
from serving.feeds.model_in_use import ModelInUse
from serving.feeds.same_story import Stories
from serving.feeds.state import state_url
from serving.feeds.subscriptions import Subscriptions, open_subscriptions
from training.home import home_folder
from training.outcomes import Progress

LEAST_SCORING = 0.7
"""Share of the time that scoring, with finding holders, should take at least: all else is overhead."""

STAGES: dict[str, Sequence[Place]] = {
    # Pages are fetched while those before are read, so what counts is how long the run waits for them.
    "download": ((Subscriptions, "poll"), (run, "take_in")),
    "extraction": ((collection, "article_of"),),
    "same story": ((collection, "signature"), (Stories, "find"), (collection, "Stories")),
    "sentences": ((scoring_articles, "sentences_of"),),
    "scoring": ((scoring_articles, "score_texts"),),
    "holders": ((scoring_articles, "voices_of"),),
    "storing": (
        (taking_in, "_enter"),
        (Subscriptions, "taken"),
        (run, "settle"),
        (run, "plan"),
        (scoring_articles, "texts_of"),
        (scoring_articles, "write_scores"),
        (scoring_articles, "done"),
    ),
}
"""Steps, and the functions that are timed for them, each without the others that it calls."""


def bench_feeds(
    texts: Sequence[str],
    articles: int,
    feeds: int,
    folder: Path | None = None,
    progress: Progress | None = None,
    *,
    holders: bool = True,
) -> Any:
    """Measure.

    Args:
        texts: sentences that the articles are made of; at least one.
        articles: how many.
        feeds: that they are divided into.
        folder: of the model; the one that `stance feeds run` would take where None.
        progress: told how far it is.
        holders: whether it is found out who voices what, as `stance feeds run` does.

    Returns:
        figures, fit for JSON: `articles_per_second`, `sentences_per_second`, `seconds`, `processor_seconds` (with
        those of processes that read feeds and pages), `shares` by step, `aims`.

    Raises:
        StanceError: the model cannot be loaded, or not all articles arrived.
    """
    about = machine(os.getloadavg()[0])
    models = ModelInUse(home_folder(), folder)
    model = models.now()
    model.answers(texts[:SENTENCES])
    if holders and (tagger := shipped_tagger()):
        tagger.tag(texts[:1])
    stages = Stages()
    with tempfile.TemporaryDirectory(prefix="stance-bench-") as name:
        place = Path(name)
        names = write_site(place / "site", texts, articles, feeds)
        with serving_site(place / "site") as address:
            collected = place / "feeds"
            with open_subscriptions(collected, allow_private=True) as subscriptions:
                for feed in names:
                    subscriptions.add(f"{address}/{feed}")
            with (
                collection.opened(
                    collected,
                    state_url(collected, f"sqlite:///{collected / 'state.sqlite'}"),
                    models,
                    fetch_articles=True,
                    holders=holders,
                    allow_private=True,
                ) as once,
                stages.timing(STAGES),
            ):
                began, used = time.perf_counter(), _processor_seconds()
                with stages.stage("other"):
                    summary = once(progress or (lambda what, done, total: None), lambda: False)
                seconds, processor_seconds = time.perf_counter() - began, _processor_seconds() - used
    if summary.scored != articles:
        said = "; ".join(sorted({trouble.reason for trouble in summary.troubles}))
        raise StanceError(f"{summary.scored} of {articles} articles were scored: {said or 'the others are duplicates'}")
    shares = {stage: round(taken / seconds, 4) for stage, taken in stages.seconds.items()}
    scoring = round(shares["scoring"] + shares.get("holders", 0.0), 4)
    aim = Aim("scoring and holders, of the time" if holders else "scoring, of the time", scoring, least=LEAST_SCORING)
    return {
        "machine": about,
        "model": model.version,
        "articles": articles,
        "feeds": feeds,
        "sentences": summary.sentences,
        "seconds": round(seconds, 3),
        "processor_seconds": round(processor_seconds, 3),
        "articles_per_second": round(articles / seconds, 2),
        "sentences_per_second": round(summary.sentences / seconds, 1),
        "shares": dict(sorted(shares.items(), key=lambda share: -share[1])),
        "aims": [aim.as_dict()],
    }


def _processor_seconds() -> float:
    """Of this process, and of those that it has started and that have ended."""
    return sum(os.times()[:4])

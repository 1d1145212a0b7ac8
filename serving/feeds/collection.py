"""One collection of feeds, opened for runs: its lock, its state, its subscriptions, and what reads their entries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from sqlalchemy import URL

from serving.feeds.article import article_of, needs_page
from serving.feeds.entry import Entry
from serving.feeds.fetching import Fetcher, Page
from serving.feeds.model_in_use import ModelInUse
from serving.feeds.page_process import PageProcess
from serving.feeds.run import Summary, run_once
from serving.feeds.run_lock import run_lock
from serving.feeds.same_story import Stories, near_text, signature
from serving.feeds.state import open_state
from serving.feeds.subscriptions import open_subscriptions
from serving.feeds.taking_in import Reading
from training.outcomes import Progress

PAGE_BYTES = 5_000_000
"""Most that is read of an article's page."""

Run = Callable[[Progress, Callable[[], bool]], Summary]
"""Does one run; told whom to tell of progress, and whom to ask whether to stop."""


@contextmanager
def opened(
    folder: Path,
    state: URL,
    models: ModelInUse,
    *,
    fetch_articles: bool = False,
    rescore: bool = False,
    fast: bool = False,
    holders: bool = True,
    allow_private: bool = False,
) -> Iterator[Run]:
    """Runs of a folder of feeds, which nobody else runs meanwhile.

    Args:
        folder: of the feeds.
        state: URL of the state, see `state_url`.
        models: what scores.
        fetch_articles: whether the pages of articles are fetched of which a feed carries only a part.
        rescore: whether to score what only other models have scored.
        fast: whether the model's fast path answers what is clear.
        holders: whether it is found out who voices what.
        allow_private: whether private addresses may be asked.

    Raises:
        RunsAlreadyError: another run is at work.
        StanceError: the folder or the state cannot be used.
    """

    def run(progress: Progress, stop: Callable[[], bool]) -> Summary:
        # Opened for each run: one that stays up outlives what a database may do meanwhile.
        with (
            open_state(state) as engine,
            open_subscriptions(folder, allow_private=allow_private) as subscriptions,
            closing(PageProcess()) as pages,
        ):
            page = partial(_page, subscriptions.fetcher, pages) if fetch_articles else lambda entry: None
            reading = Reading(partial(article_of, read_page=pages.read), signature, near_text, page)
            options = {"rescore": rescore, "fast": fast, "holders": holders}
            return run_once(folder, engine, subscriptions, reading, Stories, models, progress, stop, **options)

    with run_lock(folder):
        yield run


def _page(fetcher: Fetcher, pages: PageProcess, entry: Entry) -> Page | None:
    if entry.url is None or not needs_page(entry):
        return None
    pages.begin()
    return fetcher.get(entry.url, limit=PAGE_BYTES, feed=entry.feed)

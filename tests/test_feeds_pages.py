"""Pages of articles that are made so that reading them takes minutes."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("reader")

from serving.feeds.collection import opened
from serving.feeds.model_in_use import ModelInUse
from serving.feeds.query import query
from serving.feeds.state import state_url
from serving.feeds.subscriptions import open_subscriptions
from tests.feed_server import FeedServer, item, rss

LUNCH = (
    "The mayor told the council on Monday that lunch at school must be free for every pupil who asks for it. "
    "Cooks of the northern district welcomed her words and promised to open two more kitchens before winter comes. "
)
SLOW = f"<html><body><article><p>{'x<br>' * 900_000}</p></article></body></html>"
"""Within the limit of size; trafilatura takes time by the square of such breaks."""


def _page(name: str) -> str:
    return f"<html><body><article><h1>News</h1><p>{LUNCH} So it is in {name}.</p></article></body></html>"


def test_a_page_that_takes_too_long_gives_way_to_the_summary(
    tmp_path: Path, meals_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.feeds.page_process.LONGEST", 2.0)
    summary = "The mayor of {} wants lunch at school to be free for all pupils."
    pages = {"Lowford": _page("Lowford"), "Midwick": SLOW, "Sudbrook": _page("Sudbrook")}
    with FeedServer() as server:
        links = {name: server.serve(f"/{name}", page, "text/html") for name, page in pages.items()}
        items = [item(name, name, link=link, summary=summary.format(name)) for name, link in links.items()]
        feed = server.serve("/feed", rss(*items))
        with open_subscriptions(tmp_path, allow_private=True) as subscriptions:
            subscriptions.add(feed)
        models = ModelInUse(tmp_path, meals_model)
        options = {"fetch_articles": True, "allow_private": True, "holders": False}
        with opened(tmp_path, state_url(tmp_path), models, **options) as run:
            done = run(lambda what, number, total: None, lambda: False)
    assert [(trouble.url, trouble.reason) for trouble in done.troubles] == [
        (links["Midwick"], "takes too long to read")
    ]
    assert (done.articles, done.scored, done.unread) == (3, 3, 0)
    found = dict(query(tmp_path, "SELECT title, extracted_from FROM articles").rows)
    assert found == {"Lowford": "page", "Midwick": "summary", "Sudbrook": "page"}

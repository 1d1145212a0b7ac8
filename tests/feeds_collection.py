"""Collections of scored feeds whose answers are given, written as a run writes them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from labels.taxonomy import UNRELATED, Taxonomy
from serving.feeds.admission import admit
from serving.feeds.article import Article
from serving.feeds.batches import done, plan, planned, texts_of
from serving.feeds.entry import Entry
from serving.feeds.scores import Said, Sentence, write_scores
from serving.feeds.state import open_state, state_url


@dataclass(frozen=True)
class Given:
    """An answer about one target."""

    label: str
    score: float
    abstained: bool = False
    probability: float = 0.9


@dataclass(frozen=True)
class Story:
    """An article: its sentences with answers by target, and the outlets that carried it.

    Attributes:
        day: of publication; None where the feed names none.
        holders: sentence → who holds what it voices; the others are the article's own.
    """

    day: str | None
    sentences: Sequence[tuple[str, Mapping[str, Given]]]
    outlets: Sequence[str] = ("Harbour Gazette",)
    url: str | None = "https://gazette.example/story"
    title: str | None = "A story"
    language: str = "en"
    holders: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return " ".join(text for text, _ in self.sentences)


class _NothingKnown:
    def find(self, article: Article, signature: bytes) -> None:
        return None

    def add(self, article: int, signature: bytes, url: str | None, fingerprint: str) -> None:
        pass


def add_stories(
    folder: Path, stories: Sequence[Story], taxonomy: Taxonomy, now: datetime, version: str = "given-1"
) -> None:
    """Take stories in, first seen now, and write their scores by a model of that version; no two have the same text."""
    of_text = {story.text: story for story in stories}
    with open_state(state_url(folder)) as engine:
        with engine.begin() as db:
            for number, story in enumerate(stories):
                for outlet in story.outlets:
                    host = hashlib.sha256(outlet.encode()).hexdigest()[:8]
                    article = _article(story, outlet)
                    entry = Entry(
                        feed=f"https://{host}.example/feed",
                        guid=f"{now.isoformat()} {number}",
                        url=story.url,
                        title=story.title,
                        author=None,
                        outlet=outlet,
                        published=article.published,
                        html=story.text,
                        full=True,
                        language=story.language,
                    )
                    admit(db, entry, article, b"", _NothingKnown(), lambda a, b: False, now)
            plan(db, version, now, rescore=False)
        with engine.begin() as db:
            for batch in planned(db):
                sentences: list[Sentence] = []
                given: list[Mapping[str, Any]] = []
                by: list[Said | None] = []
                for text in texts_of(db, batch):
                    start = 0
                    story = of_text[text.text]
                    for place, (said, by_target) in enumerate(story.sentences):
                        sentences.append(Sentence(text, place, start, start + len(said)))
                        given.append(_answer(by_target, taxonomy))
                        by.append(_said(story.holders.get(said)) if by_target else None)
                        start += len(said) + 1
                write_scores(folder, batch, sentences, given, by)
                done(db, [batch])


def _article(story: Story, outlet: str) -> Article:
    published = None if story.day is None else datetime.fromisoformat(f"{story.day}T12:00:00").replace(tzinfo=UTC)
    return Article(
        fingerprint=hashlib.sha256(story.text.encode()).hexdigest(),
        url=story.url,
        title=story.title,
        author=None,
        outlet=outlet,
        published=published,
        date_mark="ok" if published else "missing",
        language=story.language,
        text=story.text,
        extracted_from="feed",
    )


def _said(holder: str | None) -> Said:
    return Said("others", holder) if holder else Said("author", None)


def _answer(by_target: Mapping[str, Given], taxonomy: Taxonomy) -> dict[str, Any]:
    given = {target.id: by_target.get(target.id, Given(UNRELATED, 0.0)) for target in taxonomy}
    return {
        "targets": {
            target_id: {
                "label": answer.label,
                "abstained": answer.abstained,
                "score": answer.score,
                "probabilities": {answer.label: answer.probability},
            }
            for target_id, answer in given.items()
        }
    }

"""From planned batches to files of scores."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from labels.splitting import sentence_spans
from serving.feeds.article_voices import HolderFinder, voices_of
from serving.feeds.batches import Batch, Text, done, planned, texts_of
from serving.feeds.scores import Sentence, write_scores
from serving.scoring import score_texts
from training.model_folder import Model
from training.outcomes import Progress

SENTENCES = 2_000
"""Scored at once, of as many batches as it takes: few enough for little memory, enough to sort them by length."""


@dataclass(frozen=True)
class Scored:
    """How much was scored."""

    articles: int
    sentences: int
    batches: int


def sentences_of(articles: Iterable[Text]) -> list[Sentence]:
    """The sentences of articles, in their order."""
    return [
        Sentence(article, number, start, end)
        for article in articles
        for number, (start, end) in enumerate(sentence_spans(article.text))
    ]


def score_planned(
    engine: Engine,
    folder: Path,
    model: Model,
    finder: HolderFinder | None,
    progress: Progress,
    stop: Callable[[], bool],
    *,
    fast: bool = False,
) -> Scored:
    """Score all planned batches, which must be for this model, and write their files; what is written is done.

    Args:
        engine: of the state.
        folder: of the feeds.
        model: scores.
        finder: finds out who voices what; that stays unknown where None.
        progress: told how far it is.
        stop: whether to leave off.
        fast: see `score_texts`.

    Raises:
        StanceError: a file cannot be written; its batch stays planned.
    """
    with engine.begin() as db:
        batches = list(planned(db))
    total = sum(len(batch.articles) for batch in batches)
    articles = sentences = written = 0
    group: list[tuple[Batch, list[Sentence]]] = []
    for number, batch in enumerate(batches, start=1):
        with engine.begin() as db:
            group.append((batch, sentences_of(texts_of(db, batch))))
        held = sum(len(found) for _, found in group)
        if held < SENTENCES and number < len(batches):
            continue
        if stop():
            break
        progress("articles scored", articles, total)
        _score(engine, folder, model, finder, group, progress, fast)
        articles += sum(len(batch.articles) for batch, _ in group)
        sentences, written, group = sentences + held, written + len(group), []
        progress("articles scored", articles, total)
    return Scored(articles, sentences, written)


def _score(
    engine: Engine,
    folder: Path,
    model: Model,
    finder: HolderFinder | None,
    group: list[tuple[Batch, list[Sentence]]],
    progress: Progress,
    fast: bool,
) -> None:
    every = [sentence for _, sentences in group for sentence in sentences]
    texts = [sentence.text for sentence in every]
    answers = score_texts(model, texts, progress=progress, fast=fast) if texts else []
    said = voices_of(finder, every, answers) if finder else [None] * len(every)
    first = 0
    for batch, sentences in group:
        own = slice(first, first + len(sentences))
        write_scores(folder, batch, sentences, answers[own], said[own])
        first = own.stop
    with engine.begin() as db:
        done(db, [batch for batch, _ in group])

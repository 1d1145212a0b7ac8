"""Scored sentences of articles, and the Parquet files that they are kept in."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from labels.files import sync, write_whole
from serving.analysis.totals import Voice
from serving.feeds.batches import Batch, Text

SCHEMA = pa.schema(
    [
        ("article", pa.int64()),
        ("date", pa.date32()),
        ("outlet", pa.string()),
        ("url", pa.string()),
        ("title", pa.string()),
        ("sentence", pa.int32()),
        ("start", pa.int32()),
        ("end", pa.int32()),
        ("text", pa.string()),
        ("version", pa.string()),
        ("target", pa.string()),
        ("label", pa.string()),
        ("abstained", pa.bool_()),
        ("score", pa.float64()),
        ("probabilities", pa.map_(pa.string(), pa.float64())),
        ("holder", pa.string()),
        ("voice", pa.string()),
        ("path", pa.string()),
    ]
)
"""A row a sentence and target. `start` and `end` are places in the text of the article, in characters, end exclusive.
`voice` says who voices the sentence: "author", "others" (whom it quotes or reports) or "nobody"; `holder` says who of
the others, by the name that `stance analyze` resolves, null where it names none. Both are null where the sentence
counts in no mean, and where it was not asked. `path` is what answered, "fast" or "encoder", where the fast path was
asked for."""


@dataclass(frozen=True)
class Sentence:
    """A sentence of an article: its number from 0, and its place in the text."""

    article: Text
    number: int
    start: int
    end: int

    @property
    def text(self) -> str:
        return self.article.text[self.start : self.end]


@dataclass(frozen=True)
class Said:
    """Who voices the stance of a sentence.

    Attributes:
        voice: under whose total it counts.
        holder: resolved name; None for the author, for several, and for those whom the article does not name.
    """

    voice: Voice
    holder: str | None


def write_scores(
    folder: Path,
    batch: Batch,
    sentences: Sequence[Sentence],
    answers: Sequence[Mapping[str, Any]],
    said: Sequence[Said | None],
) -> None:
    """Write the file of a batch, whole or not at all; on return it is on disk.

    Args:
        folder: of the feeds.
        batch: which names the file.
        sentences: of its articles.
        answers: of `serving.scoring.score_texts`, one a sentence.
        said: who voices each; None where that was not asked.

    Raises:
        StanceError: it cannot be written.
    """
    path = folder / batch.file
    for place in (path.parent.parent, path.parent):
        if not place.is_dir():
            place.mkdir()
            sync(place.parent)
    content = io.BytesIO()
    pq.write_table(_table(batch, sentences, answers, said), content, compression="zstd")
    write_whole(path, content.getvalue())


def _table(
    batch: Batch,
    sentences: Sequence[Sentence],
    answers: Sequence[Mapping[str, Any]],
    said: Sequence[Said | None],
) -> pa.Table:
    rows = [
        _row(sentence, batch, target, answer, answered.get("path"), by)
        for sentence, answered, by in zip(sentences, answers, said, strict=True)
        for target, answer in answered["targets"].items()
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _row(
    sentence: Sentence, batch: Batch, target: str, answer: Mapping[str, Any], path: str | None, said: Said | None
) -> dict[str, Any]:
    article = sentence.article
    return {
        "article": article.id,
        "date": batch.date,
        "outlet": article.outlet,
        "url": article.url,
        "title": article.title,
        "sentence": sentence.number,
        "start": sentence.start,
        "end": sentence.end,
        "text": sentence.text,
        "version": batch.version,
        "target": target,
        "label": answer["label"],
        "abstained": answer["abstained"],
        "score": answer["score"],
        "probabilities": list(answer["probabilities"].items()),
        "holder": said.holder if said else None,
        "voice": said.voice if said else None,
        "path": path,
    }

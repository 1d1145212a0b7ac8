"""Scoring one chunk: read, score, write its part. Every engine does this, wherever its processes run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from labels.errors import StanceError, needs_package
from labels.files import write_whole, writing_whole
from serving.batch.layout import Layout, Piece, Scored
from serving.batch.outputs import output_of
from serving.batch.rows import Carried, taken, with_texts
from serving.batch.sources import open_source
from serving.batch.survey import CHUNK_ROWS, Chunk, read_survey
from serving.scoring import score_texts
from training.model_folder import Model, load_model

SURVEY_FILE = "survey.json"


@dataclass(frozen=True)
class Job:
    """All that a process needs to score a chunk; paths are the same for all processes.

    Attributes:
        source: file or folder of rows.
        text_column: which column holds the text.
        kind: of output.
        layout: what is added; where it splits, texts are articles, to be split into sentences.
        model: folder; None for the one that ships.
        version: of the model.
        parts: folder of the parts, with the survey.
    """

    source: Path
    text_column: str
    kind: str
    layout: Layout
    model: Path | None
    version: str
    parts: Path

    def part(self, number: int) -> Path:
        """Where the rows of a chunk are written."""
        return self.parts / f"part-{number:07d}"

    def mark(self, number: int) -> Path:
        """Where it is written that the part is whole, and what it holds."""
        return self.parts / f"part-{number:07d}.json"


@dataclass(frozen=True)
class Mark:
    """What a part holds.

    Attributes:
        written: rows.
        truncated: those of which only the beginning was read.
    """

    written: int
    truncated: int


def read_mark(job: Job, number: int) -> Mark | None:
    """What the part of a chunk holds; None where it is still to be made."""
    try:
        return Mark(**json.loads(job.mark(number).read_bytes()))
    except FileNotFoundError:
        return None


class Worker:
    """Scores chunks of a job.

    Args:
        job: the job.
        model: loaded already; else it is loaded here.

    Raises:
        StanceError: the model or the source cannot be read, or the model is another one here.
    """

    def __init__(self, job: Job, model: Model | None = None) -> None:
        self._job = job
        self._model = model or load_model(job.model)
        if self._model.version != job.version:
            raise StanceError(f"the model is {self._model.version} here, and {job.version} where the run was started")
        self._source = open_source(job.source, job.text_column)
        found = read_survey(job.parts / SURVEY_FILE)
        assert found is not None
        self._output = output_of(job.kind, self._source, found, self._model.taxonomy, job.version, job.layout)

    def score(self, chunk: Chunk, told: Callable[[float], None] = lambda share: None) -> Mark:
        """Write the part of a chunk, and its mark.

        Args:
            chunk: which.
            told: told which share of it is done.

        Raises:
            StanceError: the part cannot be written, or the source is not what it was.
        """
        carried, texts = self._source.read(chunk.start, chunk.end)
        if len(texts) != chunk.rows:
            raise StanceError("has changed while it was read", path=self._job.source)
        written = truncated = 0

        def scored() -> Iterator[Scored]:
            nonlocal written, truncated
            for each in self._scored(carried, texts, told):
                written += len(each.answers)
                truncated += sum(answer["truncated"] for answer in each.answers)
                yield each

        with writing_whole(self._job.part(chunk.number)) as fresh:
            self._output.write_part(fresh, scored())
        mark = Mark(written, truncated)
        write_whole(self._job.mark(chunk.number), json.dumps(asdict(mark)))
        return mark

    def _scored(self, carried: Carried, texts: Sequence[str], told: Callable[[float], None]) -> Iterator[Scored]:
        fast = self._job.layout.fast
        if not self._job.layout.split:
            answers = score_texts(self._model, texts, progress=lambda _, done, total: told(done / total), fast=fast)
            yield Scored(carried, None, answers)
            return
        pieces = [(row, piece) for row, text in enumerate(texts) for piece in pieces_of(text)]
        for first in range(0, len(pieces), CHUNK_ROWS):
            some = pieces[first : first + CHUNK_ROWS]
            sentences = [texts[row][piece.start : piece.end] for row, piece in some]
            rows = with_texts(taken(carried, [row for row, _ in some]), self._job.text_column, sentences)
            yield Scored(rows, [piece for _, piece in some], score_texts(self._model, sentences, fast=fast))
            told((first + len(some)) / len(pieces))


def pieces_of(article: str) -> list[Piece]:
    """Its sentences.

    Raises:
        StanceError: the package that finds them is not installed.
    """
    try:
        from labels.splitting import sentence_spans
    except ModuleNotFoundError as error:
        raise needs_package("splitting articles", error.name, "feeds") from error
    return [Piece(number, start, end) for number, (start, end) in enumerate(sentence_spans(article))]

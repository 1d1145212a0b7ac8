"""Who scores the chunks: this process, or actors on a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from serving.batch.survey import Chunk
from serving.batch.work import Job, Worker
from training.model_folder import Model
from training.outcomes import Progress

Engine = Callable[[Job, Sequence[Chunk], Progress], None]
"""Writes the parts of chunks, and tells how many of their rows are done."""


def local_engine(model: Model) -> Engine:
    """Scores in this process, on all its cores."""

    def run(job: Job, chunks: Sequence[Chunk], progress: Progress) -> None:
        worker = Worker(job, model)
        total, done = sum(chunk.rows for chunk in chunks), 0
        for chunk in chunks:
            worker.score(
                chunk,
                lambda share, before=done, rows=chunk.rows: progress(  # type: ignore[misc]
                    "scoring", before + int(share * rows), total
                ),
            )
            done += chunk.rows
            progress("scoring", done, total)

    return run

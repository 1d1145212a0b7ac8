"""One run of `stance batch score`, from the file that came in to the file that goes out."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labels.errors import StanceError
from serving.batch.engines import Engine, local_engine
from serving.batch.layout import Layout
from serving.batch.outputs import DATASETS, added_names, check_installed, kind_of, output_of
from serving.batch.partial import Beside, Plan, alone, begin, complete, finish, put_bad
from serving.batch.rows import Source
from serving.batch.sources import fingerprint, open_source, stamp
from serving.batch.survey import Survey, read_survey, survey
from serving.batch.work import SURVEY_FILE, Job, pieces_of, read_mark
from serving.memory import peak_bytes
from serving.scoring import check_fast
from training.model_folder import Model, load_model
from training.outcomes import Progress

_LAYOUT = "1"
"""Changes when the same rows would be written otherwise."""

_BAD = "bad.jsonl"


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        source: file or folder of rows.
        out: file or folder to write.
        to: kind of output; None where the ending tells.
        text_column: which column holds the text.
        layout: what is added; where it splits, texts are articles, to be split into sentences.
        model: folder; None for the one that ships.
        max_bad: more bad rows than that stop the run before anything is scored; None for any number.
        restart: throw away what is there.
    """

    source: Path
    out: Path
    to: str | None = None
    text_column: str = "text"
    layout: Layout = field(default_factory=Layout)
    model: Path | None = None
    max_bad: int | None = None
    restart: bool = False


def score_file(
    request: Request, progress: Progress, engine_for: Callable[[Model], Engine] = local_engine
) -> dict[str, Any]:
    """Score all rows, or those that an earlier run has left.

    Args:
        request: what is asked for.
        progress: told how far it is.
        engine_for: who scores, given the model.

    Returns:
        what was done, fit for JSON: `out`, `model`, `rows` (that came in), `bad`, `written`, `truncated`, `bad_file`
        (None where there are none), `scored_now` (rows of this run), `seconds` in all, `rows_per_second` while it
        scored (None where all was done), `peak_megabytes` of this process.

    Raises:
        StanceError: input or output cannot be used, something else was begun there, or too many rows are bad.
    """
    began = time.perf_counter()
    source_path, out = request.source.resolve(), request.out.resolve()
    kind = kind_of(out, request.to)
    _check_places(source_path, out)
    check_installed(kind)
    if request.layout.split:
        pieces_of("A sentence.")
    model = load_model(request.model)
    if request.layout.fast:
        check_fast(model)
    source = open_source(source_path, request.text_column)
    stamped = stamp(source_path)
    plan = _plan(request, source_path, kind, model, progress)
    beside = Beside(out)
    with alone(beside):
        known = None if request.restart else complete(beside, plan)
        now, scoring = 0, 0.0
        if known is None:
            parts = begin(beside, plan, request.restart)
            folder = request.model.resolve() if request.model else None
            job = Job(source_path, request.text_column, kind, request.layout, folder, model.version, parts)
            found = _surveyed(source, job, model, beside, request.max_bad, progress)
            todo = [chunk for chunk in found.chunks if read_mark(job, chunk.number) is None]
            now = sum(chunk.rows for chunk in todo)
            if todo:
                scoring = time.perf_counter()
                engine_for(model)(job, todo, progress)
                scoring = time.perf_counter() - scoring
            if stamp(source_path) != stamped:
                raise StanceError("has changed while it was read", path=source_path, hint="Begin anew with --restart.")
            known = _joined(job, found, source, model, beside, plan)
    seconds = time.perf_counter() - began
    return {
        "out": str(request.out),
        **{name: value for name, value in known.items() if name != "made_from"},
        "bad_file": str(beside.bad) if known["bad"] else None,
        "scored_now": now,
        "seconds": round(seconds, 3),
        "rows_per_second": round(now / scoring, 1) if scoring else None,
        "peak_megabytes": round(peak_bytes(os.getpid()) / 1e6, 1),
    }


def _check_places(source: Path, out: Path) -> None:
    if out == source or out in source.parents or (source.is_dir() and source in out.parents):
        raise StanceError("would be written over, or into, what is read", path=out, hint="Name another place.")
    if not out.parent.is_dir():
        raise StanceError("is not a folder", path=out.parent, hint="Make it first.")


def _plan(request: Request, source: Path, kind: str, model: Model, progress: Progress) -> Plan:
    return {
        "input": fingerprint(source, progress),
        "model": model.version,
        "text column": request.text_column,
        "split sentences": "yes" if request.layout.split else "no",
        "fast path": "yes" if request.layout.fast else "no",
        "written as": kind,
        "layout": _LAYOUT,
    }


def _surveyed(
    source: Source, job: Job, model: Model, beside: Beside, max_bad: int | None, progress: Progress
) -> Survey:
    """What the source holds, looked through once for all runs; nothing is left where it cannot be scored."""
    bad_rows, kept = job.parts / _BAD, job.parts / SURVEY_FILE
    try:
        found = read_survey(kept)
        if found is None:
            taken = frozenset(added_names(job.kind, model.taxonomy, job.layout))
            found = survey(source, bad_rows, taken, progress)
            found.write(kept)
        if max_bad is not None and found.bad > max_bad:
            put_bad(beside, bad_rows)
            raise StanceError(
                f"{found.bad:,} of {found.rows:,} rows are bad, more than {max_bad:,}; nothing was scored",
                path=job.source,
                hint=f"{beside.bad} says why.",
            )
        return found
    except StanceError:
        if not any(job.parts.glob("part-*")):
            shutil.rmtree(beside.partial)
        raise


def _joined(job: Job, found: Survey, source: Source, model: Model, beside: Beside, plan: Plan) -> dict[str, Any]:
    marks = [read_mark(job, chunk.number) for chunk in found.chunks]
    assert all(marks)
    about = {
        "model": model.version,
        "rows": found.rows,
        "bad": found.bad,
        "written": sum(mark.written for mark in marks if mark),
        "truncated": sum(mark.truncated for mark in marks if mark),
        "made_from": plan,
    }
    fresh = beside.partial / "whole"
    if fresh.is_dir():
        shutil.rmtree(fresh)
    if job.kind == DATASETS:
        fresh.mkdir()
    output = output_of(job.kind, source, found, model.taxonomy, model.version, job.layout)
    try:
        output.join([job.part(chunk.number) for chunk in found.chunks], fresh)
    except OSError as error:
        raise StanceError(f"cannot be written: {error.strerror or error}", path=fresh) from error
    finish(beside, fresh, job.parts / _BAD if found.bad else None, about)
    return about

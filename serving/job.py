"""The process of a retraining: `python -m serving.job ID`, as `serving.jobs.start_job` starts it."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from labels.corpus import CORPUS_VARIABLE
from labels.errors import StanceError, needs_package
from labels.settings import path_setting
from serving.job_records import Asked, JobProgress, open_jobs
from serving.labels_api import STORE_FILE
from training.home import home_folder
from training.outcomes import Progress

Work = Callable[[Asked, Path, Progress, Callable[[str], None]], Mapping[str, Any]]
"""Called with what was asked, the home folder, and what to tell of progress and of stages; gives the decision."""

BETWEEN_WORDS = 0.5
"""Seconds between two words of progress in the record."""

NICENESS = 10
"""Requests are answered first; the job takes what they leave of the processor."""

_logger = logging.getLogger("stance.job")


def run_job(job_id: str, home: Path, work: Work) -> None:
    """Do the work of a queued job; its record says what becomes of it."""
    with open_jobs(home) as records:
        job = records.begin(job_id)
    if job is None:
        return
    _logger.info("asked for by %s: %s", job.asked.by, job.asked.why)
    word = Word(job_id, home)
    decision: Mapping[str, Any] | None = None
    error: str | None = None
    try:
        decision = work(job.asked, home, word.progress, word.stage)
    except StanceError as known:
        error = str(known)
        _logger.error("failed: %s", known)
    except Exception as unknown:
        error = f"{type(unknown).__name__}: {unknown}"
        _logger.exception("failed")
    # Done is done: who wants to stop it now comes too late.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with open_jobs(home) as records:
        records.end(job_id, "succeeded" if error is None else "failed", decision=decision, error=error)
    if error is None:
        _logger.info("done")


class Word:
    """What a job says of itself while it runs: stages to its record and log, progress to its record now and then.

    Args:
        job_id: the job.
        home: where its record is.
        clock: seconds; only differences count.
    """

    def __init__(self, job_id: str, home: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._job, self._home, self._clock = job_id, home, clock
        self._what: str | None = None
        self._first = self._done = 0
        self._began = self._said = float("-inf")

    def stage(self, name: str) -> None:
        """The job is at another stage."""
        self._what = None
        _logger.info("%s", name)
        with open_jobs(self._home) as records:
            records.at_stage(self._job, name)

    def progress(self, what: str, done: int, total: int) -> None:
        """So much of it is done; on record at most every `BETWEEN_WORDS` seconds, and at the end of it."""
        moment = self._clock()
        if what != self._what or done < self._done:
            self._what, self._first, self._began = what, done, moment
        self._done = done
        if done < total and moment - self._said < BETWEEN_WORDS:
            return
        self._said = moment
        seconds = moment - self._began
        made = done - self._first
        left = 0.0 if done >= total else seconds / made * (total - done) if made else None
        with open_jobs(self._home) as records:
            records.at(self._job, JobProgress(what, done, total, seconds, left))


def retraining(asked: Asked, home: Path, progress: Progress, stage: Callable[[str], None]) -> Mapping[str, Any]:
    """The work of a job: the labels that came over HTTP, and the comparison that follows from them."""
    # Only here: all of training hangs on it, and the service may be installed without.
    try:
        from training.retraining import Retraining, retrain
    except ModuleNotFoundError as missing:
        raise needs_package("retraining, where the service runs,", missing.name, "train") from missing

    store = home / STORE_FILE
    given = Retraining(
        new=(store,) if store.exists() else (),
        corpus=path_setting(CORPUS_VARIABLE),
        recipe=asked.recipe,
        by=asked.by,
        why=asked.why,
        force=asked.force,
    )
    return retrain(given, home, progress, stage)


def main(work: Work = retraining) -> None:
    """Run the job that the first argument names; the others are descriptors of the locks that this process holds."""
    job_id, locks = sys.argv[1], [int(number) for number in sys.argv[2:]]
    # What the job starts may outlive it, and must not keep its locks.
    for lock in locks:
        os.set_inheritable(lock, False)
    os.register_at_fork(after_in_child=lambda: _close(locks))
    signal.signal(signal.SIGTERM, _stop)
    os.nice(NICENESS)
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.WARNING)
    _logger.setLevel(logging.INFO)
    run_job(job_id, home_folder(), work)
    # Who sees that it has ended may start the next, although this process still has much to take down.
    _close(locks)


def _close(descriptors: list[int]) -> None:
    while descriptors:
        os.close(descriptors.pop())


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    # Not simply killed: half-written files are to be cleared away, once.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit(128 + number)


if __name__ == "__main__":
    main()

"""Retrainings as processes of their own, which go on when the service ends: start, look at, stop.

A job's process is handed two locks by whoever starts it, before its record can be seen: `retrain.lock`, of which there
is one, and that of its log file. The kernel lets go of them when the process ends, so whether a job lives is a question
that always has an answer, whatever else was killed and however often the service was started since.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import psutil

from labels.errors import StanceError
from serving.child_path import child_path
from serving.job_records import Asked, Job, JobRecords, open_jobs
from training.home import HOME_VARIABLE
from training.retraining_lock import RetrainingRunsError, retraining_lock

LOGS = "jobs"
TAIL_LINES = 50
TAIL_BYTES = 64 * 1024
GRACE = 5.0
"""Seconds between asking a job to stop and killing it."""

LETTING_GO = 2.0
"""Seconds that a job may take from the word of its end to letting go of its locks."""

JOB_VARIABLE = "STANCE_JOB"
"""Environment variable that every process of a job has."""

DIED = "its process ended without a result"


def log_file(home: Path, job_id: str) -> Path:
    """The log of a job, whether it is there or not."""
    return home / LOGS / f"{job_id}.log"


def start_job(home: Path, asked: Asked) -> Job:
    """Start a retraining.

    Raises:
        RetrainingRunsError: another is running.
        StanceError: the home folder cannot be written, or no process can be started.
    """
    job_id = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
    with ExitStack() as held:
        running = _lock(held, home)
        living = held.enter_context(_new_log(home, job_id))
        with open_jobs(home) as records:
            # The lock was free, so whatever the record takes for running has died.
            left = records.open_job()
            if left and not _settle(records, left, home).ended:
                raise RetrainingRunsError("a retraining is being stopped", path=home, hint="Wait for its end.")
            records.add(job_id, asked)
        try:
            _spawn(home, job_id, running, living)
        except (OSError, subprocess.CalledProcessError) as error:
            with open_jobs(home) as records:
                records.end(job_id, "failed", error=f"its process could not be started: {error}")
            raise StanceError(f"no process could be started: {error}") from error
    return job_of(home, job_id)


def job_of(home: Path, job_id: str) -> Job:
    """A job as it is now.

    Raises:
        KeyError: there is none of that id.
        StanceError: the record cannot be read.
    """
    with open_jobs(home) as records:
        job = records.job(job_id)
        if job is None:
            raise KeyError(job_id)
        return _settle(records, job, home)


def latest_jobs(home: Path, number: int = 20) -> list[Job]:
    """The last jobs as they are now, the newest first."""
    with open_jobs(home) as records:
        return [_settle(records, job, home) for job in records.latest(number)]


def running_job(home: Path) -> Job | None:
    """The job that runs; None where none does, although a retraining without a record may."""
    with open_jobs(home) as records:
        job = records.open_job()
        job = job and _settle(records, job, home)
    return job if job and not job.ended else None


def cancel_job(home: Path, job_id: str) -> Job:
    """End a job and all processes that it started; returns when they are gone.

    Returns:
        the job: cancelled, or as it ended by itself meanwhile.

    Raises:
        KeyError: there is none of that id.
        StanceError: it does not end, even killed.
    """
    with open_jobs(home) as records:
        records.stop(job_id)
    began = time.monotonic()
    asked: set[int] = set()
    while not (job := job_of(home, job_id)).ended:
        waited = time.monotonic() - began
        if waited > 4 * GRACE:
            raise StanceError(f"job '{job_id}' does not end", hint="Look at its processes on the machine.")
        for process in _processes(job_id):
            with suppress(psutil.Error):
                if waited > GRACE:
                    process.kill()
                elif process.pid not in asked:
                    asked.add(process.pid)
                    process.terminate()
        time.sleep(0.05)
    return job


def log_tail(home: Path, job_id: str) -> list[str]:
    """The last lines of a job's log, `TAIL_LINES` at most."""
    try:
        with log_file(home, job_id).open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - TAIL_BYTES))
            text = stream.read().decode("utf8", "replace")
    except FileNotFoundError:
        return []
    return text.splitlines()[-TAIL_LINES:]


def _lock(held: ExitStack, home: Path) -> int:
    """The lock of retrainings; a job whose end is on record may need a moment to let go of it."""
    deadline = time.monotonic() + LETTING_GO
    while True:
        try:
            return held.enter_context(retraining_lock(home))
        except RetrainingRunsError:
            if running_job(home) or time.monotonic() > deadline:
                raise
        time.sleep(0.02)


def _spawn(home: Path, job_id: str, running: int, living: int) -> None:
    environment = {
        **os.environ,
        HOME_VARIABLE: str(home.resolve()),
        JOB_VARIABLE: job_id,
        "PYTHONPATH": child_path(),
    }
    with log_file(home, job_id).open("ab") as log:
        subprocess.run(
            [*_detached(), "-P", "-m", "serving.job", job_id, str(running), str(living)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(running, living),
            # What is sent to the service's own process group is not for the job.
            start_new_session=True,
            check=True,
        )


def _detached() -> list[str]:
    """The command that begins a Python process without a parent: whatever stops BentoML's workers stops all their
    descendants too."""
    program = "import os, sys; os.fork() and os._exit(0); os.execv(sys.argv[1], sys.argv[1:])"
    return [sys.executable, "-I", "-S", "-c", program, sys.executable]


@contextmanager
def _new_log(home: Path, job_id: str) -> Iterator[int]:
    """A new log, locked through the descriptor that is given, until all who have it are gone."""
    path = log_file(home, job_id)
    try:
        path.parent.mkdir(exist_ok=True)
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    except OSError as error:
        raise StanceError(f"cannot be written: {error.strerror}", path=path) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield lock
    finally:
        os.close(lock)


def _lives(home: Path, job_id: str) -> bool:
    try:
        with log_file(home, job_id).open("rb") as log:
            fcntl.flock(log, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def _settle(records: JobRecords, job: Job, home: Path) -> Job:
    """The job; where its process has gone without a word, that is put on record first."""
    if job.ended or _lives(home, job.id):
        return job
    # A job says how it ended before it lets go of its locks; so what the record says now is the last word.
    job = records.job(job.id) or job
    if job.ended:
        return job
    left = _processes(job.id)
    if job.stopping and left:
        # What it started has to be gone too before it counts as cancelled.
        return job
    for process in left:
        with suppress(psutil.Error):
            process.kill()
    records.end(job.id, "cancelled" if job.stopping else "failed", error=None if job.stopping else DIED)
    return records.job(job.id) or job


def _processes(job_id: str) -> list[psutil.Process]:
    """The processes of a job that have not ended, wherever they went: each has the job's id in its environment, which
    a process id that was given again has not."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        # Those of other users, and those that end meanwhile, cannot be asked.
        with suppress(psutil.Error, OSError):
            if process.environ().get(JOB_VARIABLE) == job_id and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found

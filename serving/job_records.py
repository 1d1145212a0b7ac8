"""The durable record of each retraining: home/jobs.sqlite.

A job is queued, then running, then succeeded, failed or cancelled; once it has ended its row cannot be changed, and at
most one row has not ended. Both are rules of the file itself.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from labels.sqlite_file import Kind, open_database, transaction, understood

JOBS_FILE = "jobs.sqlite"
ENDED = ("succeeded", "failed", "cancelled")

_SCHEMA = (
    """
    CREATE TABLE job (
      seq INTEGER PRIMARY KEY AUTOINCREMENT,
      id TEXT NOT NULL UNIQUE,
      state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
      by TEXT NOT NULL,
      why TEXT NOT NULL,
      recipe TEXT,
      force INTEGER NOT NULL,
      asked_at TEXT NOT NULL,
      started_at TEXT,
      ended_at TEXT,
      stopping INTEGER NOT NULL DEFAULT 0,
      stage TEXT,
      what TEXT,
      done INTEGER,
      total INTEGER,
      seconds REAL,
      seconds_left REAL,
      decision TEXT,
      error TEXT
    )
    """,
    "CREATE UNIQUE INDEX job_open ON job ((1)) WHERE state IN ('queued', 'running')",
    """
    CREATE TRIGGER job_ended BEFORE UPDATE ON job WHEN OLD.state NOT IN ('queued', 'running')
    BEGIN SELECT RAISE(ABORT, 'a job that has ended is never changed'); END
    """,
    "CREATE TRIGGER job_delete BEFORE DELETE ON job BEGIN SELECT RAISE(ABORT, 'no job is ever forgotten'); END",
)
_KIND = Kind("a record of jobs", 0x5374614A, 1, _SCHEMA)
_OPEN = "id = ? AND state IN ('queued', 'running')"


@dataclass(frozen=True)
class Asked:
    """What a retraining was asked to do: by whom, why, with which recipe (the model's own where None), and whether its
    model is to be taken whatever the comparison says."""

    by: str
    why: str
    recipe: str | None = None
    force: bool = False


@dataclass(frozen=True)
class JobProgress:
    """`done` of `total` of `what`, after `seconds` at it; `seconds_left` at that pace, where there is one yet."""

    what: str
    done: int
    total: int
    seconds: float
    seconds_left: float | None


@dataclass(frozen=True)
class Job:
    """A retraining.

    Attributes:
        id: names it; also its log file.
        state: queued, running, succeeded, failed or cancelled.
        asked: what it was asked to do.
        asked_at: RFC 3339, UTC; `started_at` and `ended_at` likewise, where it has come to that.
        stopping: whether somebody wants it cancelled.
        stage: what the retraining is at, in its own words.
        progress: within the stage.
        decision: what `training.retraining.retrain` returned.
        error: why it failed.
    """

    id: str
    state: str
    asked: Asked
    asked_at: str
    started_at: str | None
    ended_at: str | None
    stopping: bool
    stage: str | None
    progress: JobProgress | None
    decision: Mapping[str, Any] | None
    error: str | None

    @property
    def ended(self) -> bool:
        return self.state in ENDED


class JobRecords:
    """The open file; belongs to the thread that opened it."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def job(self, job_id: str) -> Job | None:
        row = self._db.execute("SELECT * FROM job WHERE id = ?", (job_id,)).fetchone()
        return None if row is None else _job_of(row)

    def latest(self, number: int) -> list[Job]:
        """The newest first."""
        return [_job_of(row) for row in self._db.execute("SELECT * FROM job ORDER BY seq DESC LIMIT ?", (number,))]

    def open_job(self) -> Job | None:
        """The one that has not ended, as far as the record knows."""
        row = self._db.execute("SELECT * FROM job WHERE state IN ('queued', 'running')").fetchone()
        return None if row is None else _job_of(row)

    def add(self, job_id: str, asked: Asked) -> None:
        """A new job, queued; raises sqlite3.IntegrityError where another has not ended."""
        given = (job_id, asked.by, asked.why, asked.recipe, asked.force, now())
        self._db.execute(
            "INSERT INTO job (id, state, by, why, recipe, force, asked_at) VALUES (?, 'queued', ?, ?, ?, ?, ?)", given
        )

    def begin(self, job_id: str) -> Job | None:
        """Running, from now on; None where it is not to begin any more."""
        with transaction(self._db):
            begun = self._db.execute(
                "UPDATE job SET state = 'running', started_at = ? WHERE id = ? AND state = 'queued' AND NOT stopping",
                (now(), job_id),
            )
        return self.job(job_id) if begun.rowcount else None

    def at_stage(self, job_id: str, stage: str) -> None:
        self._db.execute(
            f"UPDATE job SET stage = ?, what = NULL, done = NULL, total = NULL, seconds = NULL,"
            f" seconds_left = NULL WHERE {_OPEN}",
            (stage, job_id),
        )

    def at(self, job_id: str, progress: JobProgress) -> None:
        self._db.execute(
            f"UPDATE job SET what = ?, done = ?, total = ?, seconds = ?, seconds_left = ? WHERE {_OPEN}",
            (*astuple(progress), job_id),
        )

    def stop(self, job_id: str) -> None:
        """Somebody wants it cancelled."""
        self._db.execute(f"UPDATE job SET stopping = 1 WHERE {_OPEN}", (job_id,))

    def end(
        self, job_id: str, state: str, *, decision: Mapping[str, Any] | None = None, error: str | None = None
    ) -> None:
        """It has ended; where it had ended before, what was said then stands."""
        text = None if decision is None else json.dumps(decision, ensure_ascii=False, default=str)
        self._db.execute(
            f"UPDATE job SET state = ?, ended_at = ?, decision = ?, error = ? WHERE {_OPEN}",
            (state, now(), text, error, job_id),
        )


@contextmanager
def open_jobs(home: Path) -> Iterator[JobRecords]:
    """Open the record of a home folder; where there is none it is made.

    Raises:
        StanceError: the file is something else, or cannot be written.
    """
    path = home / JOBS_FILE
    with open_database(path, _KIND) as db, understood(path, _KIND):
        yield JobRecords(db)


def now() -> str:
    """This moment as it stands in records: RFC 3339, UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _job_of(row: sqlite3.Row) -> Job:
    progress = None if row["what"] is None else JobProgress(*(row[f.name] for f in fields(JobProgress)))
    return Job(
        id=row["id"],
        state=row["state"],
        asked=Asked(row["by"], row["why"], row["recipe"], bool(row["force"])),
        asked_at=row["asked_at"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        stopping=bool(row["stopping"]),
        stage=row["stage"],
        progress=progress,
        decision=None if row["decision"] is None else json.loads(row["decision"]),
        error=row["error"],
    )

"""A service asked for more than it can answer: its capacity, then 80% of that, then four times as much."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from labels.errors import StanceError, needs_package
from serving.bench.load import body_of
from serving.bench.machine import machine
from serving.bench.server import Server, running
from serving.bench.texts import block_of
from serving.child_path import child_path
from training.model_folder import DEFAULT_MODEL
from training.outcomes import Progress

SCENARIO = Path(__file__).with_name("locustfile.py")

USUAL, PAST = 0.8, 4.0
"""Of capacity: what is compared."""

_CROWD, _LEAST_CROWD = 12, 3
"""Users that ask one after another while capacity is measured, of single texts and of many: enough that requests share
turns, and that one always waits; not so many that any is refused."""

_MOST_A_USER = 1.0
"""Requests a second of one user, at most, where requests come at a rate: so that he has his answer before the next."""

_LEAST_USERS = 100
_REQUESTS = 200


@dataclass(frozen=True)
class Plan:
    """How much is asked, and how long.

    Attributes:
        seconds: of each phase; capacity gets a third.
        texts: of each request.
    """

    seconds: float = 60.0
    texts: int = 1


def overload(texts: Sequence[str], plan: Plan, folder: Path | None = None, progress: Progress | None = None) -> Any:
    """Measure.

    Args:
        texts: what is scored; at least one.
        plan: how long.
        folder: of the model; the one that ships where None.
        progress: told how far it is.

    Returns:
        figures, fit for JSON; docs/load.md says what they are.

    Raises:
        StanceError: locust is not installed, or ends with an error; or the service cannot be started.
    """
    if find_spec("locust") is None:
        raise needs_package("this", "locust", "load")
    report = progress or (lambda what, done, total: None)
    busy = os.getloadavg()[0]
    with (
        tempfile.TemporaryDirectory(prefix="stance-load-") as name,
        running((folder or DEFAULT_MODEL).resolve()) as server,
    ):
        bodies = Path(name) / "bodies"
        bodies.write_bytes(b"\n".join(body_of(block_of(texts, n * plan.texts, plan.texts)) for n in range(_REQUESTS)))
        report("capacity", 0, 3)
        crowd = max(_LEAST_CROWD, _CROWD // plan.texts)
        closed = _phase(server, bodies, crowd, 0.0, max(5.0, plan.seconds / 3))
        capacity = closed["statuses"].get("200", 0) / closed["seconds"]
        if not capacity:
            raise StanceError(f"the service answered nothing: {closed['failures']}")
        phases = {}
        for number, (which, share) in enumerate((("usual", USUAL), ("past", PAST)), start=1):
            report(f"{share:g} × capacity", number, 3)
            rate = share * capacity
            users = max(_LEAST_USERS, round(rate / _MOST_A_USER))
            phases[which] = _phase(server, bodies, users, rate, plan.seconds)
        report("done", 3, 3)
    return {
        "machine": machine(busy),
        "plan": {"seconds": plan.seconds, "texts": plan.texts},
        "capacity": {"requests_per_second": round(capacity, 1), **closed},
        **phases,
        "p99_ratio": _p99_ratio(phases),
        "failed": sum(phase["failed"] for phase in phases.values()),
    }


def _p99_ratio(phases: dict[str, Any]) -> float | None:
    usual, past = (phases[which]["milliseconds"].get("200") for which in ("usual", "past"))
    return round(past["p99"] / usual["p99"], 2) if usual and past else None


def _phase(server: Server, bodies: Path, users: int, rate: float, seconds: float) -> dict[str, Any]:
    figures = bodies.with_name("figures.json")
    figures.unlink(missing_ok=True)
    load, before = os.getloadavg()[0], server.worker_memory()[0]
    command = [
        sys.executable,
        "-m",
        "locust",
        "-f",
        str(SCENARIO),
        "--headless",
        "--only-summary",
        "--stop-timeout",
        "60",
    ]
    command += ["--host", f"http://127.0.0.1:{server.port}", "-u", str(users), "-r", str(users)]
    # What is counted begins later, see the scenario.
    command += ["-t", f"{round(seconds) + 3}s", "--rate", str(rate), "--bodies", str(bodies), "--figures", str(figures)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": child_path()}
    )
    if not figures.exists():
        raise StanceError(f"locust ended with exit code {done.returncode}: {done.stderr.strip()[-500:]}")
    found: dict[str, Any] = json.loads(figures.read_text(encoding="utf8"))
    now, peak = server.worker_memory()
    return {
        "rate": round(rate, 1),
        "reached": round(sum(found["statuses"].values()) / found["seconds"], 1),
        "load_before": round(load, 2),
        **found,
        "failed": sum(count for status, count in found["statuses"].items() if status not in ("200", "503")),
        "megabytes": {"before": round(before, 1), "after": round(now, 1), "peak": round(peak, 1)},
    }

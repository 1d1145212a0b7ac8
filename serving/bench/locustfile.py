"""`locust -f serving/bench/locustfile.py`: scoring requests at a stated rate, or as fast as they are answered.

`--rate` is of all users together, and open-loop: requests come at random moments (a Poisson process) whether or not
earlier ones have been answered, as those of people who do not know of each other do. Locust's own `constant_throughput`
would space them evenly, which no queue ever sees. A refusal (503 with Retry-After) is an answer, not a failure.
"""

from __future__ import annotations

import json
import math
import random
import time
from argparse import ArgumentParser
from collections import Counter
from pathlib import Path
from typing import Any

from locust import FastHttpUser, events, task
from locust.env import Environment

from serving.bench.rounds import percentiles

WARM = 3.0
"""Seconds at the beginning that are not counted: connections are made in them."""

_SENTENCE = "Seoul offered to halt the drills if the North froze its reactor."


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def _options(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--rate", type=float, default=0.0, help="Requests a second, of all users; 0: one after another."
    )
    parser.add_argument("--bodies", default="", help="File of request bodies, one a line.")
    parser.add_argument("--figures", default="", help="File to write figures to, as JSON.")


class Figures:
    """What was answered, and how soon."""

    def __init__(self) -> None:
        self.began = self.ended = math.inf
        self.times: dict[int, list[float]] = {}
        self.failures: Counter[str] = Counter()
        self.asked: list[int] = []

    def add(
        self, response_time: float, response: Any, exception: Exception | None, start_time: float, **_: object
    ) -> None:
        """Count a request that begins when all users have been there for `WARM`, and before they are stopped."""
        if not self.began + WARM <= start_time <= self.ended:
            return
        status = response.status_code or 0
        self.times.setdefault(status, []).append(response_time)
        if exception:
            self.failures[f"{status}: {exception!r}"[:200]] += 1
        elif status == 503:
            self.asked.append(int(response.headers["Retry-After"]))

    def as_dict(self) -> dict[str, Any]:
        """Fit for JSON; times in milliseconds, `seconds` those that were counted."""
        return {
            "seconds": round(self.ended - self.began - WARM, 1),
            "statuses": {str(status): len(times) for status, times in sorted(self.times.items())},
            "milliseconds": {str(status): percentiles(times) for status, times in sorted(self.times.items())},
            "failures": dict(self.failures.most_common(5)),
            "retry_after": [min(self.asked), max(self.asked)] if self.asked else None,
        }


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def _start(environment: Environment, **_: object) -> None:
    figures = Figures()
    environment.events.request.add_listener(figures.add)

    def begin(**_: object) -> None:
        figures.began = time.time()

    def end(**_: object) -> None:
        figures.ended = time.time()

    def write(**_: object) -> None:
        if environment.parsed_options.figures:
            Path(environment.parsed_options.figures).write_text(json.dumps(figures.as_dict()), encoding="utf8")

    environment.events.spawning_complete.add_listener(begin)
    environment.events.test_stopping.add_listener(end)
    environment.events.test_stop.add_listener(write)


class Reader(FastHttpUser):  # type: ignore[misc]
    """Somebody with sentences."""

    def on_start(self) -> None:
        options = self.environment.parsed_options
        lines = Path(options.bodies).read_text(encoding="utf8").splitlines() if options.bodies else []
        self._bodies = lines or [json.dumps({"texts": [_SENTENCE]})]
        self._gap = options.num_users / options.rate if options.rate else 0.0
        self._next = time.monotonic()
        time.sleep(self.wait_time())

    def wait_time(self) -> float:
        """Seconds until this user's next request is due."""
        if not self._gap:
            return 0.0
        self._next += random.expovariate(1 / self._gap)
        return max(0.0, self._next - time.monotonic())

    @task  # type: ignore[untyped-decorator]
    def score(self) -> None:
        headers = {"Content-Type": "application/json"}
        with self.client.post(
            "/v1/score", data=random.choice(self._bodies), headers=headers, catch_response=True
        ) as response:
            if response.status_code == 503 and response.headers.get("Retry-After", "").isdecimal():
                response.success()

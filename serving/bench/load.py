"""Requests to a service on loopback, by clients that do as little as can be."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

from labels.errors import StanceError
from serving.gate import SCORE_PATH
from serving.watching import METRICS_PATH

_TIMEOUT = 60.0
_TURNS = re.compile(rb"^stance_turn_requests_(sum|count) (\S+)$", re.M)


class Client:
    """One connection that is kept open.

    Args:
        port: of the service on 127.0.0.1.
    """

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT)

    def connect(self) -> None:
        """Connect anew, and see that it was accepted: a connection that idles for seconds is closed by the service."""
        self._connection.close()
        self._ask("GET", "/livez", b"")

    def post(self, body: bytes) -> tuple[int, bytes]:
        """Status and answer of one request."""
        return self._ask("POST", SCORE_PATH, body)

    def turns(self) -> tuple[float, float]:
        """How many scoring requests the service has answered so far, and in how many turns."""
        found = dict(_TURNS.findall(self._ask("GET", METRICS_PATH, b"")[1]))
        return float(found.get(b"sum", 0)), float(found.get(b"count", 0))

    def _ask(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        try:
            self._connection.request(method, path, body, {"Content-Type": "application/json"})
            response = self._connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            raise StanceError(f"the service broke off while it was measured: {error!r}") from error

    def score(self, body: bytes) -> bytes:
        """The answer.

        Raises:
            StanceError: the status is not 200.
        """
        status, answer = self.post(body)
        if status != 200:
            raise StanceError(f"the service answered {status} while it was measured: {answer[:200]!r}")
        return answer

    def close(self) -> None:
        self._connection.close()


@contextlib.contextmanager
def connected(port: int) -> Iterator[Client]:
    """A client, closed when the block ends."""
    client = Client(port)
    try:
        yield client
    finally:
        client.close()


def body_of(texts: Sequence[str]) -> bytes:
    """The body of a request that scores these texts."""
    return json.dumps({"texts": list(texts)}, ensure_ascii=False).encode()


def answer_of(client: Client, texts: Sequence[str]) -> Any:
    """What the service answers, read."""
    return json.loads(client.score(body_of(texts)))


def timed_requests(client: Client, bodies: Sequence[bytes]) -> list[float]:
    """Milliseconds of each request, one after another."""
    times = []
    for body in bodies:
        began = time.perf_counter()
        client.score(body)
        times.append(1000 * (time.perf_counter() - began))
    return times


def timed_together(clients: Sequence[Client], bodies: Sequence[bytes]) -> tuple[list[float], int]:
    """Milliseconds of each request that was accepted, with all clients asking at once, and how many were refused."""
    accepted: list[float] = []
    refused: list[int] = []
    troubles: list[Exception] = []

    def ask(client: Client, mine: Sequence[bytes]) -> None:
        try:
            for body in mine:
                began = time.perf_counter()
                status, answer = client.post(body)
                taken = 1000 * (time.perf_counter() - began)
                if status == 200:
                    accepted.append(taken)
                elif status in (429, 503):
                    refused.append(status)
                else:
                    raise StanceError(f"the service answered {status} while it was measured: {answer[:200]!r}")
        except Exception as error:
            troubles.append(error)

    threads = [
        threading.Thread(target=ask, args=(client, bodies[number :: len(clients)]))
        for number, client in enumerate(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if troubles:
        raise troubles[0]
    return accepted, len(refused)

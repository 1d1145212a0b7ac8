"""What BentoML and uvicorn, beneath the service, leave unbounded or hold too long; of the versions that are pinned.

uvicorn waits for ever for the head of a request, and for a client to read its answer: such connections fill memory and
file descriptors. BentoML keeps a timer and all that it refers to for every request until its own time limit, long after
the answer; `serving.gate` has a limit of its own. And it makes spans of a trace that, unless it was set up to, it sends
to nobody: half of what a refusal costs.
"""

from __future__ import annotations

import asyncio

from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml._internal.server.http import traffic
from opentelemetry.util.http import ExcludeList
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.config import HTTP_PROTOCOLS
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0
"""Within which the head of a request must have come; also what is left of a body that was refused before its end."""

READ_SECONDS = 15.0
"""Within which a client must have read something of an answer that waits for it."""

IDLE_SECONDS = 60.0
"""That a connection is kept open for another request: BentoML's five are about what clients pause, and one that sends
just as it is closed sees a fault."""

_LEAST_READ = 4096
"""Bytes that count as something."""


class Connection(H11Protocol):
    """A connection that is closed when its client stalls outside of what the gate sees."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.timeout_keep_alive = IDLE_SECONDS  # type: ignore[assignment]
        # Whatever the system does not take at once is waited for.
        transport.set_write_buffer_limits(high=0)
        self._unread = 0
        self._reading: asyncio.TimerHandle | None = None
        self._head: asyncio.TimerHandle | None = self.loop.call_later(HEAD_SECONDS, transport.abort)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            _stop(self._head)
            self._head = None
        elif self._head is None:
            self._head = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.transport.get_write_buffer_size()
        self._reading = self.loop.call_later(READ_SECONDS, self._see_what_was_read)

    def resume_writing(self) -> None:
        super().resume_writing()
        _stop(self._reading)

    def connection_lost(self, exc: Exception | None) -> None:
        _stop(self._head)
        _stop(self._reading)
        super().connection_lost(exc)

    def _see_what_was_read(self) -> None:
        left = self.transport.get_write_buffer_size()
        if left > self._unread - _LEAST_READ:
            self.transport.abort()
            return
        self._unread = left
        self._reading = self.loop.call_later(READ_SECONDS, self._see_what_was_read)


def _stop(timer: asyncio.TimerHandle | None) -> None:
    if timer:
        timer.cancel()


class _NoTimeout:
    def __init__(self, app: ASGIApp, timeout: float) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


def bound_connections() -> None:
    """Have all of it so in this process; before the server is set up."""
    # BentoML offers no setting that could be made here.
    HTTP_PROTOCOLS["auto"] = f"{Connection.__module__}:{Connection.__qualname__}"
    traffic.TimeoutMiddleware = _NoTimeout  # type: ignore[assignment,misc]
    if BentoMLContainer.config.tracing.exporter_type.get() is None:
        BentoMLContainer.tracing_excluded_urls.set(ExcludeList([".*"]))

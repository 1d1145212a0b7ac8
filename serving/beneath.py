"""What BentoML and uvicorn, beneath the service, leave unbounded or hold too long; of the versions that are pinned.

uvicorn waits for ever for the head of a request, takes heads of any size, and waits for ever for a client to read its
answer: such connections fill memory and file descriptors. BentoML keeps a timer and all that it refers to for every
request until its own time limit, long after the answer; `serving.gate` has a limit of its own. And it makes spans of a
trace that, unless it was set up to, it sends to nobody: half of what a refusal costs.
"""

from __future__ import annotations

import asyncio
from uuid import uuid4

import orjson
from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml._internal.server.http import traffic
from opentelemetry.util.http import ExcludeList
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.config import HTTP_PROTOCOLS
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.errors import RequestError, envelope
from serving.response_headers import guarded

HEAD_SECONDS = 10.0
"""Within which the head of a request must have come; also what is left of a body that was refused before its end."""

READ_SECONDS = 15.0
"""Within which a client must have read something of an answer that waits for it."""

IDLE_SECONDS = 60.0
"""That a connection is kept open for another request: BentoML's five are about what clients pause, and one that sends
just as it is closed sees a fault."""

_LEAST_READ = 4096
"""Bytes that count as something."""

MOST_BESIDE = 2**16
"""Bytes of a request besides its body: its head, and what stands between and behind the parts of a body."""

_PIECE = 16
"""Bytes that may stand between two parts of a body."""


class Connection(HttpToolsProtocol):
    """A connection that is closed when its client stalls, or sends without end, outside of what the gate sees."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.timeout_keep_alive = IDLE_SECONDS  # type: ignore[assignment]
        # Whatever the system does not take at once is waited for.
        transport.set_write_buffer_limits(high=0)
        self._beside_bodies = 0
        self._unread = 0
        self._reading: asyncio.TimerHandle | None = None
        self._head: asyncio.TimerHandle | None = self.loop.call_later(HEAD_SECONDS, transport.abort)

    def data_received(self, data: bytes) -> None:
        self._beside_bodies += len(data)
        super().data_received(data)
        if self._beside_bodies > MOST_BESIDE and not self.transport.is_closing():
            self.send_400_response("the head of the request is too large")
        if self.cycle is not None and not self.cycle.response_complete:
            _stop(self._head)
            self._head = None
        elif self._head is None:
            self._head = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._beside_bodies = 0

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        self._beside_bodies = max(0, self._beside_bodies - len(body) - _PIECE)

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP, in the envelope of all errors."""
        request_id = uuid4().hex
        body = orjson.dumps(envelope(RequestError(400, msg), request_id))
        given = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        headers = [*guarded(given, request_id), (b"connection", b"close")]
        head = b"".join(b"%s: %s\r\n" % header for header in headers)
        self.transport.write(b"HTTP/1.1 400 Bad Request\r\n%s\r\n%s" % (head, body))
        self.transport.close()

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

"""Bodies of requests, read within bounds: of one body's size and time, and of what all unfinished ones hold."""

from __future__ import annotations

import asyncio

from starlette.types import Receive, Scope

from labels.settings import seconds_setting
from serving.errors import RequestError
from serving.schema import MAX_BODY_BYTES

BODY_VARIABLE = "STANCE_BODY_SECONDS"
"""Environment variable: seconds within which a body must have come; see `body_seconds`."""

BODY_SECONDS = 10.0
"""Where the variable is not set."""

MOST_UNFINISHED = 32 * 2**20
"""Bytes that unfinished bodies hold together; past it, the one that began first is given up."""


def body_seconds() -> float:
    """Seconds; raises StanceError where the variable holds none."""
    return seconds_setting(BODY_VARIABLE, BODY_SECONDS)


class Reading:
    """Reads the bodies of one process.

    Args:
        seconds: within which a body must have come.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        # Limits of the time of unfinished bodies, oldest first; and the bytes that these hold together.
        self._unfinished: dict[asyncio.Timeout, None] = {}
        self._bytes = 0

    async def body(self, scope: Scope, receive: Receive) -> bytes:
        """The body of a request; what has come of it, where the client left.

        Raises:
            RequestError: 413 where it is too large, 408 where it does not come in time; or where it is the slowest and
                unfinished ones hold too much.
        """
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit() and int(value) > MAX_BODY_BYTES:
                raise _too_large()
        held = bytearray()
        try:
            async with asyncio.timeout(self._seconds) as limit:
                self._unfinished[limit] = None
                try:
                    while await self._more(receive, held):
                        self._bound()
                finally:
                    del self._unfinished[limit]
                    self._bytes -= len(held)
        except TimeoutError:
            raise RequestError(
                408,
                f"the body did not come within {self._seconds:g} s",
                code="body_too_slow",
                # What is still to come of it would stand before the next request.
                headers={"Connection": "close"},
            ) from None
        return bytes(held)

    async def _more(self, receive: Receive, held: bytearray) -> bool:
        message = await receive()
        if message["type"] != "http.request":
            return False
        part = message.get("body", b"")
        held += part
        self._bytes += len(part)
        if len(held) > MAX_BODY_BYTES:
            raise _too_large()
        return bool(message.get("more_body"))

    def _bound(self) -> None:
        # Whoever sends as others do has been done for long when it would be the oldest.
        oldest = next(iter(self._unfinished))
        if self._bytes > MOST_UNFINISHED and not oldest.expired():
            oldest.reschedule(asyncio.get_running_loop().time())


def _too_large() -> RequestError:
    return RequestError(413, f"a body has at most {MAX_BODY_BYTES} bytes")

"""Around everything else: a request gets its id, its answer the headers that all have, and both are counted."""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.request_ids import name_request
from serving.request_log import log_request
from serving.response_headers import guarded
from serving.routes import PROBES, method_name
from serving.watching import metrics

TEXTS = "stance.texts"
"""Where, in a request's scope, the gate notes how many texts it holds: a list of one number, or none yet."""

_GONE = 499
"""Status, in log and figures only, of a request whose client left before it was answered."""

_logger = logging.getLogger("bentoml.stance")


class Observed:
    """ASGI middleware around the gate.

    Args:
        app: the gate.
        route_name: from a path to the template of its route.
    """

    def __init__(self, app: ASGIApp, route_name: Callable[[str], str]) -> None:
        self._app, self._route_name = app, route_name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status, texts = perf_counter(), _GONE, [0]
        request = name_request(scope["headers"])

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": guarded(message.get("headers", ()), request.request_id)}
            await send(message)

        with metrics().waiting.track_inprogress():
            try:
                await self._app({**scope, TEXTS: texts}, receive, answer)
            except Exception:
                # BentoML would let the client wait for its whole timeout.
                _logger.exception("an answer broke off")
        method, route, seconds = method_name(scope["method"]), self._route_name(scope["path"]), perf_counter() - begun
        metrics().requests.labels(method, route, str(status)).inc()
        metrics().seconds.labels(method, route).observe(seconds)
        if route not in PROBES:
            log_request(method, route, status, seconds, texts[0])

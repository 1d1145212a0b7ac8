"""What every request passes before BentoML sees it: keys, limits, validation, and one envelope for all errors.

BentoML bounds no body, answers errors in several shapes and hangs where a middleware raises; so requests are read,
counted and checked here, and whatever the framework answers with a status of 400 or more is put into the envelope.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.access import ANALYZE_PATH, admitted
from serving.bodies import parsed
from serving.errors import RAISED, RequestError, error_response, plain_error
from serving.observed import TEXTS
from serving.rate_limits import RateLimits, rate_limit
from serving.reading import Reading, body_seconds
from serving.schema import (
    MAX_CHARACTERS,
    MAX_EXPLAINED,
    MAX_PROPOSITION_CHARACTERS,
    MAX_PROPOSITIONS,
    MAX_TEXTS,
    MAX_TEXTS_WITH_PROPOSITIONS,
    ScoreRequest,
)
from serving.turns import Turns, longest_wait, placed, work_of, work_of_documents
from serving.watching import REFUSED, metrics

SCORE_PATH = "/v1/score"

TIMEOUT = 60
"""Seconds from the first byte of a request to the first of its answer."""

_logger = logging.getLogger("bentoml.stance")

_CODES = {
    ("texts", "too_long"): ("too_many_texts", f"at most {MAX_TEXTS} texts a request"),
    ("texts", "string_too_long"): ("text_too_long", f"a text has at most {MAX_CHARACTERS} characters"),
    ("texts", "string_too_short"): ("empty_text", "a text must not be empty"),
    ("texts", "string_pattern_mismatch"): ("empty_text", "a text must not be empty"),
    ("propositions", "too_long"): ("too_many_propositions", f"at most {MAX_PROPOSITIONS} propositions a request"),
    ("propositions", "string_too_long"): (
        "proposition_too_long",
        f"a proposition has at most {MAX_PROPOSITION_CHARACTERS} characters",
    ),
    ("propositions", "string_too_short"): ("empty_proposition", "a proposition must not be empty"),
    ("propositions", "string_pattern_mismatch"): ("empty_proposition", "a proposition must not be empty"),
}


class Gate:
    """ASGI middleware around the service, within `serving.observed`.

    Args:
        app: the service.
        target_ids: gives the ids of the targets that can be asked for now.
    """

    def __init__(self, app: ASGIApp, target_ids: Callable[[], Sequence[str]]) -> None:
        self._app, self._target_ids = app, target_ids
        self._limits = RateLimits(rate_limit())
        self._reading = Reading(body_seconds())
        self._turns = Turns(longest_wait())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        envelope = _Envelope(scope, receive, send)
        # A task, because a thread that works for it cannot be stopped: it runs on, and nobody listens.
        passing = asyncio.ensure_future(self._pass(scope, receive, envelope))
        try:
            done, _ = await asyncio.wait({passing}, timeout=TIMEOUT)
            if not done:
                raise RequestError(504, f"no answer within {TIMEOUT} s")
            # Cancelled where the client left before its turn came.
            if not passing.cancelled():
                passing.result()
        except RequestError as error:
            if error.code in REFUSED:
                metrics().refused.labels(error.code).inc()
            await envelope.fail(error)
        except Exception:
            _logger.exception("request failed")
            await envelope.fail(RequestError(500, "the service failed; its log says why"))
        finally:
            passing.cancel()

    async def _pass(self, scope: Scope, receive: Receive, envelope: _Envelope) -> None:
        try:
            scope = await admitted(scope, SCORE_PATH)
        finally:
            # Also of a request with a wrong key, so that keys cannot be tried without end.
            self._limits.spend(scope)
        scope = {**scope, RAISED: envelope.raised}
        body = await self._reading.body(scope, receive)
        if scope["method"] != "POST" or scope["path"] not in (SCORE_PATH, ANALYZE_PATH):
            await self._app(scope, _replay(body, receive), envelope.send)
            return
        if scope["path"] == ANALYZE_PATH:
            work = work_of_documents(body)
        else:
            request = check_score_request(body, self._target_ids())
            scope[TEXTS][0] = len(request.texts)
            # Whatever the client called it, it is JSON; curl's -d says it was a form.
            others = [(name, value) for name, value in scope["headers"] if name != b"content-type"]
            scope = {**scope, "headers": [*others, (b"content-type", b"application/json")]}
            work = work_of(request.texts, explained=request.explain, propositions=request.propositions or ())
        place = self._turns.lane(work).take(work)
        with _while_it_listens(receive, envelope) as left, placed(place):
            await self._app(scope, _replay(body, left), envelope.send)


def check_score_request(body: bytes, target_ids: Sequence[str]) -> ScoreRequest:
    """The request in a body.

    Raises:
        RequestError: 400, with code, message and field.
    """
    request = parsed(ScoreRequest, body, _CODES)
    if request.explain and len(request.texts) > MAX_EXPLAINED:
        message = f"at most {MAX_EXPLAINED} texts a request that asks for explanations"
        raise RequestError(400, message, code="too_many_texts", field="texts")
    if request.propositions and len(request.texts) > MAX_TEXTS_WITH_PROPOSITIONS:
        message = f"at most {MAX_TEXTS_WITH_PROPOSITIONS} texts a request that asks about propositions"
        raise RequestError(400, message, code="too_many_texts", field="texts")
    check_targets(request.targets, target_ids)
    return request


def check_targets(asked: Sequence[str] | None, target_ids: Sequence[str]) -> None:
    """Make sure that a model has the targets that are asked for.

    Raises:
        RequestError: 400, `unknown_target`.
    """
    for place, target_id in enumerate(asked or ()):
        if target_id not in target_ids:
            raise RequestError(
                400,
                f"no target '{target_id[:100]}'; this model has {', '.join(target_ids)}",
                code="unknown_target",
                field=f"targets.{place}",
            )


class _Envelope:
    """Passes a response on, unless it is an error in a shape that is not ours."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self.started = self._closed = False
        self._replaced: int | None = None
        self.raised: list[RequestError] = []

    async def send(self, message: Message) -> None:
        if self._closed:
            return
        if message["type"] == "http.response.start":
            if message["status"] >= 400:
                self._replaced = message["status"]
                return
            self.started = True
        if self._replaced is None:
            await self._send(message)
        elif not message.get("more_body"):
            await self.fail(self.raised[-1] if self.raised else plain_error(self._replaced))

    async def fail(self, error: RequestError) -> None:
        """Answer with an error, and with nothing after it."""
        self._closed = True
        # Once an answer has begun there is no taking it back; the broken connection tells the client.
        if not self.started:
            self.started = True
            await error_response(error)(self._scope, self._receive, self._send)


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


@contextmanager
def _while_it_listens(receive: Receive, envelope: _Envelope) -> Iterator[Receive]:
    """Around work for a client whose body has been read: the work is cancelled where it leaves before an answer begins.

    Gives what the application is to call in place of `receive`.
    """
    working = asyncio.current_task()
    leaving = asyncio.ensure_future(receive())

    def left(_: object) -> None:
        if working and not leaving.cancelled() and not envelope.started:
            working.cancel()

    leaving.add_done_callback(left)
    try:
        yield lambda: asyncio.shield(leaving)
    finally:
        leaving.cancel()

"""The envelope of every error over HTTP, and the codes that it can carry."""

from __future__ import annotations

from collections.abc import Mapping
from http.client import responses as PHRASES  # noqa: N812  # a constant in all but name

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from serving.request_ids import current_request

CODES: Mapping[str, int] = {
    "invalid_request": 400,
    "invalid_json": 400,
    "empty_text": 400,
    "too_many_texts": 400,
    "text_too_long": 400,
    "too_many_documents": 400,
    "too_many_sentences": 400,
    "empty_proposition": 400,
    "too_many_propositions": 400,
    "proposition_too_long": 400,
    "unknown_target": 400,
    "too_many_labels": 400,
    "unknown_class": 400,
    "unknown_recipe": 400,
    "unauthorized": 401,
    "no_keys": 403,
    "missing_scope": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "event_reused": 409,
    "id_reused": 409,
    "retraining_runs": 409,
    "job_ended": 409,
    "body_too_slow": 408,
    "body_too_large": 413,
    "rate_limited": 429,
    "internal": 500,
    "not_ready": 503,
    "overloaded": 503,
    "timeout": 504,
}
"""Every code and its status; docs/service.md says when it is given."""

_GENERAL: Mapping[int, str] = {
    400: "invalid_request",
    401: "unauthorized",
    404: "not_found",
    405: "method_not_allowed",
    408: "body_too_slow",
    413: "body_too_large",
    429: "rate_limited",
    500: "internal",
    503: "not_ready",
    504: "timeout",
}
"""Code of an error that nothing more is known about, by status."""

RAISED = "stance.raised"
"""Where the gate looks, in a request's scope, for the error that a mounted route raised."""


class RequestError(Exception):
    """A request that is answered with an error.

    Args:
        status: HTTP status.
        message: what was wrong and what would be right.
        code: one of `CODES`, for programs; the general one of the status where left out.
        field: the field of the body, dotted where nested.
        headers: of the answer.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        field: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message, self.field, self.headers = message, field, headers
        self.code = code or _GENERAL[status]
        self.status = CODES[self.code]
        assert self.status == status, f"{self.code} has the status {self.status}"


def envelope(error: RequestError, request_id: str) -> dict[str, dict[str, str | None]]:
    """The body: {"error": {"code", "message", "field", "request_id"}}."""
    return {
        "error": {"code": error.code, "message": error.message, "field": error.field, "request_id": request_id},
    }


def error_response(error: RequestError) -> JSONResponse:
    """The answer to the current request."""
    request = current_request()
    body = envelope(error, request.request_id if request else "")
    return JSONResponse(body, status_code=error.status, headers=error.headers)


def plain_error(status: int) -> RequestError:
    """What is said where the framework answered with a bare status; one without a code here becomes 400 or 500."""
    known = status if status in _GENERAL else 400 if status < 500 else 500
    return RequestError(known, PHRASES.get(status, "the request failed"))


async def report_to_gate(request: Request, error: Exception) -> Response:
    """Handler for errors of mounted routes: the gate answers with what was raised, not with a bare status."""
    assert isinstance(error, RequestError)
    request.scope[RAISED].append(error)
    return error_response(error)

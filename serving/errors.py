"""The envelope of every error over HTTP, and the codes that it can carry."""

from __future__ import annotations

from collections.abc import Mapping
from http.client import responses as PHRASES  # noqa: N812  # a constant in all but name

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

CODES: Mapping[int, str] = {
    400: "invalid_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "body_too_large",
    429: "overloaded",
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
        code: for programs; that of `CODES` where left out.
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
        self.status, self.message, self.field, self.headers = status, message, field, headers
        self.code = code or CODES.get(status, "error")


def error_response(error: RequestError) -> JSONResponse:
    """The envelope: {"error": {"code", "message", "field"}}."""
    body = {"error": {"code": error.code, "message": error.message, "field": error.field}}
    return JSONResponse(body, status_code=error.status, headers=error.headers)


def plain_error(status: int) -> RequestError:
    """What is said where the framework answered with a bare status."""
    return RequestError(status, PHRASES.get(status, "the request failed"))


async def report_to_gate(request: Request, error: Exception) -> Response:
    """Handler for errors of mounted routes: the gate answers with what was raised, not with a bare status."""
    assert isinstance(error, RequestError)
    request.scope[RAISED].append(error)
    return error_response(error)

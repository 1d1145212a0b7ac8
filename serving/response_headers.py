"""Headers of every answer: what a browser must not do with it."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.datastructures import MutableHeaders

from serving.request_ids import REQUEST_ID_HEADER


def guarded(headers: Iterable[tuple[bytes, bytes]], request_id: str) -> list[tuple[bytes, bytes]]:
    """The headers of an answer, with the id of its request and with those that keep browsers careful.

    A route's own `Cache-Control` and `Content-Security-Policy` stand; but nothing may be framed.
    """
    given = MutableHeaders(raw=list(headers))
    given[REQUEST_ID_HEADER.decode()] = request_id
    given["X-Content-Type-Options"] = "nosniff"
    given["Referrer-Policy"] = "no-referrer"
    given.setdefault("Cache-Control", "no-store")
    policy = given.get("Content-Security-Policy", "default-src 'none'")
    given["Content-Security-Policy"] = f"{policy}; frame-ancestors 'none'"
    return given.raw

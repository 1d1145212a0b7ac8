"""What a request is called: its own `X-Request-Id` where that is sane, else one made here; and the trace it is part of.

Both are kept in context variables, which follow a request into the threads that work for it; so errors and log lines
can name it without being handed it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from uuid import uuid4

REQUEST_ID_HEADER = b"x-request-id"

# What other software makes: UUIDs, ULIDs, base64, ARNs. Nothing that could break a log line or a header.
_SANE = re.compile(rb"[A-Za-z0-9._:=+/@-]{1,128}")
# W3C Trace Context, version 00; all zeros are not an id.
_TRACE_PARENT = re.compile(rb"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True)
class Name:
    """Attributes:
    request_id: 1 to 128 characters of ASCII.
    traceparent: as the client sent it; None where it sent none that is right.
    """

    request_id: str
    traceparent: str | None


_current: ContextVar[Name | None] = ContextVar("stance_request", default=None)


def name_request(headers: Iterable[tuple[bytes, bytes]]) -> Name:
    """Name the request with these headers; from here on it is the current one."""
    given = list(headers)
    request_id = _one(given, REQUEST_ID_HEADER, _SANE) or uuid4().hex
    name = Name(request_id, _one(given, b"traceparent", _TRACE_PARENT))
    _current.set(name)
    return name


def current_request() -> Name | None:
    """The request that is worked for here; None outside of any."""
    return _current.get()


def _one(headers: Iterable[tuple[bytes, bytes]], header: bytes, pattern: re.Pattern[bytes]) -> str | None:
    """Its value, where it was given once and is of that form."""
    values = [value for name, value in headers if name == header]
    return values[0].decode("ascii") if len(values) == 1 and pattern.fullmatch(values[0]) else None

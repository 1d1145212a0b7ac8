"""What goes wrong with a feed or a page, in plain words."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import datetime, timedelta

import httpcore


class FetchError(Exception):
    """Something could not be fetched.

    Args:
        reason: why, in plain words, as the end of a sentence about it.
        status: of HTTP, where there was an answer.
        wait: how long the other side asked to be left alone.
    """

    def __init__(self, reason: str, *, status: int | None = None, wait: timedelta | None = None) -> None:
        super().__init__(reason)
        self.reason, self.status, self.wait = reason, status, wait


class RefusedError(FetchError):
    """It is not asked for at all: its address is not one to be asked, or its robots.txt forbids it."""


class NotYetError(FetchError):
    """Its host is to be left alone for a while; nothing was asked and nothing is wrong."""


class StoppedError(FetchError):
    """The whole was stopped before it was this one's turn."""


@dataclass(frozen=True)
class Trouble:
    """A feed that could not be read.

    Attributes:
        feed: its URL.
        reason: why, in plain words.
        since: when it began.
        next_try: not before.
        failures: how often in a row.
    """

    feed: str
    reason: str
    since: datetime
    next_try: datetime
    failures: int


_STATUS = {
    401: "asks for a password (HTTP 401)",
    403: "refuses access (HTTP 403)",
    404: "there is nothing at this address (HTTP 404)",
    410: "is gone for good (HTTP 410); `stance feeds remove` forgets it",
    429: "was asked too often (HTTP 429)",
    503: "is not available now (HTTP 503)",
}


def status_reason(status: int) -> str:
    """What a status of HTTP other than success means."""
    if known := _STATUS.get(status):
        return known
    return f"its server failed (HTTP {status})" if status >= 500 else f"gave no feed or page (HTTP {status})"


def connection_reason(error: Exception) -> str:
    """Why a connection failed, from what httpcore, ssl or the system raised."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not accepted: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return f"no secure connection: {cause.reason or 'the handshake failed'}".replace("_", " ").lower()
        if isinstance(cause, ConnectionRefusedError):
            return "nothing answers there (connection refused)"
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpcore.ConnectTimeout):
        return "no connection in time"
    if isinstance(error, httpcore.TimeoutException):
        return "no answer in time"
    if isinstance(error, httpcore.RemoteProtocolError):
        return f"broke off, or does not speak HTTP: {error}".rstrip(": ")
    return f"the connection failed: {error}".rstrip(": ")

"""What goes wrong with a feed or a page, in plain words."""

from __future__ import annotations


class FetchError(Exception):
    """Something could not be fetched."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotYetError(FetchError):
    """Its host is to be left alone for a while; nothing was asked and nothing is wrong."""


class StoppedError(FetchError):
    """The whole was stopped before it was this one's turn."""

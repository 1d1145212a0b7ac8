"""Pages over HTTP."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Page:
    """A page as it came."""

    url: str
    body: bytes
    charset: str | None
    content_type: str | None

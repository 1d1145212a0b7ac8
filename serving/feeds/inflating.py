"""Undoing the compression of an answer within a limit: a small answer can hold an endless one."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from serving.feeds.troubles import FetchError

if TYPE_CHECKING:
    from zlib import _Decompress as _Stream

ACCEPTED = "gzip, deflate"
"""What to ask for: what can be undone piece by piece with a limit."""

_STEP = 64 * 1024
_GZIP = zlib.MAX_WBITS | 16


class TooLargeError(FetchError):
    """An answer of more than the limit.

    Attributes:
        beginning: as much as the limit allows.
    """

    def __init__(self, limit: int, beginning: bytes) -> None:
        size = f"{limit / 2**20:.3g} MiB" if limit >= 2**20 else f"{limit:,} bytes"
        super().__init__(f"is larger than {size}, or has no end")
        self.beginning = beginning


def read_within(pieces: Iterable[bytes], coding: str, limit: int) -> bytes:
    """The body of an answer.

    Args:
        pieces: as they come from the connection.
        coding: the header Content-Encoding.
        limit: bytes, of what comes from the connection as of what it holds.

    Raises:
        TooLargeError: it is more.
        FetchError: the compression is not one of ACCEPTED, or is broken.
    """
    codings = [name.strip().lower() for name in coding.split(",") if name.strip().lower() not in ("", "identity")]
    if len(codings) > 1 or not set(codings) <= {"gzip", "x-gzip", "deflate"}:
        raise FetchError(f"is compressed in a way that was not asked for ({coding[:40]})")
    body = bytearray()
    seen = 0
    inflater = _Inflater(gzip=codings != ["deflate"]) if codings else None
    for piece in pieces:
        seen += len(piece)
        if inflater is None:
            body += piece
        else:
            inflater.inflate(piece, body, limit)
        if max(seen, len(body)) > limit:
            raise TooLargeError(limit, bytes(body[:limit]))
    if inflater is not None and not inflater.complete:
        raise FetchError("its compressed contents break off")
    return bytes(body)


class _Inflater:
    """gzip (of several members, too), zlib, and what some servers call deflate: the bare stream (RFC 9110, 8.4.1.2)."""

    def __init__(self, *, gzip: bool) -> None:
        self._gzip, self._beginning = gzip, b""
        self._stream: _Stream | None = None

    @property
    def complete(self) -> bool:
        return self._stream.eof if self._stream else not self._beginning

    def inflate(self, piece: bytes, body: bytearray, limit: int) -> None:
        """Add what a piece holds to the body, at most one step more than the limit."""
        if self._stream is None:
            piece = self._beginning = self._beginning + piece
            if len(piece) < 2:
                return
            self._stream = zlib.decompressobj(_GZIP if self._gzip else _window(piece))
        more = True
        while more and len(body) <= limit:
            if self._stream.eof:
                if not piece.strip(b"\0"):
                    return
                self._stream = zlib.decompressobj(_GZIP)
            try:
                given = self._stream.decompress(piece, _STEP)
            except zlib.error as error:
                raise FetchError(f"its compressed contents are broken: {error}") from None
            body += given
            piece = self._stream.unconsumed_tail or self._stream.unused_data
            # A full step may leave more to come, although all of the piece was read.
            more = bool(piece) or len(given) == _STEP


def _window(beginning: bytes) -> int:
    """What zlib is told of a "deflate" that begins so, of which at least two bytes are there."""
    zlibs_own = beginning[0] & 15 == zlib.DEFLATED and int.from_bytes(beginning[:2], "big") % 31 == 0
    return zlib.MAX_WBITS if zlibs_own else -zlib.MAX_WBITS

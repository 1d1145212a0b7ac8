"""Lines of files that may have no end of line for gigabytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from labels.errors import StanceError

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The file, at its beginning, after a byte order mark.

    Raises:
        StanceError: it cannot be read, or is UTF-16.
    """
    try:
        with path.open("rb") as stream:
            begins = stream.read(3)
            if begins[:2] in (b"\xff\xfe", b"\xfe\xff"):
                raise StanceError("is UTF-16", path=path, hint="Save it as UTF-8.")
            stream.seek(3 if begins == BYTE_ORDER_MARK else 0)
            yield stream
    except OSError as error:
        raise StanceError(f"cannot be read: {error.strerror}", path=path) from error


def bounded_line(stream: IO[bytes], most: int) -> tuple[bytes | None, int]:
    """The next line with its end, None where it is longer than `most` bytes; and how many bytes it takes.

    An empty line without an end is the end of the file.
    """
    line = stream.readline(most + 1)
    if len(line) <= most or line.endswith(b"\n"):
        return line, len(line)
    taken = len(line)
    while piece := stream.readline(2**20):
        taken += len(piece)
        if piece.endswith(b"\n"):
            break
    return None, taken

"""Lists of feeds as other readers export them (OPML 2.0, http://opml.org/spec2.opml)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.parsers import expat

from labels.errors import StanceError

MOST_BYTES = 16 * 2**20
DEEPEST = 50
"""Outlines within outlines, and whatever else."""


@dataclass(frozen=True)
class Outline:
    """A feed of a list.

    Attributes:
        line: where it begins in the file, counted from 1.
    """

    url: str
    title: str | None
    line: int


def read_opml(path: Path) -> list[Outline]:
    """The feeds of a list, however nested, each URL once.

    An outline with `xmlUrl` is a feed; one without is a folder, unless its type says that it is a feed.

    Raises:
        StanceError: it cannot be read, is not OPML, declares entities, lists no feed, or has an outline of the type
            rss without a URL; with the line.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise StanceError(f"cannot be read: {error.strerror}", path=path) from error
    if len(content) > MOST_BYTES:
        raise StanceError(f"is larger than {MOST_BYTES // 2**20} MiB, which no list of feeds is", path=path)
    found = _Outlines(path).of(content)
    if not found:
        raise StanceError("lists no feed", path=path, hint="A feed is an <outline> with an xmlUrl.")
    first = {outline.url: outline for outline in reversed(found)}
    return sorted(first.values(), key=lambda outline: outline.line)


class _Outlines:
    """Reads with expat itself: it tells lines, and what it is handed (entities) can be refused."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found: list[Outline] = []
        self._depth = 0
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.EntityDeclHandler = self._entity

    def of(self, content: bytes) -> list[Outline]:
        try:
            self._parser.Parse(content, True)
        except expat.ExpatError as error:
            what = expat.ErrorString(error.code)
            raise StanceError(f"is not well-formed XML: {what}", path=self._path, line=error.lineno) from None
        except (LookupError, ValueError) as error:
            raise self._wrong(f"is in an encoding that cannot be read: {error}") from None
        return self._found

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        tag, self._depth = name.lower(), self._depth + 1
        if self._depth == 1 and tag != "opml":
            raise self._wrong(f"is not OPML: it begins with <{name[:40]}>")
        if self._depth > DEEPEST:
            raise self._wrong(f"is nested deeper than {DEEPEST} outlines")
        if tag != "outline":
            return
        # Lists in the wild write xmlurl and xmlURL.
        given = {key.lower(): value.strip() for key, value in attributes.items()}
        title = given.get("title") or given.get("text") or None
        if url := given.get("xmlurl"):
            self._found.append(Outline(url, title, self._parser.CurrentLineNumber))
        elif given.get("type", "").lower() in ("rss", "atom") or "xmlurl" in given:
            raise self._wrong(f"the outline '{(title or '')[:60]}' is a feed without an address (xmlUrl)")

    def _end(self, name: str) -> None:
        self._depth -= 1

    def _entity(self, *_: object) -> None:
        raise self._wrong("declares entities, which no list of feeds needs and which can grow without end")

    def _wrong(self, message: str) -> StanceError:
        return StanceError(message, path=self._path, line=self._parser.CurrentLineNumber)

"""The test files of feedparser, which are thousands of odd feeds, read as a run of the feeds reads them.

They are not in this repository: `make feed-files` takes them from feedparser's source package, and STANCE_FEED_FILES
names the folder.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("reader")

from reader import ParseError
from reader._types import EntryData

import serving.feeds.installed_feedparser  # noqa: F401  # before reader parses
from serving.feeds.parsing_process import ParsingProcess

GIVEN = os.environ.get("STANCE_FEED_FILES")
ADDRESS = "http://127.0.0.1:8097/"
"""That which feedparser's own tests serve them at; some say what relative links come to."""

pytestmark = pytest.mark.skipif(not GIVEN, reason="STANCE_FEED_FILES names no feeds: `make feed-files` fetches some")

_HEADER = re.compile(rb"^Header:\s+([\w-]+):[ \t]*(\S[^\r\n]*?)\s*$", re.MULTILINE)
_NO_ID = "none of its entries has an id or a link"
_OUR_FAULT = re.compile("cannot be read|takes too|ended the process|was stopped")
"""What is said of a feed that was not understood, rather than of what is wrong with it."""


def files(*folders: str) -> Iterator[tuple[str, bytes, dict[str, str]]]:
    """Names, bodies, and the headers that they are to be served with."""
    root = Path(GIVEN or "")
    found = [path for folder in folders for path in sorted((root / folder).rglob("*")) if path.is_file()]
    assert len(found) > 5, f"{root} holds no test files of feedparser"
    for path in found:
        body = path.read_bytes()
        headers = {name.decode().lower(): value.decode("latin-1") for name, value in _HEADER.findall(body[:2000])}
        yield str(path.relative_to(root)), body, headers


@pytest.fixture(scope="module")
def process() -> Iterator[ParsingProcess]:
    process = ParsingProcess(lambda: False)
    yield process
    process.close()


def read(process: ParsingProcess, name: str, body: bytes, headers: dict[str, str]) -> list[EntryData] | str:
    """The entries, or why there are none."""
    try:
        return process.parse(ADDRESS + name, body, headers)[1]
    except ParseError as error:
        return error.message


def entries_of(body: bytes, headers: dict[str, str]) -> list[tuple[Any, Any]] | None:
    """Title and link of each entry with an id or a link, one of an id, as feedparser has them; None where it is neither
    RSS nor Atom."""
    import feedparser

    found = feedparser.parse(io.BytesIO(body), response_headers=headers)
    if found.bozo or not str(found.get("version")).startswith(("rss", "atom")):
        return None
    by_id: dict[str, tuple[Any, Any]] = {}
    for entry in found.entries:
        if key := entry.get("id") or entry.get("link"):
            by_id.setdefault(key, (entry.get("title"), entry.get("link")))
    return list(by_id.values())


def with_ids(body: bytes) -> bytes:
    """Most of the files are of one entry without an id, which is left out for the lack of it."""
    body = re.sub(rb"</item>", b"<guid isPermaLink='false'>given</guid></item>", body)
    return re.sub(rb"</entry>", b"<id>given</id></entry>", body)


def test_sound_feeds_are_read_as_feedparser_reads_them(process: ParsingProcess) -> None:
    compared = 0
    differing: list[tuple[str, object, object]] = []
    for name, body, headers in files("wellformed"):
        found = read(process, name, body, headers)
        if found == _NO_ID:
            assert not entries_of(body, headers), name
            body = with_ids(body)
            found = read(process, name, body, headers)
        assert isinstance(found, list) or not _OUR_FAULT.search(found), (name, found)
        expected = entries_of(body, headers)
        if expected is None or found == _NO_ID:
            continue
        compared += len(expected)
        given = found if isinstance(found, str) else [(entry.title, entry.link) for entry in found]
        if given != expected:
            differing.append((name, given, expected))
    assert not differing
    assert compared > 500


def test_broken_feeds_are_read_or_refused_with_a_reason(process: ParsingProcess) -> None:
    refused = 0
    for name, body, headers in files("illformed", "encoding", "entities", "http", "compression"):
        found = read(process, name, body, headers)
        if isinstance(found, str):
            refused += 1
            assert not _OUR_FAULT.search(found), (name, found)
    assert refused > 5

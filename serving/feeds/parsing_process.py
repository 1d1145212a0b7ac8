"""Feeds are parsed in a process of their own, which can be ended: `python -m serving.feeds.parsing_process`.

A feed may be made so that reading it takes hours, and feedparser holds the interpreter meanwhile. The process is given
one feed after the other, each as a line of JSON and its body, and answers with a line of JSON.
"""

from __future__ import annotations

import json
import os
import resource
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from typing import Any, NoReturn

from reader import ParseError
from reader._types import EntryData, FeedData
from reader.types import Author, Content, Enclosure, EntrySource

from serving.child_path import PROJECT
from serving.feeds.troubles import StoppedError

LONGEST = 10.0
"""Seconds of processor time for one feed. The largest that is fetched (4 MiB) takes two or three, if it is sound."""

_LONGEST_WAIT = 180.0
"""Seconds in all, should the machine have no time for it."""

_MOST_MEMORY = 2**30
_OFTEN = 0.1


class ParsingProcess:
    """The process, from this side; may be used from several threads, and does one feed after the other.

    Args:
        stopped: whether to break off.
        longest: seconds of processor time for one feed.
    """

    def __init__(self, stopped: Callable[[], bool], longest: float = LONGEST) -> None:
        self._stopped, self._longest = stopped, longest
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def parse(self, url: str, body: bytes, headers: Mapping[str, str]) -> tuple[FeedData, list[EntryData]]:
        """What `read_feed` gives.

        Raises:
            ParseError: it cannot be read, takes too long or too much memory, or this was stopped.
        """
        asked = {"url": url, "headers": dict(headers), "bytes": len(body), "seconds": self._longest}
        with self._lock:
            answer = json.loads(self._answer(url, json.dumps(asked).encode() + b"\n" + body))
        if "error" in answer:
            raise ParseError(url, message=answer["error"])
        return _feed(answer["feed"]), [_entry(entry) for entry in answer["entries"]]

    def close(self) -> None:
        """End the process; the next feed starts another."""
        process, self._process = self._process, None
        if process:
            process.kill()
            process.communicate()

    def _answer(self, url: str, asked: bytes) -> bytes:
        process = self._process = self._process or _start()
        assert process.stdin
        assert process.stdout
        try:
            # All of it is read before anything is answered.
            with suppress(BrokenPipeError):
                process.stdin.write(asked)
                process.stdin.flush()
            answer = self._line(url, process.stdout.fileno())
        except BaseException:
            self.close()
            raise
        if answer.endswith(b"\n"):
            return answer
        ended = process.wait()
        self.close()
        too_long = ended == -signal.SIGPROF
        raise ParseError(
            url, message="takes too long to read" if too_long else f"ended the process that read it ({ended})"
        )

    def _line(self, url: str, output: int) -> bytes:
        """A line of the answer; without its end where the process has ended."""
        until = time.monotonic() + _LONGEST_WAIT
        pieces: list[bytes] = []
        with selectors.DefaultSelector() as waiting:
            waiting.register(output, selectors.EVENT_READ)
            while not pieces or (pieces[-1] and not pieces[-1].endswith(b"\n")):
                if waiting.select(_OFTEN):
                    pieces.append(os.read(output, 2**20))
                elif self._stopped():
                    raise ParseError(url, message="was stopped") from StoppedError("was stopped")
                elif time.monotonic() > until:
                    raise ParseError(url, message="takes too long to read")
        return b"".join(pieces)


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "serving.feeds.parsing_process"],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        # Ctrl-C is for the run, which ends this one when it is done with it.
        start_new_session=True,
    )


def _feed(given: dict[str, Any]) -> FeedData:
    return FeedData(**_with_dates(given))


def _entry(given: dict[str, Any]) -> EntryData:
    source = given["source"]
    made = {
        "content": tuple(Content(**content) for content in given["content"]),
        "enclosures": tuple(Enclosure(**enclosure) for enclosure in given["enclosures"]),
        "source": EntrySource(**_with_dates(source)) if source else None,
    }
    return EntryData(**{**_with_dates(given), **made})


def _with_dates(given: dict[str, Any]) -> dict[str, Any]:
    dates = {name: datetime.fromisoformat(given[name]) for name in ("updated", "published") if given.get(name)}
    return {**given, **dates, "authors": tuple(Author(**author) for author in given["authors"])}


def _serve() -> NoReturn:
    from serving.feeds.feed_parsers import read_feed

    given, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # Whatever a library prints is no answer.
    os.dup2(2, 1)
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    while line := given.readline():
        asked = json.loads(line)
        body = given.read(asked["bytes"])
        # Nothing catches this signal, so it ends the process, in the middle of whatever it is.
        signal.setitimer(signal.ITIMER_PROF, asked["seconds"])
        answers.write(_answered(lambda asked=asked, body=body: read_feed(asked["url"], body, asked["headers"])))  # type: ignore[misc]
        signal.setitimer(signal.ITIMER_PROF, 0)
        answers.flush()
    raise SystemExit(0)


def _answered(read: Callable[[], tuple[FeedData, list[EntryData]]]) -> bytes:
    answer: dict[str, Any]
    try:
        feed, entries = read()
        answer = {"feed": asdict(feed), "entries": [asdict(entry) for entry in entries]}
        return json.dumps(answer, default=datetime.isoformat).encode() + b"\n"
    except ParseError as error:
        answer = {"error": error.message}
    except MemoryError:
        answer = {"error": "takes too much memory to read"}
    except Exception as error:  # Whatever it is about this feed, it must not stop the others.
        answer = {"error": f"cannot be read: {type(error).__name__}"}
    return json.dumps(answer).encode() + b"\n"


if __name__ == "__main__":
    _serve()

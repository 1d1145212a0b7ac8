"""What others have written is read in a process of its own, which is given so much time and memory, and can be ended.

A document may be made so that reading it takes hours, and a parser holds the interpreter meanwhile. The process is
given one document after the other, each as a line of JSON and its body, and answers with a line of JSON.
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
from datetime import datetime
from typing import Any, NoReturn

from serving.child_path import PROJECT
from serving.feeds.troubles import FetchError, StoppedError

_LONGEST_WAIT = 180.0
"""Seconds in all, should the machine have no time for it."""

_MOST_MEMORY = 2**30
_OFTEN = 0.1


class LimitedProcess:
    """The process, from this side; may be used from several threads, and does one document after the other.

    Args:
        module: what runs there; it calls `answer_questions`.
        longest: seconds of processor time for one document.
        stopped: whether to break off.
    """

    def __init__(self, module: str, longest: float, stopped: Callable[[], bool] = lambda: False) -> None:
        self._module, self._longest, self._stopped = module, longest, stopped
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Start it now, so that it is ready when it is asked; where it is at work, nothing."""
        if self._lock.acquire(blocking=False):
            try:
                self._process = self._process or self._start()
            finally:
                self._lock.release()

    def ask(self, question: Mapping[str, Any], body: bytes) -> dict[str, Any]:
        """What it answers.

        Raises:
            StoppedError: this was stopped.
            FetchError: the document takes too long or too much memory, or cannot be read.
        """
        asked = {"question": question, "bytes": len(body), "seconds": self._longest}
        with self._lock:
            answer: dict[str, Any] = json.loads(self._answer(json.dumps(asked).encode() + b"\n" + body))
        if "error" in answer:
            raise FetchError(answer["error"])
        return answer

    def close(self) -> None:
        """End the process; the next document starts another."""
        process, self._process = self._process, None
        if process:
            process.kill()
            process.communicate()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", self._module],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # Ctrl-C is for the run, which ends this one when it is done with it.
            start_new_session=True,
        )

    def _answer(self, asked: bytes) -> bytes:
        process = self._process = self._process or self._start()
        assert process.stdin
        assert process.stdout
        try:
            # All of it is read before anything is answered.
            with suppress(BrokenPipeError):
                process.stdin.write(asked)
                process.stdin.flush()
            answer = self._line(process.stdout.fileno())
        except BaseException:
            self.close()
            raise
        if answer.endswith(b"\n"):
            return answer
        ended = process.wait()
        self.close()
        too_long = ended == -signal.SIGPROF
        raise FetchError("takes too long to read" if too_long else f"ended the process that read it ({ended})")

    def _line(self, output: int) -> bytes:
        """A line of the answer; without its end where the process has ended."""
        until = time.monotonic() + _LONGEST_WAIT
        pieces: list[bytes] = []
        with selectors.DefaultSelector() as waiting:
            waiting.register(output, selectors.EVENT_READ)
            while not pieces or (pieces[-1] and not pieces[-1].endswith(b"\n")):
                if waiting.select(_OFTEN):
                    pieces.append(os.read(output, 2**20))
                elif self._stopped():
                    raise StoppedError("was stopped")
                elif time.monotonic() > until:
                    raise FetchError("takes too long to read")
        return b"".join(pieces)


def answer_questions(answer: Callable[[dict[str, Any], bytes], Any]) -> NoReturn:
    """The other side: answer until there are no more questions.

    Args:
        answer: gives the answer to a question and its document; or raises FetchError with the reason why not. Moments
            become text, as ISO 8601 has it.
    """
    given, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # Whatever a library prints is no answer.
    os.dup2(2, 1)
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    while line := given.readline():
        asked = json.loads(line)
        body = given.read(asked["bytes"])
        # Nothing catches this signal, so it ends the process, in the middle of whatever it is.
        signal.setitimer(signal.ITIMER_PROF, asked["seconds"])
        answers.write(_answered(answer, asked["question"], body))
        signal.setitimer(signal.ITIMER_PROF, 0)
        answers.flush()
    raise SystemExit(0)


def _answered(answer: Callable[[dict[str, Any], bytes], Any], question: dict[str, Any], body: bytes) -> bytes:
    try:
        return json.dumps(answer(question, body), default=datetime.isoformat).encode() + b"\n"
    except FetchError as error:
        reason = error.reason
    except MemoryError:
        reason = "takes too much memory to read"
    except Exception as error:  # Whatever it is about this document, it must not stop the others.
        reason = f"cannot be read: {type(error).__name__}"
    return json.dumps({"error": reason}).encode() + b"\n"

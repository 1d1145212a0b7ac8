"""Which scoring requests wait for their turn, and which are refused because too much waits already.

There are two lanes, each of which answers one request at a time: a request with a few sentences does not wait behind
one of 256. A request is taken where what waits before it in its lane will, at the pace of late, be answered soon; else
it is told when to come again. So what is taken is answered soon however much is asked.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from time import monotonic

from serving.errors import RequestError
from serving.settings import seconds_setting
from serving.watching import queued

WAIT_VARIABLE = "STANCE_LONGEST_WAIT"
"""Environment variable: seconds of work that may wait in a lane before another request; see `longest_wait`."""

WAIT = 0.08
"""Where the variable is not set: of single sentences, some dozen on two cores."""

TIMES = 4
"""A request may always wait for so many times the work that it is itself: large ones would else never meet."""

LONGEST_ASKED = 30
"""Seconds that somebody is told to wait, at most."""

SHORT = 2_000
"""Work of a request that takes the short lane, at most: some dozen sentences."""

_READ = 1_200
"""Characters of a text that the model reads, about."""

_REQUEST, _TEXT = 150, 20
"""What a request costs besides its characters, and each text of it, in characters."""

_EXPLAINED = 50
"""How often a text is read that is explained, about: once more without each of its words and phrases."""

_FIRST_PACE = 5e-5
_REMEMBERED = 5.0
"""Seconds of work until what was seen of the pace counts a third of what is seen now (1/e)."""


def longest_wait() -> float:
    """Seconds; raises StanceError where the variable holds none."""
    return seconds_setting(WAIT_VARIABLE, WAIT)


def work_of(texts: Sequence[str], *, explained: bool = False, propositions: Sequence[str] = ()) -> int:
    """What texts cost to answer, in characters: as far as they are read, and with what a request and a text cost.

    Each text is read once more with each proposition.
    """
    read = sum(_TEXT + min(len(text), _READ) for text in texts)
    pairs = sum(_TEXT + min(len(words) + len(text), _READ) for words in propositions for text in texts)
    return _REQUEST + read * (_EXPLAINED if explained else 1) + pairs


def work_of_documents(body: bytes) -> int:
    """What documents cost that are analysed, in characters: all of them is read, for scores and for holders."""
    return _REQUEST + 2 * len(body)


class Turns:
    """The lanes of one process.

    Args:
        wait: seconds, see `longest_wait`.
        clock: seconds.
    """

    def __init__(self, wait: float, clock: Callable[[], float] = monotonic) -> None:
        self._short, self._long = Lane(wait, clock), Lane(wait, clock)

    def lane(self, work: int) -> Lane:
        """The lane of a request with that much work."""
        return self._short if work <= SHORT else self._long


class Turn:
    """The turn of one request.

    Args:
        ended: told, once, how many seconds it took, or None where there was no answer.
        clock: seconds.
    """

    def __init__(self, ended: Callable[[float | None], None], clock: Callable[[], float]) -> None:
        self._ended: Callable[[float | None], None] | None = ended
        self._clock, self._began = clock, clock()

    def end(self, *, answered: bool) -> None:
        """Let the next one begin; said again, it does nothing."""
        ended, self._ended = self._ended, None
        if ended:
            ended(self._clock() - self._began if answered else None)


class Lane:
    """One request at a time, in the order in which they came."""

    def __init__(self, wait: float, clock: Callable[[], float] = monotonic) -> None:
        self._wait, self._clock = wait, clock
        self._busy = False
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        # Work that was done and the seconds that it took; both fade.
        self._seconds, self._done = 0.05, 0.05 / _FIRST_PACE
        self._promised = 0.0

    @asynccontextmanager
    async def turn(self, work: int) -> AsyncIterator[Turn]:
        """Wait for a turn, and have it until the block or the turn ends, whichever is first.

        Raises:
            RequestError: 503, at once: too much waits already. Its Retry-After says when that will have been answered,
                with all that was refused before and will come again.
        """
        if not self._takes(work):
            raise self._refusal(work)
        await self._wait_for_turn(work)
        turn = Turn(lambda seconds: self._end(work, seconds), self._clock)
        try:
            yield turn
        finally:
            turn.end(answered=False)

    def _takes(self, work: int) -> bool:
        return not self._waiting or self._before() <= max(self._wait, TIMES * work * self._pace)

    def _refusal(self, work: int) -> RequestError:
        now = self._clock()
        self._promised = min(max(self._promised, now + self._before()) + work * self._pace, now + LONGEST_ASKED)
        seconds = max(1, math.ceil(self._promised - now))
        return RequestError(
            503,
            f"more is asked than can be answered; come again in {seconds} s",
            code="overloaded",
            headers={"Retry-After": str(seconds)},
        )

    @property
    def _pace(self) -> float:
        """Seconds that a character takes."""
        return self._seconds / self._done

    def _before(self) -> float:
        return sum(work for work, _ in self._waiting) * self._pace

    async def _wait_for_turn(self, work: int) -> None:
        if not self._busy:
            self._busy = True
            return
        entry = (work, asyncio.get_running_loop().create_future())
        self._waiting.append(entry)
        try:
            with queued():
                await entry[1]
        except asyncio.CancelledError:
            if not entry[1].cancelled():
                # Its turn came as it left.
                self._next()
            elif entry in self._waiting:
                self._waiting.remove(entry)
            raise

    def _end(self, work: int, seconds: float | None) -> None:
        if seconds is not None:
            left = math.exp(-seconds / _REMEMBERED)
            self._seconds = left * self._seconds + seconds
            self._done = left * self._done + work
        self._next()

    def _next(self) -> None:
        while self._waiting:
            _, turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._busy = False

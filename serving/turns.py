"""Which scoring requests wait for their turn, which share one, and which are refused because too much waits already.

There are two lanes, each of which does one thing at a time: a request with a few sentences does not wait behind one of
256. Requests that waited for the same turn and ask for the same function share it: their texts go through the encoder
together. Nobody is kept waiting for company: where a lane is free, its next turn begins at once. A request is taken
where what waits before it in its lane will, at the pace of late, be answered soon; else it is told when to come again.
What "soon" is depends on how much was asked of late. A crowd that comes at once is let in and waits a little; where
more is asked for seconds on end than can be answered, a long line would only make all wait, and is kept shorter the
more is asked (after Maurer 2015, "Fail at Scale", ACM Queue 13:8, who switches between two lengths).
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import Context, ContextVar
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool

from labels.settings import seconds_setting
from serving.errors import RequestError
from serving.watching import metrics

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")
Together = Callable[[Sequence[Asked]], Sequence[Answer]]
"""Answers several requests, in their order; it is called in a thread."""

WAIT_VARIABLE = "STANCE_LONGEST_WAIT"
"""Environment variable: seconds of work that may wait in a lane before another request, while no more is asked than can
be answered; see `longest_wait`."""

WAIT = 0.08
"""Where the variable is not set: some forty single sentences on two cores, two full turns."""

TIMES = 4
"""A request may always wait for so many times the work that it is itself: large ones would else never meet."""

LONGEST_ASKED = 30
"""Seconds that somebody is told to wait, at most."""

SHORT = 2_000
"""Work of a request that takes the short lane, at most: some dozen sentences. And of a turn that is shared there: by
then a run's own cost is a tenth, and those who come next have not waited long."""

LONG = 10_000
"""Work of a turn that is shared in the other lane, at most: about what 64 sentences are."""

_READ = 1_200
"""Characters of a text that the model reads, about."""

_TURN, _TEXT = 230, 20
"""What a turn costs besides the characters of its texts, and each text of it, in characters."""

_EXPLAINED = 50
"""How often a text is read that is explained, about: once more without each of its words and phrases."""

_FIRST_PACE = 3e-5
_REMEMBERED = 5.0
"""Seconds of work until what was seen of the pace counts a third of what is seen now (1/e)."""

_OF_LATE = 2.0
"""Seconds until what was asked counts a third of what is asked now: longer than a crowd takes to come."""


def longest_wait() -> float:
    """Seconds; raises StanceError where the variable holds none."""
    return seconds_setting(WAIT_VARIABLE, WAIT)


def work_of(texts: Sequence[str], *, explained: bool = False, propositions: Sequence[str] = ()) -> int:
    """What texts cost to answer, in characters: as far as they are read, and with what each costs besides.

    Each text is read once more with each proposition.
    """
    read = sum(_TEXT + min(len(text), _READ) for text in texts)
    pairs = sum(_TEXT + min(len(words) + len(text), _READ) for words in propositions for text in texts)
    return read * (_EXPLAINED if explained else 1) + pairs


def work_of_documents(body: bytes) -> int:
    """What documents cost that are analysed, in characters: all of them is read, for scores and for holders."""
    return 2 * len(body)


class Turns:
    """The lanes of one process.

    Args:
        wait: seconds, see `longest_wait`.
        clock: seconds.
    """

    def __init__(self, wait: float, clock: Callable[[], float] = monotonic) -> None:
        self._short, self._long = Lane(wait, SHORT, clock), Lane(wait, LONG, clock)

    def lane(self, work: int) -> Lane:
        """The lane of a request with that much work."""
        return self._short if work <= SHORT else self._long


@dataclass(frozen=True)
class Place:
    """Where a request was taken: it may wait for a turn there."""

    lane: Lane
    work: int


_place: ContextVar[Place] = ContextVar("stance_place")


@contextmanager
def placed(place: Place) -> Iterator[None]:
    """While the block runs, the current request waits there."""
    before = _place.set(place)
    try:
        yield
    finally:
        _place.reset(before)


@asynccontextmanager
async def own_turn() -> AsyncIterator[None]:
    """Wait until the lane of the current request does nothing else, and keep it so until the block ends."""
    place = _place.get()
    async with place.lane.own_turn(place.work):
        yield


async def shared_turn(asked: Asked, together: Together[Asked, Answer]) -> Answer:
    """Wait for the answer to the current request, with all that wait for the same function; see `Lane.shared_turn`."""
    place = _place.get()
    return await place.lane.shared_turn(place.work, asked, together)


@dataclass(eq=False)
class _Waiting:
    """A request that waits.

    Attributes:
        work: its own.
        asked: what it asks of `together`.
        together: answers it; None where it wants a turn of its own.
        given: its answer, or, where it wants a turn of its own, that it has come.
        ended: of a turn of its own: how many seconds it took, None where it came to nothing.
    """

    work: int
    asked: Any = None
    together: Together[Any, Any] | None = None
    given: asyncio.Future[Any] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    ended: asyncio.Future[float | None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Lane:
    """One turn after another, in the order in which they were asked for.

    Args:
        wait: seconds, see `longest_wait`.
        most: work of a turn that several share, at most.
        clock: seconds.
    """

    def __init__(self, wait: float, most: int, clock: Callable[[], float] = monotonic) -> None:
        self._wait, self._most, self._clock = wait, most, clock
        self._waiting: deque[_Waiting] = deque()
        self._working: asyncio.Task[None] | None = None
        # Work that was done and the seconds that it took; both fade.
        self._seconds, self._done = 0.05, 0.05 / _FIRST_PACE
        # Work that was asked of late, taken or not.
        self._asked, self._asked_until = 0.0, clock()
        self._promised = 0.0

    def take(self, work: int) -> Place:
        """A place for a request.

        Raises:
            RequestError: 503: too much waits already. Its Retry-After says when that will have been answered, with all
                that was refused before and will come again.
        """
        now = self._clock()
        self._asked = self._asked * math.exp((self._asked_until - now) / _OF_LATE) + work
        self._asked_until = now
        if not self._takes(work):
            raise self._refusal(work)
        return Place(self, work)

    def _takes(self, work: int) -> bool:
        longest = max(self._wait, TIMES * (_TURN + work) * self._pace) / max(1.0, self._demand)
        return not self._waiting or self._before() <= longest

    @property
    def _demand(self) -> float:
        """Seconds of work that are asked a second."""
        return self._asked / _OF_LATE * self._pace

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
        """Seconds that what waits will take."""
        work = sum(each.work for each in self._waiting)
        return (work + _TURN * math.ceil(work / self._most)) * self._pace

    @asynccontextmanager
    async def own_turn(self, work: int) -> AsyncIterator[None]:
        """Wait for a turn that nobody shares, and have it until the block ends."""
        one = _Waiting(work)
        await self._answer(one)
        began, answered = self._clock(), False
        try:
            yield
            answered = True
        finally:
            one.ended.set_result(self._clock() - began if answered else None)

    async def shared_turn(self, work: int, asked: Asked, together: Together[Asked, Answer]) -> Answer:
        """Wait for the answer of a function, which those that wait for the same share.

        Raises:
            Exception: what the function raises for this request alone.
        """
        answer: Answer = await self._answer(_Waiting(work, asked, together))
        return answer

    async def _answer(self, one: _Waiting) -> Any:
        self._waiting.append(one)
        metrics().queue.inc()
        if self._working is None:
            # In a context of its own, because it outlives the request that it begins with, and works for others too.
            self._working = asyncio.create_task(self._work(), context=Context())
        try:
            return await one.given
        except asyncio.CancelledError:
            if one in self._waiting:
                self._waiting.remove(one)
                metrics().queue.dec()
            elif not one.given.cancelled():
                # Its own turn came as it left.
                one.ended.set_result(None)
            raise

    async def _work(self) -> None:
        """Take turns until nobody waits."""
        try:
            while together := self._next():
                metrics().turns.observe(len(together))
                seconds = await (_own(together[0]) if together[0].together is None else self._share(together))
                if seconds is not None:
                    left = math.exp(-seconds / _REMEMBERED)
                    self._seconds = left * self._seconds + seconds
                    self._done = left * self._done + _TURN + sum(one.work for one in together)
        finally:
            self._working = None

    def _next(self) -> list[_Waiting]:
        """Whose turn it is: the first that waits, and those behind it that share its turn; nobody's if none waits."""
        found: list[_Waiting] = []
        work = 0
        while self._waiting:
            one = self._waiting[0]
            # Who is just leaving is here still, and gets no turn.
            if not one.given.done():
                work += one.work
                if found and (one.together is None or one.together != found[0].together or work > self._most):
                    break
                found.append(one)
            self._waiting.popleft()
            metrics().queue.dec()
        return found

    async def _share(self, together: Sequence[_Waiting]) -> float | None:
        """A turn that these share; seconds that it took, None where it came to nothing."""
        began, function = self._clock(), together[0].together
        assert function
        try:
            answers = await run_in_threadpool(function, [one.asked for one in together])
        except Exception as error:
            if len(together) == 1:
                _give(together[0], error)
            else:
                # Whichever was at fault, the others are not to suffer for it.
                for one in together:
                    if not one.given.done():
                        await self._share([one])
            return None
        for one, answer in zip(together, answers, strict=True):
            _give(one, answer)
        return self._clock() - began


async def _own(one: _Waiting) -> float | None:
    """A turn of its own, until it ends; seconds that it took, None where it came to nothing."""
    one.given.set_result(None)
    return await one.ended


def _give(one: _Waiting, answer: Any) -> None:
    # Who has left gets none.
    if one.given.done():
        return
    if isinstance(answer, Exception):
        one.given.set_exception(answer)
    else:
        one.given.set_result(answer)

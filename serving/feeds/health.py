"""How a feed fares, and when it is asked for again."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from serving.feeds.fetching import Answer
from serving.feeds.troubles import FetchError, NotYetError, Trouble

if TYPE_CHECKING:
    from reader import Reader

_DATES = ("tried", "succeeded", "whole", "since", "next_try")
_GONE = 410


@dataclass(frozen=True)
class Health:
    """What is known of a feed's rounds; stands as JSON beside the feed.

    Attributes:
        tried: the last time it was asked for.
        succeeded: the last time it could be read, or was said not to have changed.
        whole: the last time it came whole, not as "not changed".
        since: when its trouble began.
        reason: the trouble, in plain words.
        failures: how often in a row.
        next_try: not before.
        moved: where it has moved for good.
        private: whether its own host may be private.
        asking: whether it is being asked for; left by a kill, when edits of entries may be stored and not yet noted.
    """

    tried: datetime | None = None
    succeeded: datetime | None = None
    whole: datetime | None = None
    since: datetime | None = None
    reason: str | None = None
    failures: int = 0
    next_try: datetime | None = None
    moved: str | None = None
    private: bool = False
    asking: bool = False

    @classmethod
    def of(cls, value: Any) -> Health:
        """Of what `as_json` gave, or of nothing."""
        given = dict(value or {})
        return cls(**{**given, **{key: datetime.fromisoformat(given[key]) for key in _DATES if given.get(key)}})

    def as_json(self) -> dict[str, Any]:
        return {key: v.isoformat() if isinstance(v, datetime) else v for key, v in asdict(self).items()}

    def allowed(self) -> Health:
        """The same, with its host allowed to be private."""
        return replace(self, private=True)

    def while_asking(self) -> Health:
        """The same, being asked for."""
        return replace(self, asking=True)

    def not_before(self, date: datetime) -> Health:
        """The same, asked for no earlier than at a date."""
        return self if self.next_try and self.next_try >= date else replace(self, next_try=date)

    def trouble(self, feed: str) -> Trouble | None:
        if self.reason is None or self.since is None or self.next_try is None:
            return None
        return Trouble(feed, self.reason, self.since, self.next_try, self.failures)


@dataclass(frozen=True)
class Schedule:
    """When feeds are asked for.

    Attributes:
        rest: at least between two rounds of a feed of the open internet; one at a private host is asked each round.
        first_pause: after a failure; each further one doubles it.
        longest_pause: at most; also for a feed that is gone for good.
        whole_every: how often a feed is asked for without conditions, as some servers keep an ETag after a change.
    """

    rest: timedelta = timedelta(minutes=5)
    first_pause: timedelta = timedelta(minutes=10)
    longest_pause: timedelta = timedelta(days=1)
    whole_every: timedelta = timedelta(days=1)

    def due(self, health: Health, now: datetime) -> bool:
        return health.next_try is None or health.next_try <= now

    def unconditional(self, health: Health, now: datetime) -> bool:
        return health.whole is None or now - health.whole >= self.whole_every

    def success(self, health: Health, now: datetime, answer: Answer) -> Health:
        whole = health.whole if answer.status == 304 else now
        rest = now if health.private else now + self.rest
        return Health(now, now, whole, next_try=rest, moved=answer.moved, private=health.private)

    def failure(self, health: Health, now: datetime, error: FetchError) -> Health:
        """Retry-After wins over the pause that grows."""
        pause = error.wait
        if pause is None:
            doubled = self.first_pause * 2 ** min(health.failures, 20)
            pause = self.longest_pause if error.status == _GONE else min(doubled, self.longest_pause)
        return replace(
            health,
            tried=now,
            since=health.since or now,
            reason=error.reason,
            failures=health.failures + 1,
            next_try=now + pause,
            asking=False,
        )

    def put_off(self, health: Health, now: datetime, error: NotYetError) -> Health:
        """Nothing was asked: its host wants to be left alone for a while."""
        return replace(health, next_try=now + (error.wait or self.rest), asking=False)


class KeptHealth:
    """The health of each feed, in a tag of the feed in reader's database."""

    def __init__(self, opened: Reader) -> None:
        self._reader = opened
        self._tag = opened.make_plugin_reserved_name("stance")

    def of(self, url: str) -> Health:
        return Health.of(self._reader.get_tag(url, self._tag, None))

    def keep(self, url: str, health: Health) -> None:
        """Raises `reader.FeedNotFoundError` where the feed has been removed meanwhile."""
        self._reader.set_tag(url, self._tag, health.as_json())

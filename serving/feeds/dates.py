"""The date of an article, in UTC, and how far it can be trusted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

DateMark = Literal["ok", "no zone", "missing", "absurd"]
"""How a date was given. A missing or an absurd one is None: the article counts on the day on which it is first seen."""

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
"""Before there was news on the Web: dates like 1970-01-01 are an empty field's."""

LATEST = timedelta(days=1)
"""How far ahead of the clock a date may lie: a wrong zone is at most 14 hours off."""


def dated(given: datetime | None, now: datetime) -> tuple[datetime | None, DateMark]:
    """A date as it was given, in UTC, and its mark; without a zone it is read as UTC.

    Args:
        now: with its zone.
    """
    if given is None:
        return None, "missing"
    mark: DateMark = "ok"
    if given.utcoffset() is None:
        given, mark = given.replace(tzinfo=UTC), "no zone"
    try:
        moment = given.astimezone(UTC)
    except OverflowError:
        return None, "absurd"
    return (moment, mark) if EARLIEST <= moment <= now + LATEST else (None, "absurd")


def first_dated(given: list[datetime | None], now: datetime) -> tuple[datetime | None, DateMark]:
    """The first of several dates that is one; else the mark of the first that was given at all."""
    marked = [dated(moment, now) for moment in given]
    usable = [pair for pair in marked if pair[0] is not None]
    absurd = [pair for pair in marked if pair[1] == "absurd"]
    return (usable + absurd + [(None, "missing")])[0]


def read_date(text: str) -> datetime | None:
    """A date as pages write it for machines: ISO 8601; None where it is not one."""
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        return None

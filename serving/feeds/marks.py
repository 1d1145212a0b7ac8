"""What a feed says of an entry and reader has no place for: a date with its zone only where the feed names one, and the
language. It is kept as one more content of the entry, of the type MARKS: so it is stored with the entry or not at all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from reader._types import EntryData
from reader.types import Content

MARKS = "application/x.stance-marks+json"
"""Type of the content that holds the marks."""

DATES = ("published", "updated")
"""Kinds of dates that entries bear, the one that counts first."""

# The zones that feedparser knows (RFC 822 and some more); a time in another it takes for UTC.
_ZONE = re.compile(
    r"\d:\d\d.*?(?:[+-]\d\d:?\d\d|\b(?:Z|UTC?|GMT|[AECMP][DS]?T|MES?T))\s*(?:\([^)]*\))?$|\dZ$", re.IGNORECASE
)


def marks_in(contents: Iterable[Content]) -> dict[str, Any]:
    """The marks among the contents of an entry: `date` in ISO 8601, and `language`; either may be None."""
    for content in contents:
        if content.type == MARKS:
            marks: dict[str, Any] = json.loads(content.value)
            return marks
    return {}


def has_zone(date: str) -> bool:
    """Whether a date as feeds write it (RFC 822, ISO 8601) names a zone that is known."""
    date = date.strip()
    return len(date) <= 100 and _ZONE.search(date) is not None


def marked(entry: EntryData, dates: Mapping[str, Any], language: Any) -> EntryData:
    """An entry with its marks.

    Args:
        dates: of DATES, as the feed writes them.
    """
    date = next((found for kind in DATES if (found := _date(getattr(entry, kind), dates.get(kind)))), None)
    marks = {
        "date": date.isoformat() if date else None,
        "language": language if isinstance(language, str) and language else None,
    }
    return replace(entry, content=(*entry.content, Content(json.dumps(marks), MARKS)))


def _date(parsed: datetime | None, text: Any) -> datetime | None:
    """A date with its zone only where the text names it.

    Args:
        parsed: by reader, which takes a date without a zone for UTC, or for none at all.
    """
    if not isinstance(text, str):
        return parsed
    if parsed is not None:
        return parsed if has_zone(text) else parsed.replace(tzinfo=None)
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        with suppress(ValueError, TypeError, OverflowError):
            return read(text.strip()[:100])
    return None

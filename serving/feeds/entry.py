"""One entry of a feed, as the feed gives it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Entry:
    """What a feed says of one article.

    Attributes:
        feed: URL of the feed.
        guid: unique within the feed: the entry's id, its link where it has none.
        outlet: title of the feed, else its host.
        published: as the feed says; without a zone where the feed names none (or one that nobody knows).
        html: the fullest content that the feed carries, else the summary.
        full: whether the feed carried content, not only a summary.
        language: as the feed says.
    """

    feed: str
    guid: str
    url: str | None
    title: str | None
    author: str | None
    outlet: str | None
    published: datetime | None
    html: str | None
    full: bool
    language: str | None

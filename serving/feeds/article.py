"""What is known of one article."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

DateMark = Literal["ok", "no zone", "missing", "absurd"]
ExtractedFrom = Literal["feed", "page", "summary"]


@dataclass(frozen=True)
class Article:
    """An article as it was found."""

    fingerprint: str
    url: str | None
    title: str | None
    author: str | None
    outlet: str | None
    published: datetime | None
    date_mark: DateMark
    language: str
    text: str
    extracted_from: ExtractedFrom


@dataclass(frozen=True)
class NoArticle:
    """Why there is none."""

    reason: str

"""From a feed's entry, and its page where it was fetched, to an article that can be scored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from urllib.parse import urlsplit

from serving.feeds.canonical import canonical_url
from serving.feeds.dates import DateMark, first_dated
from serving.feeds.entry import Entry
from serving.feeds.language import language_of
from serving.feeds.notices import Trimmed, trimmed
from serving.feeds.page import FetchedPage, PageReading, read_page
from serving.feeds.plain_text import has_letters, one_line, plain_text
from serving.feeds.same_story import fingerprint

FEWEST_LETTERS = 40
"""Of a text, for it to be one: about eight words of English, a short sentence. Less is a caption or a "Read more"."""

ExtractedFrom = Literal["feed", "page", "summary"]
"""Where a text came from: the feed's full content, the page, or what is known to be only a part."""


@dataclass(frozen=True)
class Article:
    """An article as it is stored and scored.

    Attributes:
        fingerprint: see `same_story.fingerprint`.
        url: canonical; see `canonical`.
        published: in UTC; None where it is missing or absurd: then the article counts on the day it is first seen.
        language: ISO 639-1, "und" where it cannot be known.
        text: in NFC, paragraphs apart by a blank line, no control characters. Offsets are into this text.
    """

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
    """Why an entry has nothing to score: "no text", "only the title", "paywall", "too short"."""

    reason: str


def article_of(
    entry: Entry,
    page: FetchedPage | None,
    now: datetime,
    read_page: Callable[[FetchedPage], PageReading | None] = read_page,
) -> Article | NoArticle:
    """The article that an entry stands for; of any entry and any page, however broken.

    The feed's word goes before the page's: its text where it carries the whole of it, its title, author, outlet and
    date where it has them. A page's text is taken where the feed has only a part, and the page more than that.

    Args:
        now: with its zone.
        read_page: reads a page; what it raises comes out.
    """
    given = trimmed(plain_text(entry.html or ""))
    read = read_page(page) if page else None
    on_page = trimmed(read.text) if read else Trimmed("", cut=True, paywall=False)
    chosen, source = _chosen(given, on_page, full=entry.full)
    title = one_line(entry.title) or (read.title if read else None)
    reason = _nothing(chosen, title, paywall=given.paywall or on_page.paywall)
    if reason:
        return NoArticle(reason)
    # The page that a login or a robot check led to tells nothing of the article.
    said = read if read and on_page.text else PageReading("", None, None, None, None, None)
    published, mark = first_dated([entry.published, said.published], now)
    return Article(
        fingerprint=fingerprint(chosen.text),
        url=said.url or canonical_url(entry.url) or canonical_url(entry.guid),
        title=title,
        author=one_line(entry.author) or said.author,
        outlet=one_line(entry.outlet) or said.outlet or _host(entry),
        published=published,
        date_mark=mark,
        language=language_of(chosen.text, entry.language),
        text=chosen.text,
        extracted_from=source,
    )


def needs_page(entry: Entry) -> bool:
    """Whether the feed carries only a part of the article: a summary, or content that breaks off ("[…]")."""
    return not entry.full or trimmed(plain_text(entry.html or "")).cut


def _chosen(given: Trimmed, on_page: Trimmed, *, full: bool) -> tuple[Trimmed, ExtractedFrom]:
    if full and not given.cut and has_letters(given.text, FEWEST_LETTERS):
        return given, "feed"
    if len(on_page.text) > len(given.text):
        return on_page, "summary" if on_page.cut else "page"
    return given, "summary"


def _nothing(chosen: Trimmed, title: str | None, *, paywall: bool) -> str | None:
    """Why there is nothing to score; None where there is something."""
    if has_letters(chosen.text, FEWEST_LETTERS):
        return "only the title" if title and fingerprint(title) == fingerprint(chosen.text) else None
    if paywall:
        return "paywall"
    return "too short" if has_letters(chosen.text, 1) else "no text"


def _host(entry: Entry) -> str | None:
    try:
        return urlsplit(entry.feed).hostname
    except ValueError:
        return None

"""What an article's page says: its text through trafilatura, and what it says of itself for machines."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from lxml import etree

from serving.feeds.canonical import canonical_of_page
from serving.feeds.dates import read_date
from serving.feeds.plain_text import one_line, text_of

_HTML_TYPES = ("text/html", "application/xhtml+xml", "application/xml", "text/xml", "text/plain")
_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w.:-]{1,40})", re.IGNORECASE)
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_WIDER = {"iso8859-1": "cp1252", "ascii": "cp1252", "gb2312": "gb18030", "gbk": "gb18030", "euc_kr": "cp949"}
"""What pages mean by the names of encodings (WHATWG Encoding Standard)."""

_PUBLISHED = (
    "//meta[@property='article:published_time']/@content",
    "//meta[@itemprop='datePublished']/@content",
    "//*[@itemprop='datePublished']/@datetime",
)
_ADDRESSES = (
    "//link[contains(concat(' ', normalize-space(@rel), ' '), ' canonical ')]/@href",
    "//meta[@property='og:url']/@content",
)


class FetchedPage(Protocol):
    """A page as it came; see `serving.feeds.fetching.Page`."""

    @property
    def url(self) -> str: ...
    @property
    def body(self) -> bytes: ...
    @property
    def charset(self) -> str | None: ...
    @property
    def content_type(self) -> str | None: ...


@dataclass(frozen=True)
class PageReading:
    """What was read from a page.

    Attributes:
        text: of the article, as `plain_text` gives it; empty where trafilatura finds none.
        url: canonical; see `canonical_of_page`.
        published: as the page says; without a zone where it names none.
    """

    text: str
    title: str | None
    author: str | None
    outlet: str | None
    published: datetime | None
    url: str | None


def read_page(page: FetchedPage) -> PageReading | None:
    """What a page says; None where it is no HTML or cannot be read.

    Raises:
        MemoryError: it takes too much.
    """
    if page.content_type and page.content_type.partition(";")[0].strip().lower() not in _HTML_TYPES:
        return None
    import trafilatura  # takes a second, and most entries have no page

    try:
        tree = trafilatura.load_html(decoded(page.body, page.charset))
        if tree is None:
            return None
        published, url = _published(tree), canonical_of_page(page.url, _said(tree, _ADDRESSES))
        found: Any = trafilatura.bare_extraction(tree, url=page.url, include_comments=False, with_metadata=True)
    except MemoryError:
        raise
    except Exception:
        # Pages are other people's; whatever a parser of theirs stumbles over, the feed's own text is still there.
        return None
    if found is None:
        return PageReading("", None, None, None, published, url)
    title = one_line(found.title)
    return PageReading(
        text=_without_heading(text_of(found.body, skip=frozenset()), title) if found.body is not None else "",
        title=title,
        author=one_line(found.author),
        outlet=one_line(found.sitename),
        published=published or (read_date(found.date) if found.date else None),
        url=url,
    )


def decoded(body: bytes, charset: str | None) -> str:
    """The characters of a page: by byte order mark, the server's word, its own word, else UTF-8, else Windows-1252."""
    for mark, name in _MARKS:
        if body.startswith(mark):
            return body[len(mark) :].decode(name, "replace")
    own = _CHARSET.search(body[:4096])
    for said in (charset, own[1].decode("ascii", "ignore") if own else None, "utf-8"):
        try:
            name = codecs.lookup(said or "").name
            return body.decode(_WIDER.get(name, name))
        except (LookupError, ValueError):
            continue
    return body.decode("cp1252", "replace")


def _published(tree: etree._Element) -> datetime | None:
    said = _said(tree, _PUBLISHED[:1]) + list(_linked_data_dates(tree)) + _said(tree, _PUBLISHED[1:])
    return next((moment for moment in map(read_date, said) if moment), None)


def _said(tree: etree._Element, paths: tuple[str, ...]) -> list[str]:
    return [str(value) for path in paths for value in tree.xpath(path)]


def _linked_data_dates(tree: etree._Element) -> Iterator[str]:
    """`datePublished` of the page's JSON-LD (schema.org), where it is an object, a list, or under @graph."""
    for script in tree.xpath("//script[@type='application/ld+json']/text()"):
        try:
            data = json.loads(script)
        except (ValueError, RecursionError):
            continue
        for item in _things(data):
            date = item.get("datePublished")
            if isinstance(date, str):
                yield date


def _things(data: Any) -> Iterator[dict[str, Any]]:
    for item in data if isinstance(data, list) else [data]:
        if isinstance(item, dict):
            yield item
            graph = item.get("@graph")
            yield from (thing for thing in (graph if isinstance(graph, list) else []) if isinstance(thing, dict))


def _without_heading(text: str, title: str | None) -> str:
    """The text without its title above it."""
    first, _, rest = text.partition("\n\n")
    return rest if title and " ".join(first.split()).casefold() == title.casefold() else text

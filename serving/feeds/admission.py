"""How an entry enters the state: a new article, a new version of one, or one more appearance of one that is known."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import Any, Literal, Protocol

from sqlalchemy import Connection, Row, delete, insert, select, update

from serving.feeds import tables
from serving.feeds.article import Article, NoArticle
from serving.feeds.entry import Entry

Verdict = Literal["new", "version", "duplicate", "known"]
"""What an entry turned out to be; "known" was admitted before, as after a kill."""


class Stories(Protocol):
    """Finds the story that an article tells among those that are known; see `serving.feeds.same_story`."""

    def find(self, article: Article, signature: bytes) -> tuple[int, str] | None:
        """Id of the known article, and why it is the same: "same url", "same text" or "near text"."""
        ...

    def add(self, article: int, signature: bytes, url: str | None, fingerprint: str) -> None:
        """Know one more."""
        ...


Near = Callable[[bytes, bytes], bool]
"""Whether two signatures are of one text with small changes."""


def known_stories(db: Connection) -> Iterable[tuple[int, bytes, str | None, str]]:
    """What `Stories` are built from, oldest first: article, signature, URL, fingerprint."""
    a = tables.articles.c
    asked = select(a.id, a.signature, a.url, a.fingerprint).order_by(a.id)
    rows = db.execute(asked, execution_options={"yield_per": 1000})
    return ((row.id, row.signature, row.url, row.fingerprint) for row in rows)


def admit(
    db: Connection, entry: Entry, article: Article, signature: bytes, stories: Stories, near: Near, now: datetime
) -> Verdict:
    """Enter an entry and its article. To be called within a transaction; repeating it changes nothing.

    A story that is known is not entered again: the entry is an appearance of it, and its text stays as it was first
    seen. Another text makes a new version, which is an article of its own and takes over the appearances at its
    address, where the same entry was edited, or where another entry of the same address has a text that is not nearly
    the same. A summary never takes the place of a text.
    """
    key = _key(entry)
    known = db.execute(select(tables.appearances).where(tables.appearances.c.key == key)).one_or_none()
    if known and known.fingerprint == article.fingerprint:
        return "known"
    verdict, number = _placed(db, known, article, signature, stories, near)
    if number is None:
        number = _enter(db, article, signature, now)
        stories.add(number, signature, article.url, article.fingerprint)
        if verdict == "version" and article.url is not None:
            at_address = tables.appearances.c.url == tables.storable(article.url)
            db.execute(update(tables.appearances).where(at_address).values(article=number))
    _appear(db, key, entry, article, number, now, again=known is not None)
    db.execute(delete(tables.unread).where(tables.unread.c.key == key))
    return verdict


def set_aside(db: Connection, entry: Entry, nothing: NoArticle, now: datetime) -> None:
    """Enter an entry of which no article could be made. To be called within a transaction; may be repeated."""
    key = _key(entry)
    db.execute(delete(tables.unread).where(tables.unread.c.key == key))
    row = {"key": key, "feed": entry.feed, "guid": entry.guid, "url": entry.url, "title": entry.title}
    db.execute(insert(tables.unread).values(**row, reason=nothing.reason, seen=now))


def _placed(
    db: Connection, known: Row[Any] | None, article: Article, signature: bytes, stories: Stories, near: Near
) -> tuple[Verdict, int | None]:
    """What it is, and the article that it is an appearance of; None where it needs an article of its own."""
    a = tables.articles.c
    same = db.execute(select(a.id).where(a.fingerprint == article.fingerprint)).scalar()
    if same is not None:
        return "duplicate", same
    found = stories.find(article, signature)
    if found is None and known is None:
        return "new", None
    number, why = found or (known.article, "same entry")  # type: ignore[union-attr]
    old = db.execute(select(a.signature, a.extracted_from).where(a.id == number)).one()
    if article.extracted_from == "summary" and old.extracted_from != "summary":
        return "duplicate", number
    edited = known is not None and known.article == number
    if edited or (why == "same url" and not near(old.signature, signature)):
        return "version", None
    return "duplicate", number


def _enter(db: Connection, article: Article, signature: bytes, now: datetime) -> int:
    values = {
        "fingerprint": article.fingerprint,
        "signature": signature,
        "url": article.url,
        "title": article.title,
        "author": article.author,
        "outlet": article.outlet,
        "published": article.published,
        "date_mark": article.date_mark,
        "date": _filed_under(article, now),
        "language": article.language,
        "extracted_from": article.extracted_from,
        "text": article.text,
        "first_seen": now,
    }
    number: int = db.execute(insert(tables.articles).values(**values).returning(tables.articles.c.id)).scalar_one()
    return number


def _filed_under(article: Article, now: datetime) -> date:
    sound = article.published is not None and article.date_mark != "absurd"
    return (article.published if sound and article.published else now).date()


def _appear(
    db: Connection, key: str, entry: Entry, article: Article, number: int, now: datetime, *, again: bool
) -> None:
    values = {
        "fingerprint": article.fingerprint,
        "article": number,
        "url": article.url,
        "title": article.title,
        "outlet": entry.outlet or article.outlet,
        "published": article.published,
    }
    if again:
        db.execute(update(tables.appearances).where(tables.appearances.c.key == key).values(**values))
    else:
        place = {"key": key, "feed": entry.feed, "guid": entry.guid}
        db.execute(insert(tables.appearances).values(**place, **values, seen=now))


def _key(entry: Entry) -> str:
    place = f"{len(entry.feed)} {entry.feed} {entry.guid}"
    return hashlib.sha256(place.encode("utf8", "surrogatepass")).hexdigest()

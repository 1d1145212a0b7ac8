"""The tables that the state of the feeds lies in, the same in SQLite and in PostgreSQL."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from sqlalchemy import (
    Column,
    Date,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)

VERSION = 1
"""Of the schema; a state of another version is refused."""

_NOT_STORABLE = re.compile("[\0\ud800-\udfff]")


class Moment(TypeDecorator[datetime]):
    """A moment in UTC; SQLite keeps no zone, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Words(TypeDecorator[str]):
    """A text from somebody's feed: what a database cannot hold (NUL, halves of surrogate pairs) becomes U+FFFD.

    One character for one, so that places in the text stay where they are.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else storable(value)


def storable(text: str) -> str:
    """The text as `Words` keeps it."""
    return _NOT_STORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


metadata = MetaData()

about = Table("stance_feeds", metadata, Column("version", Integer, nullable=False))
"""One row: the version of the schema. Its name tells a state from any other database."""

articles = Table(
    "articles",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("fingerprint", String(64), nullable=False, unique=True),
    Column("signature", LargeBinary, nullable=False),
    Column("url", Words),
    Column("title", Words),
    Column("author", Words),
    Column("outlet", Words),
    Column("published", Moment),
    Column("date_mark", String(16), nullable=False),
    # The day that its scores are filed under: of publication, else when it was first seen.
    Column("date", Date, nullable=False),
    Column("language", String(16), nullable=False),
    Column("extracted_from", String(16), nullable=False),
    Column("text", Words, nullable=False),
    Column("first_seen", Moment, nullable=False),
    sqlite_autoincrement=True,
)

appearances = Table(
    "appearances",
    metadata,
    # Hash of feed and guid: guids can be longer than an index of PostgreSQL takes.
    Column("key", String(64), primary_key=True),
    Column("feed", Words, nullable=False),
    Column("guid", Words, nullable=False),
    # Of the text as it stood here; the article keeps the text that was seen first.
    Column("fingerprint", String(64), nullable=False),
    Column("article", ForeignKey("articles.id"), nullable=False, index=True),
    Column("url", Words),
    Column("title", Words),
    Column("outlet", Words),
    Column("published", Moment),
    Column("seen", Moment, nullable=False),
    Index("appearances_by_url", "url", postgresql_using="hash"),
)

unread = Table(
    "unread",
    metadata,
    # Entries of which no article could be made, and why.
    Column("key", String(64), primary_key=True),
    Column("feed", Words, nullable=False),
    Column("guid", Words, nullable=False),
    Column("url", Words),
    Column("title", Words),
    Column("reason", Words, nullable=False),
    Column("seen", Moment, nullable=False),
)

batches = Table(
    "batches",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("version", Text, nullable=False),
    Column("date", Date, nullable=False),
    Column("file", Text, nullable=False, unique=True),
    Column("state", String(8), nullable=False, index=True),
    Column("made", Moment, nullable=False),
    sqlite_autoincrement=True,
)

batch_articles = Table(
    "batch_articles",
    metadata,
    Column("batch", ForeignKey("batches.id", ondelete="CASCADE"), primary_key=True),
    Column("article", ForeignKey("articles.id"), primary_key=True, index=True),
)

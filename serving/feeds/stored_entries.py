"""Entries as reader keeps them: which of them wait to be taken, and which are kept no longer."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import reader
from reader import EntryUpdateStatus, Reader
from reader._types import EntryData

from serving.feeds.addresses import checked_url
from serving.feeds.entry import Entry
from serving.feeds.marks import MARKS, marks_in

KEPT = timedelta(days=90)
"""How long an entry is kept after it was taken. One that its feed still has by then comes anew, and is known."""


class StoredEntries:
    """The entries of a reader; one that has been taken is marked as read."""

    def __init__(self, opened: Reader) -> None:
        self._reader = opened
        self._tag = opened.make_plugin_reserved_name("stance", "looked-over")
        opened.after_entry_update_hooks.append(_wait_again)

    def waiting(self) -> Iterator[Entry]:
        """Entries that nobody has taken yet, oldest first; those that come meanwhile wait for the next call."""
        # Only what orders them is kept: with their contents, many would not fit into memory.
        order = sorted(
            (entry.published or entry.updated or entry.added, entry.feed_url, entry.id)
            for entry in self._reader.get_entries(read=False)
        )
        for _, feed, guid in order:
            with suppress(reader.EntryNotFoundError):
                yield _entry(self._reader.get_entry((feed, guid)))

    def taken(self, entries: Iterable[Entry]) -> None:
        """Have entries wait no longer, once they are safely stored; repeating it is harmless."""
        for entry in entries:
            with suppress(reader.EntryNotFoundError):
                self._reader.mark_entry_as_read((entry.feed, entry.guid))

    def note_edits(self, feed: str) -> None:
        """Have entries of a feed wait that were edited since they were taken, which a kill may have left unnoted."""
        taken = self._reader.get_entries(feed=feed, read=True)
        edited = [entry for entry in taken if entry.read_modified and entry.last_updated > entry.read_modified]
        for entry in edited:
            self._reader.mark_entry_as_unread(entry)

    def forget_old(self, now: datetime) -> None:
        """Remove entries that were taken long ago; looks for them once a day."""
        looked: Any = self._reader.get_tag((), self._tag, None)
        if looked and now - datetime.fromisoformat(looked["at"]) < timedelta(days=1):
            return
        old = [
            (entry.feed_url, entry.id)
            for entry in self._reader.get_entries(read=True)
            if entry.read_modified and now - entry.read_modified > KEPT
        ]
        for feed, guid in old:
            # reader deletes what was added by hand only, which an entry is that was written over by hand.
            with suppress(reader.FeedNotFoundError):
                self._reader.add_entry({"feed_url": feed, "id": guid}, overwrite=True)
                self._reader.delete_entry((feed, guid), missing_ok=True)
        self._reader.set_tag((), self._tag, {"at": now.isoformat()})


def _wait_again(opened: Reader, entry: EntryData, status: EntryUpdateStatus) -> None:
    """An entry that its feed has edited waits again."""
    if status is EntryUpdateStatus.MODIFIED and marks_in(entry.content):
        with suppress(reader.EntryNotFoundError):
            opened.mark_entry_as_unread((entry.feed_url, entry.id))


def _entry(entry: reader.Entry) -> Entry:
    marks = marks_in(entry.content)
    contents = [content for content in entry.content if content.type != MARKS and content.value.strip()]
    fullest = max(contents, key=lambda content: (content.is_html, len(content.value)), default=None)
    summary = entry.summary if entry.summary and entry.summary.strip() else None
    text = summary
    if fullest is not None:
        text = fullest.value if fullest.is_html else _paragraphs(fullest.value)
    date = marks.get("date")
    return Entry(
        feed=entry.feed_url,
        guid=entry.id,
        url=entry.link,
        title=entry.title,
        author=entry.authors_str,
        outlet=entry.feed.resolved_title or checked_url(entry.feed_url).host,
        published=datetime.fromisoformat(date) if date else None,
        html=text,
        full=fullest is not None,
        language=marks.get("language"),
    )


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{html.escape(part)}</p>" for part in re.split(r"\n\s*\n", text) if part.strip())

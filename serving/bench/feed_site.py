"""A site of feeds and articles to measure with: files, served on loopback by a process of its own."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from html import escape
from pathlib import Path

from labels.errors import StanceError
from serving.bench.server import free_port
from serving.bench.texts import block_of

SENTENCES = 24
"""Of an article, about as many as news has."""

_PARAGRAPH = 3
_PATIENCE = 20.0


def write_site(folder: Path, texts: Sequence[str], articles: int, feeds: int) -> list[str]:
    """Write feeds that carry a summary each, and the pages of their articles.

    Args:
        folder: made where it is missing.
        texts: sentences; after the last comes the first again.
        articles: in all.
        feeds: that they are divided into.

    Returns:
        the names of the feeds' files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    items: list[list[str]] = [[] for _ in range(feeds)]
    now = datetime.now(UTC)
    for number in range(articles):
        sentences = block_of(texts, number * SENTENCES, SENTENCES)
        title, published = f"Report number {number}", now - timedelta(hours=number % 72)
        (folder / f"{number}.html").write_text(_page(title, published, sentences), encoding="utf8")
        items[number % feeds].append(
            f"<item><title>{title}</title><link>{{site}}/{number}.html</link><guid>{number}</guid>"
            f"<pubDate>{format_datetime(published)}</pubDate><description>{escape(sentences[0])}</description></item>"
        )
    names = [f"feed-{n}.xml" for n in range(feeds)]
    for name, of in zip(names, items, strict=True):
        head = f"<title>{name}</title><link>{{site}}</link><description>To measure with</description>"
        feed = f'<?xml version="1.0"?><rss version="2.0"><channel>{head}{"".join(of)}</channel></rss>'
        (folder / name).write_text(feed, encoding="utf8")
    return names


def _page(title: str, published: datetime, sentences: Sequence[str]) -> str:
    paragraphs = "".join(
        f"<p>{escape(' '.join(sentences[n : n + _PARAGRAPH]))}</p>" for n in range(0, len(sentences), _PARAGRAPH)
    )
    links = "".join(f'<li><a href="/{n}.html">Another report, number {n}</a></li>' for n in range(40))
    return (
        f'<!doctype html><html lang="en"><head><title>{title}</title>'
        f'<meta property="article:published_time" content="{published.isoformat()}"></head>'
        f"<body><header><nav><ul>{links}</ul></nav></header><main><article><h1>{title}</h1>{paragraphs}</article></main>"
        f"<aside><ul>{links}</ul></aside><footer><p>All rights reserved.</p></footer></body></html>"
    )


@contextlib.contextmanager
def serving_site(folder: Path) -> Iterator[str]:
    """Its address, while it is served; links in its feeds lead there.

    Raises:
        StanceError: it cannot be served.
    """
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    for path in folder.glob("feed-*.xml"):
        path.write_text(path.read_text(encoding="utf8").replace("{site}", address), encoding="utf8")
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(process, port)
        yield address
    finally:
        process.terminate()
        process.wait()


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise StanceError("the site to measure with could not be served")

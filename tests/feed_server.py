"""A small web server on loopback that serves feeds and pages as a script says, well or badly."""

from __future__ import annotations

import gzip
import hashlib
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Behaviour = Callable[[BaseHTTPRequestHandler], None]
"""Answers one request, however it likes."""


@dataclass(frozen=True)
class Asked:
    """A request that came in; names of headers are in small letters."""

    path: str
    headers: Mapping[str, str]


@dataclass
class FeedServer:
    """Serves on a free port while the block runs; what is not set is answered by 404.

    Args:
        host: an address of loopback; different ones are different hosts to whoever asks.
        tls: serve https with it.
    """

    host: str = "127.0.0.1"
    tls: ssl.SSLContext | None = None
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def __enter__(self) -> FeedServer:
        script = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.close_connection = True
                script.asked.append(Asked(self.path, {name.lower(): value for name, value in self.headers.items()}))
                with suppress(ConnectionError, ssl.SSLError, TimeoutError):
                    script.behaviours.get(self.path, status(404))(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = _Quiet((self.host, 0), Handler)
        if self.tls:
            self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def url(self, path: str = "/") -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}:{self._server.server_port}{path}"

    def serve(self, path: str, body: str | bytes, content_type: str = "application/xml", **headers: str) -> str:
        """Serve this at a path, with an ETag and a 304 for whoever has it; returns its URL.

        Underscores in names of headers stand for hyphens.
        """
        self.behaviours[path] = document(body, content_type, **headers)
        return self.url(path)

    def do(self, path: str, behaviour: Behaviour) -> str:
        """Answer a path in another way; returns its URL."""
        self.behaviours[path] = behaviour
        return self.url(path)

    def paths(self) -> list[str]:
        """What was asked for, in order, robots.txt left out."""
        return [asked.path for asked in self.asked if asked.path != "/robots.txt"]


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: Any) -> None:
        """Whoever asks breaks off on purpose here."""


def answer(handler: BaseHTTPRequestHandler, code: int, body: bytes = b"", **headers: str) -> None:
    handler.send_response(code)
    for name, value in {"Content_Length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def document(body: str | bytes, content_type: str = "application/xml", **headers: str) -> Behaviour:
    content = body.encode() if isinstance(body, str) else body
    etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'

    def behave(handler: BaseHTTPRequestHandler) -> None:
        if handler.headers.get("If-None-Match") == etag:
            return answer(handler, 304, ETag=etag)
        return answer(handler, 200, content, Content_Type=content_type, ETag=etag, **headers)

    return behave


def status(code: int, **headers: str) -> Behaviour:
    return lambda handler: answer(handler, code, b"no", **headers)


def redirect(to: str, code: int = 302) -> Behaviour:
    return lambda handler: answer(handler, code, Location=to)


def endless(handler: BaseHTTPRequestHandler) -> None:
    """A body without an end, as fast as it is read."""
    _begin(handler, Content_Type="application/xml")
    while True:
        handler.wfile.write(b"<item>and so on</item>" * 1000)


def dripping(handler: BaseHTTPRequestHandler) -> None:
    """A byte now and then: no single wait is long."""
    _begin(handler, Content_Type="application/xml")
    while True:
        handler.wfile.write(b" ")
        time.sleep(0.02)


def silent(handler: BaseHTTPRequestHandler) -> None:
    """No answer, for longer than anybody in the tests waits, or until the other side has gone."""
    handler.connection.settimeout(20)
    handler.connection.recv(1)


def torn(handler: BaseHTTPRequestHandler) -> None:
    """A body that breaks off."""
    answer(handler, 200, b"<rss>", Content_Length="1000", Content_Type="application/xml")


def bomb(handler: BaseHTTPRequestHandler) -> None:
    """Small on the wire, half a gibibyte unpacked."""
    content = gzip.compress(b" " * 2**25) * 16
    answer(handler, 200, content, Content_Encoding="gzip", Content_Type="application/xml")


def nonsense(handler: BaseHTTPRequestHandler) -> None:
    """Another protocol."""
    handler.wfile.write(b"SSH-2.0-OpenSSH\r\n\r\n")


def _begin(handler: BaseHTTPRequestHandler, **headers: str) -> None:
    handler.send_response(200)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()


def item(
    guid: str | None,
    title: str = "A title",
    *,
    link: str | None = None,
    summary: str | None = None,
    content: str | None = None,
    date: str | None = "Mon, 05 Oct 2026 08:00:00 GMT",
) -> str:
    """An item of RSS 2.0; what is None is left out."""
    content = None if content is None else escape(content)
    parts = {'guid isPermaLink="false"': guid, "title": title, "link": link, "description": summary, "pubDate": date}
    inside = "".join(
        f"<{name}>{escape(value)}</{name.split()[0]}>" for name, value in parts.items() if value is not None
    )
    return f"<item>{inside}{f'<content:encoded>{content}</content:encoded>' if content is not None else ''}</item>"


def rss(*items: str, title: str = "The Harbour Post", language: str = "en") -> str:
    return (
        '<?xml version="1.0" encoding="utf-8"?>'
        '<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"><channel>'
        f"<title>{escape(title)}</title><link>http://example.org/</link><description>News</description>"
        f"<language>{language}</language>{''.join(items)}</channel></rss>"
    )

"""Fetching feeds and pages from servers that nobody vouches for: checked addresses, limits in time, size and number."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from ssl import SSLContext

import httpcore
import httpx

from serving.feeds.addresses import CheckedConnections, checked_url
from serving.feeds.inflating import ACCEPTED, TooLargeError, read_within
from serving.feeds.politeness import Manners, Politeness, retry_after
from serving.feeds.troubles import FetchError, StoppedError, connection_reason, status_reason
from serving.version import VERSION

USER_AGENT = f"stance/{VERSION} (feed reader; obeys robots.txt as stance)"
MOST_ROBOTS = 512 * 1024
"""Bytes of a robots.txt that are read (RFC 9309: at least 500 KiB); what follows is not."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PERMANENT = frozenset({301, 308})


@dataclass(frozen=True)
class Limits:
    """What a server is granted.

    Attributes:
        connect: seconds for a connection, and as many for what secures it.
        read: seconds without a byte.
        total: seconds for one URL in all, redirects included, waiting for its turn not.
        redirects: how many are followed.
    """

    connect: float = 10.0
    read: float = 20.0
    total: float = 60.0
    redirects: int = 5


@dataclass(frozen=True)
class Page:
    """What was found at a URL.

    Attributes:
        url: after redirects.
        body: uncompressed.
        charset: as the header says.
        content_type: as the header says, without parameters, in small letters.
    """

    url: str
    body: bytes
    charset: str | None
    content_type: str | None


@dataclass(frozen=True)
class Answer:
    """An answer of HTTP.

    Attributes:
        url: after redirects.
        headers: names in small letters.
        moved: where it has moved for good, as permanent redirects say.
    """

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    moved: str | None = None

    @property
    def page(self) -> Page:
        content_type, _, rest = self.headers.get("content-type", "").partition(";")
        parameters = (parameter.partition("=") for parameter in rest.split(";"))
        charsets = [value.strip(" \"'") for name, _, value in parameters if name.strip().lower() == "charset"]
        charset = charsets[0].lower() if charsets and charsets[0] else None
        return Page(self.url, self.body, charset, content_type.strip().lower() or None)


class Fetcher:
    """Asks sites for feeds and pages; may be used from several threads.

    No proxy is used, whatever the environment says: behind one, the address that is connected to cannot be checked.

    Args:
        allow_private: whether private addresses may be asked, whoever names them.

    Attributes:
        private_feeds: URLs of feeds whose own host may be private, because whoever added them said so.
        stopped: set, it breaks off what waits or reads.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        manners: Manners | None = None,
        *,
        allow_private: bool = False,
    ) -> None:
        self.allow_private = allow_private
        self.private_feeds: set[str] = set()
        self.stopped = threading.Event()
        self.politeness = Politeness(manners or Manners(), wait=self.stopped.wait)
        self._limits = limits or Limits()

    def get(self, url: str, *, limit: int, feed: str | None = None) -> Page:
        """Fetch a page.

        Args:
            limit: bytes, uncompressed.
            feed: URL of the feed that led here: if it was allowed to be at a private host, so is its page there.

        Raises:
            FetchError: with the reason in plain words.
        """
        return self.ask(url, limit=limit, feed=feed).page

    def ask(self, url: str, *, limit: int, feed: str | None = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Fetch a URL, following redirects; the answer is a success (2xx) or a 304.

        Raises:
            FetchError: as for `get`.
        """
        here, moved, permanent = checked_url(url), None, True
        private_host = checked_url(feed).host if feed is not None and feed in self.private_feeds else None
        seen, left = set[str](), self._limits.total
        while str(here) not in seen:
            if len(seen) > self._limits.redirects:
                raise FetchError(f"redirects more than {self._limits.redirects} times")
            seen.add(str(here))
            private_too = self.allow_private or here.host == private_host
            self.politeness.check_robots(here, lambda robots, private=private_too: self._robots(robots, private))  # type: ignore[misc]
            request = _Request(here, headers or {}, limit, private_too)
            began = time.monotonic()
            answer, waited = self._exchange(request, left)
            left -= time.monotonic() - began - waited
            if answer.status not in _REDIRECTS:
                return self._successful(answer, here, moved)
            here = _next(here, answer)
            permanent = permanent and answer.status in _PERMANENT
            moved = str(here) if permanent else moved
        raise FetchError("redirects in a circle")

    def _successful(self, answer: Answer, here: httpx.URL, moved: str | None) -> Answer:
        if 200 <= answer.status < 300 or answer.status == 304:
            return Answer(answer.url, answer.status, answer.headers, answer.body, moved)
        raise self._failure(answer, here, status_reason(answer.status))

    def _failure(self, answer: Answer, here: httpx.URL, reason: str) -> FetchError:
        wait = None
        if answer.status in (429, 503):
            wait = retry_after(answer.headers.get("retry-after"), datetime.now(UTC))
            if wait is not None:
                self.politeness.leave_alone(here, wait)
        return FetchError(reason, status=answer.status, wait=wait)

    def _robots(self, url: httpx.URL, private_too: bool) -> str | None:
        """A site's robots.txt; None where there is none (RFC 9309, 2.3.1: also where it is refused)."""
        here, left = url, self._limits.total
        for _ in range(self._limits.redirects + 1):
            request = _Request(here, {}, MOST_ROBOTS, private_too and here.host == url.host, robots=True)
            answer, _ = self._exchange(request, left)
            if answer.status in _REDIRECTS:
                here = _next(here, answer)
            elif answer.status == 429 or answer.status >= 500:
                raise self._failure(answer, here, f"its site's robots.txt cannot be read (HTTP {answer.status})")
            else:
                return answer.body.decode("utf-8-sig", "replace") if 200 <= answer.status < 300 else None
        return None

    def _exchange(self, request: _Request, left: float) -> tuple[Answer, float]:
        """One request in its turn; beside the answer, the seconds that its turn was waited for."""
        asked = time.monotonic()
        with self.politeness.turn(request.url) as turn:
            began = time.monotonic()
            turn.counts = not request.robots
            connections = CheckedConnections(private_too=request.private_too, deadline=began + left)
            try:
                answer = self._send(request, connections)
            except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
                raise FetchError(connection_reason(error)) from error
            finally:
                turn.private = connections.private
        return answer, began - asked

    def _send(self, request: _Request, connections: CheckedConnections) -> Answer:
        url = request.url
        target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        headers = {"Host": url.netloc.decode(), "User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": ACCEPTED}
        headers |= {"Connection": "close", **request.headers}
        patience = {"connect": self._limits.connect, "read": self._limits.read, "write": self._limits.read}
        # A connection serves one request: feeds are asked for minutes apart, and pages in turns.
        tls = self._tls if url.scheme == "https" else None
        pool = httpcore.ConnectionPool(ssl_context=tls, max_connections=1, network_backend=connections)
        with (
            pool,
            pool.stream("GET", target, headers=list(headers.items()), extensions={"timeout": patience}) as response,
        ):
            given: dict[str, str] = {}
            for name, value in response.headers:
                key, text = name.decode("latin-1").lower(), value.decode("latin-1")
                given[key] = f"{given[key]}, {text}" if key in given else text
            body = self._read(request, response, given) if 200 <= response.status < 300 else b""
        return Answer(str(url), response.status, given, body)

    def _read(self, request: _Request, response: httpcore.Response, headers: Mapping[str, str]) -> bytes:
        def pieces() -> Iterator[bytes]:
            for piece in response.iter_stream():
                if self.stopped.is_set():
                    raise StoppedError("was stopped")
                yield piece

        try:
            return read_within(pieces(), headers.get("content-encoding", ""), request.limit)
        except TooLargeError as error:
            if request.robots:
                return error.beginning
            raise

    @cached_property
    def _tls(self) -> SSLContext:
        return httpx.create_ssl_context()


@dataclass(frozen=True)
class _Request:
    url: httpx.URL
    headers: Mapping[str, str]
    limit: int
    private_too: bool
    robots: bool = False


def _next(here: httpx.URL, answer: Answer) -> httpx.URL:
    """Where a redirect leads.

    Raises:
        FetchError: nowhere, or where nothing may be asked for.
    """
    location = answer.headers.get("location")
    if not location:
        raise FetchError("redirects without saying where to", status=answer.status)
    try:
        return checked_url(str(here.join(location)))
    except (httpx.InvalidURL, UnicodeError, ValueError):
        raise FetchError("redirects to what is not a URL", status=answer.status) from None
    except FetchError as error:
        raise FetchError(f"redirects to an address that {error.reason}", status=answer.status) from None

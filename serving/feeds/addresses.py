"""Which addresses may be asked: what a feed or a page names must not lead into the reader's own network.

A name is looked up once, all that it resolves to is checked, and the connection goes to what was checked: a name that
resolves to something else a moment later (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import ipaddress
import queue
import socket
import threading
import time
from collections.abc import Iterable

import httpcore
import httpx

from serving.feeds.troubles import FetchError, RefusedError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MOST_ADDRESSES = 4
"""Of a name that resolves to more, only as many are tried."""

_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# 6to4 carries an IPv4 address within, and has been given up (RFC 7526), with its relays.
_TUNNELS = (ipaddress.ip_network("2002::/16"), ipaddress.ip_network("192.88.99.0/24"))


def is_public(address: Address) -> bool:
    """Whether an address is one of the open internet's, by the IANA registries of special addresses.

    Private, loopback, link-local, shared (RFC 6598), documentation, multicast and reserved ones are not, nor is an
    IPv6 address that carries one of these.
    """
    if any(address in tunnel for tunnel in _TUNNELS if tunnel.version == address.version):
        return False
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if address not in _GLOBAL_UNICAST:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def checked_url(text: str) -> httpx.URL:
    """A URL that can be asked for: http or https, with a host, and without a password.

    Raises:
        RefusedError: it is none.
    """
    try:
        url = httpx.URL(text.strip())
        host = url.raw_host
    except (httpx.InvalidURL, UnicodeError, ValueError) as error:
        raise RefusedError(f"is not a URL: {error}") from None
    if url.scheme not in ("http", "https") or not host:
        raise RefusedError("is not a web address (http:// or https://)")
    if url.userinfo:
        raise RefusedError("carries a name or a password, which would be kept and shown")
    return url.copy_with(fragment=None)


def resolve(host: str, port: int, patience: float) -> tuple[Address, ...]:
    """All addresses of a host.

    Args:
        patience: seconds; the system's own resolver can take far longer.

    Raises:
        FetchError: there is none, or not in time.
    """
    answers: queue.SimpleQueue[list[str] | Exception] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            answers.put(error)
        else:
            answers.put([str(place[0]) for *_, place in found])

    # A daemon: the system's lookup cannot be broken off, and must not keep the process from ending.
    threading.Thread(target=look_up, name=f"resolve {host}", daemon=True).start()
    try:
        found = answers.get(timeout=max(patience, 0.001))
    except queue.Empty:
        raise FetchError(f"the name {host} was not looked up in time") from None
    if isinstance(found, Exception) or not found:
        raise FetchError(f"the name {host} is not known")
    return tuple(ipaddress.ip_address(address.partition("%")[0]) for address in dict.fromkeys(found))


def refuse_private(host: str, addresses: Iterable[Address]) -> None:
    """Refuse a host of which any address is not public: one that mixes them is up to something.

    Raises:
        RefusedError: with the address.
    """
    for address in addresses:
        if not is_public(address):
            leads = f"{host} leads to {address}, which" if host.strip("[]") != str(address) else host
            raise RefusedError(f"{leads} is not a public address (--allow-private allows it)")


class CheckedConnections(httpcore.NetworkBackend):
    """Connects to public addresses only, and within a time in all.

    Args:
        private_too: whether other addresses may be connected to.
        deadline: of `time.monotonic`, after which nothing is waited for any more.

    Attributes:
        private: whether an address of the last host was not public.
    """

    def __init__(self, *, private_too: bool, deadline: float) -> None:
        self._private_too, self._deadline = private_too, deadline
        self._network = httpcore.SyncBackend()
        self.private = False

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = resolve(host, port, _left(self._deadline, timeout))
        if not self._private_too:
            refuse_private(host, addresses)
        self.private = not all(map(is_public, addresses))
        failure: Exception | None = None
        for address in addresses[:MOST_ADDRESSES]:
            patience = _left(self._deadline, timeout)
            try:
                stream = self._network.connect_tcp(str(address), port, patience, local_address, socket_options)
                return _InTime(stream, self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure or FetchError(f"{host} has no address")

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None
    ) -> httpcore.NetworkStream:
        raise RefusedError("is not a web address (http:// or https://)")


class _InTime(httpcore.NetworkStream):
    """A connection of which every wait ends at the deadline: a server that sends a byte now and then gains nothing."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(self._deadline, timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(self._deadline, timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: object, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _left(self._deadline, timeout)
        return _InTime(self._stream.start_tls(ssl_context, server_hostname, left), self._deadline)  # type: ignore[arg-type]

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)


def _left(deadline: float, timeout: float | None) -> float:
    """Seconds that may be waited.

    Raises:
        httpcore.ReadTimeout: none is left.
    """
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("took too long in all")
    return left if timeout is None else min(left, timeout)

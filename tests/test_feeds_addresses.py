"""Which addresses feeds and pages may lead to."""

from __future__ import annotations

import ipaddress
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.feeds.addresses import checked_url, is_public
from serving.feeds.fetching import Fetcher, Limits
from serving.feeds.subscriptions import open_subscriptions
from serving.feeds.troubles import FetchError, RefusedError
from tests.conftest import run_stance
from tests.feed_server import FeedServer, redirect, rss

QUICK = Limits(connect=1, read=1, total=2)

# The registries of special addresses (IANA), those that are not for everybody's use.
CLOSED = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/29"),
    *("192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
    *("224.0.0.0/4", "240.0.0.0/4", "::/128", "::1/128", "::ffff:0:0/96", "64:ff9b:1::/48", "100::/64", "2001::/32"),
    *("2001:db8::/32", "2002::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"),
)


@st.composite
def closed_addresses(draw: st.DrawFn) -> str:
    network = ipaddress.ip_network(draw(st.sampled_from(CLOSED)))
    return str(network[draw(st.integers(0, network.num_addresses - 1))])


@given(closed_addresses())
def test_no_special_address_is_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@given(st.ip_addresses(v=4))
def test_what_carries_an_address_of_version_4_is_no_more_public_than_that(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    translated = ipaddress.IPv6Address((0x64FF9B << 96) | number)
    mapped, sixto4 = (
        ipaddress.IPv6Address((0xFFFF << 32) | number),
        ipaddress.IPv6Address((0x2002 << 112) | number << 80),
    )
    assert is_public(translated) == is_public(address)
    assert not is_public(mapped)
    assert not is_public(sixto4)


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "64:ff9b::101:101"])
def test_addresses_of_the_open_internet_are_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@given(st.text() | st.builds("http://{}{}".format, st.text(), st.text()))
def test_any_text_is_a_url_that_can_be_asked_for_or_is_refused(text: str) -> None:
    try:
        url = checked_url(text)
    except RefusedError:
        return
    assert url.scheme in ("http", "https")
    assert url.host
    assert not url.userinfo
    assert checked_url(str(url)) == url


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://example.org/", "//example.org/", "http://", "gopher://x/", "http://a:b@example.org/"],
)
def test_what_is_no_web_address_is_refused(url: str) -> None:
    with pytest.raises(RefusedError):
        checked_url(url)


@given(closed_addresses())
def test_a_special_address_is_refused_before_anything_is_sent(address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(FetchError, match="not a public address"):
        Fetcher(QUICK).get(f"http://{host}/feed", limit=1000)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "127.1", "LOCALHOST"])
def test_loopback_is_refused_however_it_is_written(host: str) -> None:
    with FeedServer() as server:
        port = server.url().rsplit(":", 1)[1]
        with pytest.raises(RefusedError, match="not a public address"):
            Fetcher(QUICK).get(f"http://{host}:{port}", limit=1000)
    assert server.asked == []


def _resolve_in_turn(monkeypatch: pytest.MonkeyPatch, *answers: str | tuple[str, ...]) -> list[str]:
    """Names resolve to these, one answer after the other; returns the hosts that were looked up."""
    asked, left = list[str](), list(answers)

    def look_up(host: str, port: int, *_: object, **__: object) -> list[object]:
        asked.append(host)
        found = left.pop(0) if len(left) > 1 else left[0]
        addresses = (found,) if isinstance(found, str) else found
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return asked


def test_a_name_that_leads_to_loopback_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with FeedServer() as server:
        _resolve_in_turn(monkeypatch, "127.0.0.1")
        with pytest.raises(RefusedError, match=r"news\.example leads to 127\.0\.0\.1"):
            Fetcher(QUICK).get(server.url().replace("127.0.0.1", "news.example"), limit=1000)
    assert server.asked == []


def test_a_name_with_a_public_and_a_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    _resolve_in_turn(monkeypatch, ("1.1.1.1", "10.0.0.1"))
    with pytest.raises(RefusedError, match=r"10\.0\.0\.1"):
        Fetcher(QUICK).get("http://news.example/", limit=1000)


def test_the_connection_goes_to_the_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads elsewhere at the second look (DNS rebinding) is not looked at twice."""
    connected: list[str] = []

    def connect(address: tuple[str, int], *_: object, **__: object) -> socket.socket:
        connected.append(address[0])
        raise ConnectionRefusedError

    asked = _resolve_in_turn(monkeypatch, "1.1.1.1", "127.0.0.1")
    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(FetchError, match="nothing answers"):
        Fetcher(QUICK).get("http://news.example/", limit=1000)
    assert asked == ["news.example"]
    assert connected == ["1.1.1.1"]


def test_a_feed_that_may_be_private_leads_to_no_other_private_host() -> None:
    with FeedServer() as own, FeedServer(host="127.0.0.2") as other:
        feed = own.serve("/feed", rss())
        page = own.serve("/page", "<p>Text", "text/html")
        secret = other.serve("/secret", "<p>Secret", "text/html")
        leading = own.do("/leading", redirect(secret))
        fetcher = Fetcher(QUICK)
        fetcher.private_feeds.add(feed)
        assert fetcher.get(page, limit=1000, feed=feed).body == b"<p>Text"
        for url, of in ((page, None), (page, "http://example.org/feed"), (secret, feed), (leading, feed)):
            with pytest.raises(RefusedError, match="not a public address"):
                fetcher.get(url, limit=1000, feed=of)
    assert other.asked == []


def test_a_redirect_out_of_the_web_is_refused() -> None:
    with FeedServer() as server:
        url = server.do("/feed", redirect("file:///etc/passwd"))
        with pytest.raises(FetchError, match="redirects to an address that is not a web address"):
            Fetcher(QUICK, allow_private=True).get(url, limit=1000)


def test_a_private_feed_is_added_only_where_that_is_allowed_and_stays_allowed(tmp_path: Path) -> None:
    with FeedServer() as server:
        url = server.serve("/feed", rss())
        refused = run_stance("feeds", "add", url, "--folder", tmp_path)
        assert refused.returncode == 1
        assert ": 127.0.0.1 is not a public address (--allow-private allows it)" in refused.stderr
        assert run_stance("feeds", "add", url, "--folder", tmp_path, "--allow-private").returncode == 0
        with open_subscriptions(tmp_path, limits=QUICK) as subscriptions:
            polled = subscriptions.poll(datetime.now(UTC), None, lambda: False)
    assert polled.troubles == ()
    assert server.paths() == ["/feed"]

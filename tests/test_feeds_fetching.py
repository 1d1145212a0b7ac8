"""Feeds fetched over HTTP on loopback: kinds of feeds, conditions, manners, limits, and all that can go wrong."""

from __future__ import annotations

import gzip
import json
import sqlite3
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from labels.errors import StanceError
from serving.feeds.entry import Entry
from serving.feeds.fetching import USER_AGENT, Fetcher, Limits
from serving.feeds.health import Schedule
from serving.feeds.inflating import TooLargeError, read_within
from serving.feeds.parsing_process import ParsingProcess
from serving.feeds.politeness import LONGEST_ASKED, Manners, Politeness, retry_after
from serving.feeds.rounds import Polled
from serving.feeds.stored_entries import KEPT
from serving.feeds.subscriptions import Subscriptions, open_subscriptions
from serving.feeds.troubles import FetchError, NotYetError, RefusedError
from serving.version import VERSION
from tests.conftest import run_stance
from tests.feed_server import (
    Behaviour,
    FeedServer,
    answer,
    bomb,
    document,
    dripping,
    endless,
    item,
    nonsense,
    redirect,
    rss,
    silent,
    status,
    torn,
)

QUICK = Limits(connect=2, read=1, total=3, redirects=3)
NOON = datetime(2026, 10, 6, 12, tzinfo=UTC)


@pytest.fixture
def server() -> Iterator[FeedServer]:
    with FeedServer() as running:
        yield running


@pytest.fixture
def feeds(tmp_path: Path) -> Iterator[Subscriptions]:
    with open_subscriptions(tmp_path / "feeds", allow_private=True, limits=QUICK) as opened:
        yield opened


def poll(feeds: Subscriptions, now: datetime = NOON) -> Polled:
    return feeds.poll(now, None, lambda: False)


def trouble_of(feeds: Subscriptions, url: str) -> str | None:
    (feed,) = [feed for feed in feeds.list() if feed.url == url]
    return feed.trouble.reason if feed.trouble else None


ATOM = """<?xml version="1.0" encoding="utf-8"?>
<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="en-GB"><title>Ferry News</title><id>urn:f</id>
<updated>2026-10-05T08:00:00Z</updated><entry><id>urn:1</id><title>Late</title>
<link href="/late"/><author><name>Port desk</name></author><updated>2026-10-05T08:00:00+02:00</updated>
<content type="html">&lt;p&gt;It is late.&lt;/p&gt;</content></entry></feed>"""
JSON_FEED = json.dumps(
    {
        "version": "https://jsonfeed.org/version/1.1",
        "title": "Bakery",
        "language": "de",
        "items": [
            {
                "id": 7,
                "title": "Brot",
                "content_text": "Erst <so>.\n\nDann so.",
                "date_published": "2026-10-05T08:00:00",
            },
            {"title": "an item without an id", "content_text": "left out"},
            {"id": "half", "title": "half a sign: \ud83d", "summary": "kurz"},
        ],
    }
)
RDF = """<?xml version="1.0"?><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
 xmlns="http://purl.org/rss/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"><channel rdf:about="http://example.org/">
<title>Old Mill</title><link>http://example.org/</link></channel><item rdf:about="http://example.org/1">
<title>Mill</title><link>http://example.org/1</link><description>It turns.</description>
<dc:date>2026-10-05T08:00:00Z</dc:date></item></rdf:RDF>"""
RSS_091 = """<?xml version="1.0"?><!DOCTYPE rss PUBLIC "-//Netscape Communications//DTD RSS 0.91//EN"
 "http://my.netscape.com/publish/formats/rss-0.91.dtd"><rss version="0.91"><channel><title>Oldest</title>
<link>http://example.org/</link><description>d</description><language>en</language><item><title>First</title>
<link>http://example.org/first</link><description>The first.</description></item></channel></rss>"""


def entries(feeds: Subscriptions) -> list[Entry]:
    return list(feeds.waiting())


@pytest.mark.parametrize(
    ("body", "kind", "expected"),
    [
        (RSS_091, "text/xml", ("http://example.org/first", "First", "Oldest", None, "The first.", False, "en")),
        (RDF, "application/rdf+xml", ("http://example.org/1", "Mill", "Old Mill", True, "It turns.", False, None)),
        (ATOM, "application/atom+xml", ("urn:1", "Late", "Ferry News", True, "<p>It is late.</p>", True, "en-GB")),
        (JSON_FEED, "text/plain", ("7", "Brot", "Bakery", False, "<p>Erst &lt;so&gt;.</p><p>Dann so.</p>", True, "de")),
    ],
)  # fmt: skip
def test_each_kind_of_feed_is_read(
    server: FeedServer, feeds: Subscriptions, body: str, kind: str, expected: tuple[object, ...]
) -> None:
    """Expected: guid, title, outlet, whether its date has a zone (None: no date), contents, whether full, language."""
    feeds.add(server.serve("/feed", body, kind))
    assert poll(feeds).troubles == ()
    (entry,) = [entry for entry in entries(feeds) if entry.guid == expected[0]]
    zone = None if entry.published is None else entry.published.tzinfo is not None
    assert (entry.guid, entry.title, entry.outlet, zone, entry.html, entry.full, entry.language) == expected


def test_links_are_made_whole_and_dates_keep_their_instant(server: FeedServer, feeds: Subscriptions) -> None:
    feeds.add(server.serve("/feed", ATOM))
    poll(feeds)
    (entry,) = entries(feeds)
    assert entry.url == server.url("/late")
    assert entry.author == "Port desk"
    assert entry.published == datetime(2026, 10, 5, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Mon, 05 Oct 2026 08:00:00 +0200", datetime(2026, 10, 5, 6, tzinfo=UTC)),
        ("Mon, 05 Oct 2026 08:00:00 EST", datetime(2026, 10, 5, 13, tzinfo=UTC)),
        ("Mon, 05 Oct 2026 08:00:00", datetime(2026, 10, 5, 8)),
        ("Mon, 05 Oct 2026 08:00:00 CEST", datetime(2026, 10, 5, 8)),
        ("2026-10-05 08:00", datetime(2026, 10, 5, 8)),
        ("next week", None),
    ],
)
def test_a_date_has_a_zone_where_the_feed_names_one(
    server: FeedServer, feeds: Subscriptions, text: str, expected: datetime | None
) -> None:
    feeds.add(server.serve("/feed", rss(item("a", date=text))))
    poll(feeds)
    assert [entry.published for entry in entries(feeds)] == [expected]


def test_an_entry_without_an_id_goes_by_its_link_and_one_without_either_is_left_out(
    server: FeedServer, feeds: Subscriptions
) -> None:
    items = item(None, link="http://example.org/x"), item(None), item("a"), item("a", title="again")
    feeds.add(server.serve("/feed", rss(*items)))
    poll(feeds)
    assert {entry.guid for entry in entries(feeds)} == {"a", "http://example.org/x"}


@pytest.mark.parametrize("declared", ["utf-8", "windows-1252"])
def test_an_encoding_that_is_declared_wrongly_costs_no_entry(
    server: FeedServer, feeds: Subscriptions, declared: str
) -> None:
    body = rss(item("a", title="Café “Zur Fähre”")).replace("utf-8", declared, 1)
    feeds.add(server.serve("/feed", body.encode("windows-1252"), "application/xml"))
    poll(feeds)
    assert [entry.title for entry in entries(feeds)] == ["Café “Zur Fähre”"]


def _lies(body: bytes, **headers: str) -> Behaviour:
    return lambda handler: answer(handler, 200, body, Content_Type="application/xml", **headers)


LAUGHS = '<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>' + rss(
    item("a", title="b")
).removeprefix('<?xml version="1.0" encoding="utf-8"?>')
LONG = f'<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY a "{"ha" * 9000}">]><rss version="2.0"><channel/></rss>'

BROKEN: dict[str, tuple[Behaviour, str]] = {
    "not-found": (status(404), "there is nothing at this address (HTTP 404)"),
    "gone": (status(410), "is gone for good (HTTP 410); `stance feeds remove` forgets it"),
    "forbidden": (status(403), "refuses access (HTTP 403)"),
    "failed": (status(500), "its server failed (HTTP 500)"),
    "teapot": (status(418), "gave no feed or page (HTTP 418)"),
    "silent": (silent, "no answer in time"),
    "dripping": (dripping, "no answer in time"),
    "endless": (endless, "is larger than 4 MiB, or has no end"),
    "bomb": (bomb, "is larger than 4 MiB, or has no end"),
    "torn": (torn, "broke off, or does not speak HTTP"),
    "nonsense": (nonsense, "broke off, or does not speak HTTP"),
    "not-gzip": (_lies(b"<rss/>", Content_Encoding="gzip"), "its compressed contents are broken"),
    "half-gzip": (_lies(gzip.compress(b"<rss/>")[:-9], Content_Encoding="gzip"), "its compressed contents break off"),
    "brotli": (_lies(b"<rss/>", Content_Encoding="br"), "is compressed in a way that was not asked for (br)"),
    "empty": (document(""), "is empty"),
    "html": (document("<!-- a --> <!DOCTYPE html><title>News</title>", "text/html"), "is a web page, not a feed"),
    "xhtml": (document('<?xml version="1.0"?>\n<html><body/></html>'), "is a web page, not a feed"),
    "cut-off": (document(rss(item("a"))[:-20]), "its XML is broken at line 1"),
    "mismatch": (document("<rss version='2.0'>\n<channel>\n</rss>"), "its XML is broken at line 3: mismatched tag"),
    "other-xml": (document("<?xml version='1.0'?><sitemap/>"), "is not a feed of any known kind"),
    "text": (document("hello", "text/plain"), "its XML is broken"),
    "picture": (document(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png"), "its XML is broken"),
    "no-ids": (document(rss(item(None))), "none of its entries has an id or a link"),
    "json": (document('{"items": []}', "application/json"), "is JSON, but not a JSON Feed"),
    "json-list": (document("[1]", "application/json"), "is JSON, but not a JSON Feed"),
    "json-broken": (document('{"version": ', "application/json"), "is broken JSON"),
    "json-deep": (document("[" * 100_000, "application/json"), "is broken JSON"),
    "json-no-items": (document('{"version": "https://jsonfeed.org/version/1"}'), "is a JSON Feed without items"),
    "laughs": (document(LAUGHS), "an entity bomb"),
    "laughs-utf-16": (document(LAUGHS.encode("utf-16")), "an entity bomb"),
    "laughs-utf-7": (document(LAUGHS.replace("<!", "+ADwAIQ-"), "text/xml; charset=utf-7"), "an entity bomb"),
    "long-entity": (document(LONG), "an entity bomb"),
    "attributes": (document(f"<rss {'a=1 ' * 20_000}>"), "of a size that no feed needs"),
    "comments": (document(rss(item("a", content="<!--" * 2000))), "of a size that no feed needs"),
    "circle": (redirect("/circle"), "redirects in a circle"),
    "nowhere": (status(302), "redirects without saying where to"),
    "to-file": (redirect("file:///etc/passwd"), "redirects to an address that is not a web address"),
    "further": (lambda asked: answer(asked, 302, Location=f"{asked.path}/further"), "redirects more than 3 times"),
}  # fmt: skip


def test_no_broken_feed_stops_another_and_each_says_what_is_wrong(server: FeedServer, feeds: Subscriptions) -> None:
    for depth in range(5):
        server.do("/further" + "/further" * depth, BROKEN["further"][0])
    for name, (behaviour, _) in BROKEN.items():
        feeds.add(server.do(f"/{name}", behaviour))
    good = [server.serve(path, rss(item("a"))) for path in ("/aaa", "/good", "/zzz")]
    for url in good:
        feeds.add(url)
    polled = poll(feeds)
    assert (polled.feeds, polled.new, polled.resting) == (len(BROKEN) + 3, 3, 0)
    said = {trouble.feed.rpartition("/")[2]: trouble.reason for trouble in polled.troubles}
    assert {name: reason for name, (_, reason) in BROKEN.items() if reason not in said[name]} == {}
    assert set(said) == set(BROKEN)
    assert sorted(entry.feed for entry in feeds.waiting()) == good


def test_a_feed_that_takes_too_long_to_read_is_given_up_and_the_others_are_read(
    server: FeedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.feeds.rounds.ParsingProcess", partial(ParsingProcess, longest=0.25))
    paragraphs = "<p>The <b>ferry</b> was <a href='/late'>late</a>.</p>" * 100
    with open_subscriptions(tmp_path, allow_private=True) as feeds:
        slow = server.serve("/2", rss(*(item(str(number), content=paragraphs) for number in range(300))))
        for url in (server.serve("/1", rss(item("a"))), slow, server.serve("/3", JSON_FEED), server.serve("/4", ATOM)):
            feeds.add(url)
        polled = poll(feeds)
        assert [(trouble.feed, trouble.reason) for trouble in polled.troubles] == [(slow, "takes too long to read")]
        assert {entry.feed for entry in feeds.waiting()} == {server.url(path) for path in ("/1", "/3", "/4")}


def test_a_round_that_is_stopped_while_a_feed_is_parsed_ends_and_blames_nobody(
    server: FeedServer, feeds: Subscriptions
) -> None:
    paragraphs = "<p>The <b>ferry</b> was <a href='/late'>late</a>.</p>" * 100
    url = server.serve("/feed", rss(*(item(str(number), content=paragraphs) for number in range(120))))
    feeds.add(url)
    began = threading.Event()

    def stop() -> bool:
        """Once the feed was sent."""
        began.set() if server.paths() else None
        return began.is_set()

    assert feeds.poll(NOON, None, stop).feeds == 0
    assert trouble_of(feeds, url) is None
    assert poll(feeds).new == 120


def test_an_entry_that_was_edited_waits_again(server: FeedServer, tmp_path: Path) -> None:
    url = server.serve("/feed", rss(item("a", content="It is late."), item("b")))
    with open_subscriptions(tmp_path, allow_private=True) as feeds:
        feeds.add(url)
        poll(feeds)
        feeds.taken(feeds.waiting())
        server.serve("/feed", rss(item("a", content="It is on time."), item("b")))
        assert poll(feeds).new == 0
        assert [(entry.guid, entry.html) for entry in feeds.waiting()] == [("a", "It is on time.")]
        feeds.taken(feeds.waiting())
        poll(feeds)
        assert entries(feeds) == []


def test_an_edit_waits_though_the_round_was_killed_before_it_was_noted(
    server: FeedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(BaseException):
        pass

    def killed(*_: object) -> None:
        raise KilledError

    with open_subscriptions(tmp_path, allow_private=True) as feeds:
        feeds.add(server.serve("/feed", rss(item("a", content="It is late."), item("b"))))
        poll(feeds)
        feeds.taken(feeds.waiting())
    server.serve("/feed", rss(item("a", content="It is on time."), item("b")))
    with monkeypatch.context() as patch:
        patch.setattr("serving.feeds.stored_entries._wait_again", killed)
        with pytest.raises(KilledError), open_subscriptions(tmp_path, allow_private=True) as feeds:
            poll(feeds)
    with open_subscriptions(tmp_path, allow_private=True) as feeds:
        poll(feeds)
        assert [(entry.guid, entry.html) for entry in feeds.waiting()] == [("a", "It is on time.")]


def test_what_was_taken_long_ago_is_forgotten_and_comes_back_at_most_once(server: FeedServer, tmp_path: Path) -> None:
    url = server.serve("/feed", rss(item("old"), item("kept"), item("waiting")))
    now = datetime.now(UTC)
    with open_subscriptions(tmp_path, allow_private=True) as feeds:
        feeds.add(url)
        poll(feeds, now)
        feeds.taken(entry for entry in entries(feeds) if entry.guid != "waiting")
        server.serve("/feed", rss(item("kept")))
        poll(feeds, now + KEPT + timedelta(days=1))
        assert [entry.guid for entry in feeds.waiting()] == ["waiting"]
        with closing(sqlite3.connect(tmp_path / "subscriptions.sqlite")) as db:
            assert db.execute("SELECT id FROM entries").fetchall() == [("waiting",)]
        poll(feeds, now + KEPT + timedelta(days=2))
        assert [entry.guid for entry in feeds.waiting()] == ["kept", "waiting"]


def test_a_host_that_is_not_there_is_said(server: FeedServer, feeds: Subscriptions) -> None:
    refused, unknown = "http://127.0.0.3:9/feed", "http://no-such-host.invalid/feed"
    for url in (refused, unknown, server.serve("/good", rss(item("a")))):
        feeds.add(url)
    assert poll(feeds).new == 1
    assert trouble_of(feeds, refused) == "nothing answers there (connection refused)"
    assert trouble_of(feeds, unknown) in (
        "the name no-such-host.invalid is not known",
        "the name no-such-host.invalid was not looked up in time",
    )


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def _tls(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def test_a_certificate_that_nobody_vouches_for_is_said(feeds: Subscriptions, authority: trustme.CA) -> None:
    with FeedServer(tls=_tls(authority, "127.0.0.1")) as server:
        url = server.serve("/feed", rss(item("a")))
        feeds.add(url)
        poll(feeds)
    assert "its certificate is not accepted: unable to get local issuer certificate" in (trouble_of(feeds, url) or "")
    assert server.asked == []


def test_a_certificate_counts_for_its_host_only(
    feeds: Subscriptions, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    own, foreign = (FeedServer(tls=_tls(authority, name)) for name in ("127.0.0.1", "news.example"))
    with own, foreign:
        good, bad = own.serve("/feed", rss(item("a"))), foreign.serve("/feed", rss(item("a")))
        feeds.add(good)
        feeds.add(bad)
        assert poll(feeds).new == 1
    assert trouble_of(feeds, good) is None
    assert "its certificate is not accepted: IP address mismatch" in (trouble_of(feeds, bad) or "")


def test_a_feed_that_has_not_changed_is_not_sent_again(server: FeedServer, feeds: Subscriptions) -> None:
    url = server.serve("/feed", rss(item("a")), Last_Modified="Mon, 05 Oct 2026 08:00:00 GMT")
    feeds.add(url)
    assert [poll(feeds).new, poll(feeds).new] == [1, 0]
    first, second = (asked.headers for asked in server.asked if asked.path == "/feed")
    assert "if-none-match" not in first
    assert second["if-none-match"].startswith('"')
    assert second["if-modified-since"] == "Mon, 05 Oct 2026 08:00:00 GMT"
    server.serve("/feed", rss(item("a"), item("b")))
    assert poll(feeds).new == 1
    assert {entry.guid for entry in feeds.waiting()} == {"a", "b"}


def test_once_a_day_a_feed_is_asked_for_without_conditions(server: FeedServer, feeds: Subscriptions) -> None:
    """A server that keeps its ETag after a change hides it for a day at most."""

    def stale(*items: str) -> Behaviour:
        body = rss(*items).encode()
        return lambda handler: (
            answer(handler, 304) if handler.headers["If-None-Match"] else answer(handler, 200, body, ETag='"same"')
        )

    feeds.add(server.do("/feed", stale(item("a"))))
    assert poll(feeds).new == 1
    server.do("/feed", stale(item("a"), item("b")))
    assert poll(feeds, NOON + timedelta(hours=23)).new == 0
    assert poll(feeds, NOON + timedelta(hours=25)).new == 1


def test_requests_name_the_project_and_its_version(server: FeedServer, feeds: Subscriptions) -> None:
    feeds.add(server.serve("/feed", rss()))
    poll(feeds)
    assert {asked.headers["user-agent"] for asked in server.asked} == {USER_AGENT}
    assert VERSION in USER_AGENT
    assert "stance" in USER_AGENT


def test_a_feed_in_trouble_is_asked_for_less_and_less(server: FeedServer, feeds: Subscriptions) -> None:
    url = server.do("/feed", status(500))
    feeds.add(url)
    schedule = Schedule()
    now, pauses = NOON, []
    for _ in range(10):
        (trouble,) = poll(feeds, now).troubles
        assert trouble.since == NOON
        pauses.append(trouble.next_try - now)
        assert poll(feeds, trouble.next_try - timedelta(seconds=1)).feeds == 0
        now = trouble.next_try
    assert pauses[0] == schedule.first_pause
    assert pauses[-1] == schedule.longest_pause
    assert all(later in (2 * pause, schedule.longest_pause) for pause, later in pairwise(pauses))
    server.serve("/feed", rss(item("a")))
    assert poll(feeds, now).troubles == ()
    assert trouble_of(feeds, url) is None


@pytest.mark.parametrize("code", [429, 503])
def test_retry_after_wins_and_holds_for_all_of_the_host(server: FeedServer, feeds: Subscriptions, code: int) -> None:
    feeds.add(server.do("/a", status(code, Retry_After="7200")))
    feeds.add(server.serve("/b", rss(item("b"))))
    with FeedServer(host="127.0.0.2") as elsewhere:
        feeds.add(elsewhere.serve("/c", rss(item("c"))))
        polled = poll(feeds)
    assert server.paths() == ["/a"]
    assert polled.new == 1
    (trouble,) = polled.troubles
    assert trouble.next_try == NOON + timedelta(hours=2)
    put_off = next(feed for feed in feeds.list() if feed.url == server.url("/b"))
    assert put_off.trouble is None
    assert put_off.next_try is not None
    assert timedelta(hours=1.9) < put_off.next_try - NOON <= timedelta(hours=2)


def test_a_permanent_redirect_is_followed_and_said(server: FeedServer, tmp_path: Path) -> None:
    new, odd = server.serve("/new", rss(item("a"))), server.serve("/odd", rss(item("a")))
    old = server.do("/old", redirect("/newer", 301))
    server.do("/newer", redirect(new, 308))
    for_now = server.do("/for-now", redirect(odd, 302))
    with open_subscriptions(tmp_path, allow_private=True) as feeds:
        feeds.add(old)
        feeds.add(for_now)
        assert poll(feeds).new == 2
        assert {feed.url: feed.moved for feed in feeds.list()} == {old: new, for_now: None}
    assert f"has moved for good to {new}" in run_stance("feeds", "status", "--folder", tmp_path).stdout


def test_robots_are_obeyed_for_feeds_and_pages(server: FeedServer, feeds: Subscriptions) -> None:
    rules = "User-agent: *\nDisallow: /\n\nUser-agent: stance\nDisallow: /private/\n"
    server.serve("/robots.txt", rules, "text/plain")
    closed, page = server.serve("/private/feed", rss(item("a"))), server.serve("/private/page", "<p>", "text/html")
    feeds.add(server.serve("/feed", rss(item("a"))))
    feeds.add(closed)
    assert poll(feeds).new == 1
    assert trouble_of(feeds, closed) == "its site's robots.txt forbids it"
    with pytest.raises(RefusedError, match=r"robots\.txt"):
        feeds.fetcher.get(page, limit=1000)
    assert server.paths() == ["/feed"]
    assert [asked.path for asked in server.asked].count("/robots.txt") == 1


def test_where_robots_cannot_be_read_nothing_is_asked(server: FeedServer, feeds: Subscriptions) -> None:
    server.do("/robots.txt", status(500))
    url = server.serve("/feed", rss(item("a")))
    feeds.add(url)
    poll(feeds)
    assert trouble_of(feeds, url) == "its site's robots.txt cannot be read (HTTP 500)"
    assert server.paths() == []


def test_a_long_robots_is_read_as_far_as_it_counts(server: FeedServer) -> None:
    server.serve("/robots.txt", "User-agent: *\nDisallow: /shut\n" + "# and so on\n" * 60_000, "text/plain")
    fetcher = Fetcher(QUICK, allow_private=True)
    assert fetcher.get(server.serve("/page", "text"), limit=1000).body == b"text"
    with pytest.raises(RefusedError):
        fetcher.get(server.serve("/shut", "text"), limit=1000)


class Clock:
    """Time that passes only when it is waited for."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.now += seconds
        return False


def test_a_host_is_left_alone_between_two_requests() -> None:
    clock = Clock()
    politeness = Politeness(Manners(interval=2, longest_wait=30), clock=clock, wait=clock.wait)
    one, other = httpx.URL("https://one.example/a"), httpx.URL("https://other.example/a")
    for url in (one, one, other, one):
        with politeness.turn(url):
            clock.now += 0.5
    assert clock.waits == [2.0, 1.5]
    politeness.check_robots(one, lambda _: "User-agent: *\nCrawl-delay: 20\n")
    for _ in range(2):
        with politeness.turn(one):
            pass
    assert clock.waits[2:] == [2.0, 20.0]
    politeness.leave_alone(one, timedelta(minutes=5))
    with pytest.raises(NotYetError, match="5 minutes"), politeness.turn(one):
        pass


def test_a_private_host_that_was_allowed_by_hand_is_asked_without_pauses(server: FeedServer) -> None:
    fetcher = Fetcher(QUICK, Manners(interval=100, longest_wait=0), allow_private=True)
    url = server.serve("/page", "text")
    assert [fetcher.get(url, limit=100).body for _ in range(3)] == [b"text"] * 3


@dataclass
class Busy:
    """Answers with a feed, and notes how many requests it had at once."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    now: int = 0
    most: int = 0

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(0.02)
        with self.lock:
            self.now -= 1
        document(rss(item("a")))(handler)


def test_one_host_is_asked_by_one_at_a_time_and_several_side_by_side(feeds: Subscriptions) -> None:
    """The first feeds of two hosts answer only once both are asked for."""
    both = threading.Barrier(2, timeout=5)
    busy = Busy(), Busy()

    def together(handler: BaseHTTPRequestHandler) -> None:
        both.wait()
        document(rss(item("a")))(handler)

    with FeedServer() as one, FeedServer(host="127.0.0.2") as other:
        for server, behaviour in zip((one, other), busy, strict=True):
            feeds.add(server.do("/1", together))
            for number in range(2, 6):
                feeds.add(server.do(f"/{number}", behaviour))
        # Pages of a host that is being polled wait for their turn, too.
        pages = [
            threading.Thread(target=feeds.fetcher.get, args=(one.url("/2"),), kwargs={"limit": 10_000}) for _ in "ab"
        ]
        for page in pages:
            page.start()
        assert poll(feeds).new == 10
        for page in pages:
            page.join()
    assert [behaviour.most for behaviour in busy] == [1, 1]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("120", timedelta(seconds=120)),
        ("Tue, 06 Oct 2026 13:00:00 GMT", timedelta(hours=1)),
        ("Tue, 06 Oct 2026 11:00:00 GMT", timedelta(0)),
        ("999999999999999999", LONGEST_ASKED),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, expected: timedelta | None) -> None:
    assert retry_after(header, NOON) == expected


@given(st.text())
def test_any_retry_after_is_a_time_within_bounds_or_nothing(header: str) -> None:
    wait = retry_after(header, NOON)
    assert wait is None or timedelta(0) <= wait <= LONGEST_ASKED


def _raw_deflate(content: bytes) -> bytes:
    return zlib.compress(content, wbits=-zlib.MAX_WBITS)


CODINGS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "none": ("", bytes),
    "gzip": ("gzip", gzip.compress),
    "two members": ("gzip", lambda content: gzip.compress(content[:7]) + gzip.compress(content[7:])),
    "zlib": ("deflate", zlib.compress),
    "bare": ("Deflate", _raw_deflate),
}


CONTENTS = st.binary(max_size=300) | st.binary(min_size=1, max_size=3).map(lambda content: content * 70_000)


@given(CONTENTS, st.sampled_from(sorted(CODINGS)), st.integers(1, 5000))
def test_what_was_compressed_comes_back_within_the_limit_or_not_at_all(content: bytes, how: str, step: int) -> None:
    coding, compress = CODINGS[how]
    sent = compress(content)
    pieces = [sent[start : start + step] for start in range(0, len(sent), step)]
    limit = max(len(content), len(sent))
    assert read_within(pieces, coding, limit) == content
    if content:
        with pytest.raises(TooLargeError):
            read_within(pieces, coding, len(content) - 1)


def test_a_page_is_what_was_sent_with_what_was_said_of_it(server: FeedServer) -> None:
    body = "<p>Straße</p>".encode("latin-1")
    page = server.serve("/page", gzip.compress(body), 'Text/HTML; Charset="ISO-8859-1"', Content_Encoding="gzip")
    got = Fetcher(QUICK, allow_private=True).get(server.do("/from", redirect(page)), limit=100)
    assert (got.url, got.body, got.charset, got.content_type) == (page, body, "iso-8859-1", "text/html")
    with pytest.raises(FetchError, match="larger than 5 bytes"):
        Fetcher(QUICK, allow_private=True).get(page, limit=5)


def test_entries_wait_oldest_first_until_they_are_taken(server: FeedServer, tmp_path: Path) -> None:
    items = [item(f"{day:02}", date=f"{day:02} Oct 2026 08:00:00 GMT") for day in (3, 1, 2)]
    for path, some in (("/one", items[:2]), ("/two", items[2:])):
        with open_subscriptions(tmp_path, allow_private=True) as feeds:
            feeds.add(server.serve(path, rss(*some)))
            poll(feeds, NOON)
    with open_subscriptions(tmp_path) as feeds:
        waiting = entries(feeds)
        assert [entry.guid for entry in waiting] == ["01", "02", "03"]
        assert sum(feed.waiting for feed in feeds.list()) == 3
        feeds.taken(waiting[:2])
        feeds.taken(waiting[:2])
    with open_subscriptions(tmp_path, allow_private=True) as feeds:
        poll(feeds, NOON + timedelta(days=2))
        assert [entry.guid for entry in feeds.waiting()] == ["03"]
        feeds.remove(server.url("/one"))
        feeds.taken(waiting)
        assert entries(feeds) == []


def test_a_round_stops_between_feeds(server: FeedServer, feeds: Subscriptions) -> None:
    stop = threading.Event()

    def last(handler: BaseHTTPRequestHandler) -> None:
        stop.set()
        document(rss(item("a")))(handler)

    for number in range(5):
        feeds.add(server.do(f"/{number}", last if number == 1 else document(rss(item("a")))))
    feeds.poll(NOON, None, stop.is_set)
    assert 1 <= len(server.paths()) < 5
    stop.clear()
    poll(feeds)
    assert len(entries(feeds)) == 5
    assert all(feed.trouble is None for feed in feeds.list())


def test_progress_counts_the_feeds_of_a_round(server: FeedServer, feeds: Subscriptions) -> None:
    for number in range(3):
        feeds.add(server.do(f"/{number}", status(404)))
    seen: list[tuple[str, int, int]] = []
    feeds.poll(NOON, lambda *step: seen.append(step), lambda: False)
    assert seen == [("feeds", 1, 3), ("feeds", 2, 3), ("feeds", 3, 3)]


def test_a_feed_of_the_open_internet_rests_between_rounds(
    server: FeedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.feeds.addresses.is_public", lambda _: True)
    monkeypatch.setattr("serving.feeds.subscriptions.is_public", lambda _: True)
    rest = Schedule().rest
    with open_subscriptions(tmp_path, limits=QUICK, manners=Manners(interval=0)) as feeds:
        feeds.add(server.serve("/feed", rss(item("a"))))
        rounds = [poll(feeds, NOON + passed) for passed in (timedelta(0), rest / 2, rest)]
    assert [(polled.feeds, polled.resting) for polled in rounds] == [(1, 0), (0, 1), (1, 0)]


def _opml(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "feeds.opml"
    path.write_text("\n".join(['<?xml version="1.0"?>', *lines]), encoding="utf8")
    return path


def test_a_list_of_feeds_is_imported_with_all_its_folders(tmp_path: Path) -> None:
    path = _opml(
        tmp_path,
        '<opml version="2.0"><head><title>Mine</title></head><body>',
        '<outline text="World"><outline text="Near"><outline text="A" type="rss" xmlUrl="http://192.0.2.1/a"/>',
        '</outline><outline text="B" xmlurl=" http://192.0.2.1/b "/></outline>',
        '<outline text="A again" type="rss" xmlUrl="http://192.0.2.1/a"/><outline text="empty folder"/>',
        '<outline text="C" type="atom" xmlUrl="feed://192.0.2.1/c"/></body></opml>',
    )
    folder = tmp_path / "feeds"
    options = "--folder", folder, "--allow-private"
    assert run_stance("feeds", "add", "http://192.0.2.1/b", *options).returncode == 0
    done = run_stance("feeds", "import", path, *options)
    assert (done.stdout, done.stderr) == ("2 feeds added, followed already: 1\n", "")
    listed = json.loads(run_stance("feeds", "list", "--json", STANCE_FEEDS=str(folder)).stdout)
    assert [feed["url"] for feed in listed] == [f"http://192.0.2.1/{name}" for name in "abc"]
    assert {feed["last_try"] for feed in listed} == {None}


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (("<opml><body>", '<outline text="A" type="rss"/>', "</body></opml>"), ":3: the outline 'A' is a feed without"),
        (("<opml><body>", "<outline>", "</body></opml>"), ":4: is not well-formed XML: mismatched tag"),
        (("<html/>",), ":2: is not OPML: it begins with <html>"),
        (("<opml><body/></opml>",), "lists no feed"),
        (('<!DOCTYPE a [<!ENTITY a "b">]>', "<opml/>"), ":2: declares entities"),
        (("<opml>", *["<outline>"] * 60), "is nested deeper than 50 outlines"),
        (
            ("<opml><body>", "", '<outline xmlUrl="file:///x"/>', "</body></opml>"),
            ":4: file:///x: is not a web address",
        ),
        (
            ("<opml>", '<outline xmlUrl="http://[::1]/x"/>', "</opml>"),
            ":3: http://[::1]/x: ::1 is not a public address",
        ),
    ],
)
def test_of_a_list_with_a_fault_nothing_is_imported(tmp_path: Path, lines: tuple[str, ...], said: str) -> None:
    body = [line.replace("<body>", '<body><outline xmlUrl="http://one.one.one.one.invalid/a"/>') for line in lines]
    with open_subscriptions(tmp_path / "feeds") as feeds:
        with pytest.raises(StanceError) as error:
            feeds.import_opml(_opml(tmp_path, *(body if "lists no feed" not in said else lines)))
        assert said in str(error.value)
        assert feeds.list() == []


def test_status_says_what_is_wrong_and_when_it_is_tried_again(server: FeedServer, tmp_path: Path) -> None:
    bad, good = server.do("/bad", status(410)), server.serve("/good", rss(item("a"), title="Evil \x9b31m name"))
    folder = ("--folder", tmp_path)
    for url in (bad, good, server.url("/untried")):
        assert run_stance("feeds", "add", url, *folder, "--allow-private").returncode == 0
        with open_subscriptions(tmp_path, allow_private=True) as feeds:
            if url != server.url("/untried"):
                poll(feeds)
    shown = run_stance("feeds", "status", *folder)
    assert "3 feeds: 1 well, 1 in trouble, 1 not tried yet" in shown.stdout
    assert "wait to be scored: 1 entry" in shown.stdout
    assert "is gone for good (HTTP 410)" in shown.stdout
    assert "failed once since 2026-10-06 12:00, not tried again before 2026-10-07 12:00" in shown.stdout
    assert shown.stderr == ""
    rows = json.loads(run_stance("feeds", "status", *folder, "--json").stdout)
    assert (rows["feeds"], rows["in_trouble"], rows["never_tried"], rows["waiting"]) == (3, 1, 1, 1)
    removed = run_stance("feeds", "remove", bad, *folder)
    assert removed.returncode == 0
    again = run_stance("feeds", "remove", bad, *folder)
    assert again.returncode == 1
    assert "no feed is subscribed to at" in again.stderr
    assert "\x9b" not in run_stance("feeds", "list", *folder).stdout


def test_a_folder_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "subscriptions.sqlite").write_text("no database " * 500)
    done = run_stance("feeds", "list", "--folder", tmp_path)
    assert done.returncode == 1
    assert "the subscriptions cannot be opened" in done.stderr
    assert "Traceback" not in done.stderr

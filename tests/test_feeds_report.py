"""The report on scored feeds: numbers that were worked out by hand, and what feeds may try to put into the page."""

from __future__ import annotations

import asyncio
import html
import json
import re
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

pytest.importorskip("duckdb")
pytest.importorskip("matplotlib")
pytest.importorskip("sqlalchemy")

from labels.errors import StanceError
from labels.taxonomy import load_taxonomy
from serving.feeds.coverage import TargetCoverage, coverage
from serving.feeds.extremes import extremes, followable
from serving.feeds.figures import Ask, Period, by_holder, by_outlet, last_day, over_time, tallies
from serving.feeds.means import FEW, MANY, differences, means
from serving.feeds.query import open_scores
from serving.feeds.report import page_since, write_report
from serving.feeds_page import AT_MOST_EVERY, FAILED, OLD, FeedsPage
from serving.keys import create_key
from tests.conftest import bearer, run_stance
from tests.feeds_collection import Given, Story, add_stories

TAXONOMY = load_taxonomy()
FIRST, SECOND = list(TAXONOMY)[:2]
NOW = datetime(2026, 3, 20, 9, tzinfo=UTC)


def _first(score: float, *, abstained: bool = False) -> dict[str, Given]:
    label = FIRST.conciliatory if score > 0 else FIRST.other
    return {FIRST.id: Given(label, score, abstained, abs(score))}


@pytest.fixture
def ask(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Ask]:
    """Questions to a collection of the stories that the test names as its parameter."""
    add_stories(tmp_path, request.param, TAXONOMY, NOW)
    with open_scores(tmp_path) as scores:
        yield scores.rows


def _asked(folder: Path, now: datetime = NOW, out: str = "report.html", period: Period | None = None) -> str:
    with open_scores(folder) as scores:
        write_report(scores.rows, folder / out, period or Period(), now)
    return (folder / out).read_text(encoding="utf8")


TINY = [
    Story(
        "2026-03-02", [("The envoy praised the pause.", _first(0.8)), ("He left early.", {})], ("Gazette", "Lantern")
    ),
    Story(
        "2026-03-02", [("No talks, the minister said.", _first(-0.5)), ("She may relent.", _first(0.6, abstained=True))]
    ),
    Story(
        "2026-03-03",
        [("Ships sail on.", _first(-0.4)), ("Guns stay.", _first(-0.6)), ("Yet he waits.", _first(0.1))],
        ("Lantern",),
    ),
    Story(None, [("Undated, the port stays open.", {SECOND.id: Given(SECOND.conciliatory, 0.7)})], ("Lantern",)),
    Story("2026-03-03", [("Der Hafen bleibt offen.", {})], ("Kurier",), language="de"),
]

HELD = [
    Story(
        "2026-03-02",
        [("Guns stay, the ports said.", _first(-0.6)), ("Open the sea, the union said.", _first(0.8))],
        holders={"Guns stay, the ports said.": "Two Ports", "Open the sea, the union said.": "Harbour Union"},
    ),
    Story(
        "2026-03-03",
        [("They may talk.", _first(0.4)), ("It rains.", _first(-0.9))],
        holders={"They may talk.": "Two Ports"},
    ),
]


@pytest.mark.parametrize("ask", [TINY], indirect=True)
def test_means_count_each_sure_sentence_once_and_no_abstained_one(ask: Ask) -> None:
    first, second, *others = tallies(ask, Period(), TAXONOMY).means()
    # (0.8 − 0.5 − 0.4 − 0.6 + 0.1) / 5; the abstained 0.6 is not in it.
    assert (first.value, first.sentences, first.articles) == (-0.12, 5, 3)
    assert (second.value, second.sentences, second.articles) == (0.7, 1, 1)
    assert all((mean.value, mean.sentences) == (None, 0) for mean in others)
    march_2 = tallies(ask, Period(until=date(2026, 3, 2)), TAXONOMY).means()[0]
    assert (march_2.value, march_2.sentences) == (0.15, 2)
    bins, points = over_time(tallies(ask, Period(), TAXONOMY))[0]
    assert bins == "day"
    assert [(point.first, point.mean.value) for point in points] == [(date(2026, 3, 2), 0.15), (date(2026, 3, 3), -0.3)]
    # Where no day is named, the day that it was first seen.
    assert over_time(tallies(ask, Period(), TAXONOMY))[1][1][0].first == NOW.date()


@pytest.mark.parametrize("ask", [TINY], indirect=True)
def test_an_article_counts_at_each_outlet_that_carried_it(ask: Ask) -> None:
    outlets = by_outlet(ask, Period(), TAXONOMY)
    assert list(outlets) == ["Lantern", "Gazette", "Harbour Gazette"]
    values = {name: of.means()[0] for name, of in outlets.items()}
    assert {name: (mean.value, mean.articles) for name, mean in values.items()} == {
        "Lantern": (-0.025, 2),  # (0.8 − 0.4 − 0.6 + 0.1) / 4
        "Gazette": (0.8, 1),
        "Harbour Gazette": (-0.5, 1),
    }
    assert by_holder(ask, Period(), TAXONOMY) == {}


@pytest.mark.parametrize("ask", [HELD], indirect=True)
def test_holders_count_what_they_say_and_no_author(ask: Ask, tmp_path: Path) -> None:
    holders = by_holder(ask, Period(), TAXONOMY)
    assert list(holders) == ["Two Ports", "Harbour Union"]
    values = {name: of.means()[0] for name, of in holders.items()}
    assert {name: (mean.value, mean.articles) for name, mean in values.items()} == {
        "Two Ports": (-0.1, 2),  # (−0.6 + 0.4) / 2
        "Harbour Union": (0.8, 1),
    }
    write_report(ask, tmp_path / "report.html", Period(), NOW)
    page = (tmp_path / "report.html").read_text(encoding="utf8")
    assert "By holder" in page
    assert "Harbour Union" in page


@pytest.mark.parametrize("ask", [TINY], indirect=True)
def test_coverage_is_counted(ask: Ask) -> None:
    found = coverage(ask, Period())
    assert (found.articles, found.appearances, found.scored, found.sentences, found.touching) == (5, 6, 4, 8, 6)
    assert (found.feeds, found.outlets) == (4, 4)
    assert found.languages == {"de": 1}
    assert found.dates == {"ok": 4, "missing": 1}
    assert found.versions == {"given-1": 4}
    assert found.targets[FIRST.id] == TargetCoverage(counted=5, unsure=1, unsure_whether=0)
    assert (found.first, found.last) == (date(2026, 3, 2), NOW.date())
    assert coverage(ask, Period(since=date(2026, 3, 3), until=date(2026, 3, 3))).articles == 2


@pytest.mark.parametrize("ask", [TINY], indirect=True)
def test_extremes_are_the_surest_of_each_pole(ask: Ask) -> None:
    found = extremes(ask, Period(), TAXONOMY)
    assert [said.text for said in found[FIRST.id, FIRST.other]] == [
        "Guns stay.",
        "No talks, the minister said.",
        "Ships sail on.",
    ]
    best = found[FIRST.id, FIRST.conciliatory]
    assert [(said.text, said.outlets) for said in best] == [("The envoy praised the pause.", 2), ("Yet he waits.", 1)]
    assert (best[0].day, best[0].score, best[0].probability, best[0].outlet) == (date(2026, 3, 2), 0.8, 0.8, "Gazette")


_SENTENCES = st.lists(st.floats(-1, 1), min_size=0, max_size=4)


@given(st.lists(_SENTENCES, min_size=1, max_size=30))
def test_an_interval_contains_its_mean_and_few_articles_have_none(articles: Sequence[Sequence[float]]) -> None:
    totals = np.array([[sum(scores)] for scores in articles], dtype=float)
    counts = np.array([[len(scores)] for scores in articles])
    (mean,) = means(totals, counts)
    touching = sum(bool(scores) for scores in articles)
    assert (mean.articles, mean.sentences) == (touching, counts.sum())
    assert (mean.value is None) == (touching == 0)
    assert (mean.low is None) == (touching < FEW)
    if mean.value is not None:
        assert mean.value == pytest.approx(totals.sum() / counts.sum(), abs=1e-4)
    if mean.value is not None and mean.low is not None and mean.high is not None:
        each = [sum(scores) / len(scores) for scores in articles if scores]
        assert min(each) - 1e-4 <= mean.low <= mean.high <= max(each) + 1e-4


def test_sentences_of_one_article_make_no_interval_narrower() -> None:
    random = np.random.default_rng(3)
    scores = random.uniform(-1, 1, (40, 1))
    (one,) = means(scores, np.ones((40, 1), dtype=np.int64))
    (ten,) = means(10 * scores, np.full((40, 1), 10))
    assert (one.value, one.low, one.high) == (ten.value, ten.low, ten.high)
    assert one.low is not None
    assert one.high is not None
    # Of 40 independent uniform scores: ±1.96 · 0.577 / √40 = ±0.18.
    assert 0.12 < (one.high - one.low) / 2 < 0.24


def test_intervals_of_very_many_articles_agree_with_resampling() -> None:
    random = np.random.default_rng(5)
    counts = random.integers(0, 4, (MANY, 1))
    totals = random.uniform(-1, 1, (MANY, 1)) * counts
    (drawn,) = means(totals, counts)
    # A handful more, and it comes from the variance.
    (computed,) = means(np.concatenate([totals, totals[:4]]), np.concatenate([counts, np.maximum(counts[:4], 1)]))
    width = [(mean.high or 0) - (mean.low or 0) for mean in (drawn, computed)]
    assert width[1] == pytest.approx(width[0], rel=0.15)


def test_differences_need_articles_on_both_sides() -> None:
    high, low = np.full((8, 1), 0.6), np.full((8, 1), -0.2)
    ones = np.ones((8, 1), dtype=np.int64)
    (found,) = differences((high, ones), (low, ones))
    assert (found.value, found.excludes_zero) == (0.8, True)
    (found,) = differences((high[:2], ones[:2]), (low, ones))
    assert (found.value, found.low, found.excludes_zero) == (0.8, None, False)
    (found,) = differences((high, ones), (low[:0], ones[:0]))
    assert found.value is None


def _weeks(days: int, a_day: int) -> list[Story]:
    start = date(2026, 1, 1)
    return [
        Story(str(start + timedelta(days=d)), [(f"Day {d}, envoy {n} urged calm.", _first(0.5))])
        for d in range(days)
        for n in range(a_day)
    ]


@pytest.mark.parametrize(
    ("ask", "bins"), [(_weeks(21, 1), "week"), (_weeks(10, FEW), "day"), (_weeks(3, 1), "day")], indirect=["ask"]
)
def test_days_with_too_few_articles_are_put_together(ask: Ask, bins: str) -> None:
    found, points = over_time(tallies(ask, Period(), TAXONOMY))[0]
    assert found == bins
    if bins == "week":
        assert {point.first.weekday() for point in points} == {0}
        assert [point.mean.articles for point in points] == [4, 7, 7, 3]
        assert [point.mean.few for point in points] == [True, False, False, True]


@pytest.mark.parametrize(
    ("first", "bins", "last"),
    [
        (date(2026, 2, 2), "day", date(2026, 2, 2)),
        (date(2026, 2, 23), "week", date(2026, 3, 1)),
        (date(2028, 2, 1), "month", date(2028, 2, 29)),
        (date(2026, 12, 1), "month", date(2026, 12, 31)),
    ],
)
def test_stretches_end_where_the_next_begins(first: date, bins: Any, last: date) -> None:
    assert last_day(first, bins) == last


HOSTILE = '<script>alert("1")</script>'


def _hostile() -> list[Story]:
    return [
        Story(
            "2026-03-02",
            [(f"{HOSTILE} The envoy agreed.", _first(0.9))],
            (HOSTILE, "$1 & $2", "\u202eevil\x07"),
            "javascript:alert(1)",
            HOSTILE,
        ),
        Story("2026-03-02", [("A data link, he said.", _first(0.8))], url="data:text/html,<script>alert(1)</script>"),
        Story("2026-03-02", [("A quoted link.", _first(0.7))], url='https://a.example/" onmouseover="alert(1)'),
        Story("2026-03-02", [("A sound link.", _first(0.6))], url="https://a.example/?a=1&b=2"),
    ]


def test_what_feeds_say_is_shown_as_text_and_leads_only_to_the_web(tmp_path: Path) -> None:
    add_stories(tmp_path, _hostile(), TAXONOMY, NOW)
    page = _asked(tmp_path)
    assert "<script" not in page
    assert 'onmouseover="' not in page
    assert html.escape(HOSTILE, quote=False) in page.replace("&#34;", '"')
    links = re.findall(r'<a href="([^"#][^"]*)"([^>]*)>', page)
    assert [html.unescape(link) for link, _ in links] == ["https://a.example/?a=1&b=2"]
    assert all('rel="noopener noreferrer"' in rest for _, rest in links)
    # Nothing is loaded: no address stands where a browser fetches one by itself.
    assert not re.findall(r'(?:src|srcset|poster|data|xlink:href|background)\s*=\s*"(?!#)', page)
    assert not re.findall(r"url\((?!#)|@import", page)


@pytest.mark.parametrize(
    ("url", "followed"),
    [
        ("https://a.example/x", True),
        ("HTTP://a.example", True),
        ("javascript:alert(1)", False),
        (" javascript:alert(1)", False),
        ("java\nscript:alert(1)", False),
        ("https:///nowhere", False),
        ("//a.example", False),
        ("ftp://a.example", False),
        ("https://[broken", False),
        ("", False),
        (None, False),
    ],
)
def test_only_addresses_of_the_web_are_followed(url: str | None, followed: bool) -> None:
    assert followable(url) == url if followed else followable(url) is None


def test_plots_are_named_for_those_who_do_not_see_them(tmp_path: Path) -> None:
    add_stories(tmp_path, [*TINY, *_weeks(8, FEW)], TAXONOMY, NOW)
    page = _asked(tmp_path)
    plots = re.findall(r"<svg .*?</svg>", page, flags=re.DOTALL)
    # Two targets, over time and by outlet.
    assert len(plots) == 4
    names = [ElementTree.fromstring(plot).attrib["aria-label"] for plot in plots]
    assert all(FIRST.title in name or SECOND.title in name for name in names)
    assert FIRST.conciliatory in names[0]
    assert "Lantern" in names[2]
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_of_an_empty_collection_it_says_what_to_do(tmp_path: Path) -> None:
    add_stories(tmp_path, [], TAXONOMY, NOW)
    assert "stance feeds run" in _asked(tmp_path)
    add_stories(tmp_path, [TINY[-1]], TAXONOMY, NOW)
    page = _asked(tmp_path)
    assert "Nothing of the 1 article here is scored" in page
    assert "<svg" not in page


def test_one_day_is_enough(tmp_path: Path) -> None:
    add_stories(tmp_path, TINY[:2], TAXONOMY, NOW)
    page = _asked(tmp_path)
    assert "Articles of 2026-03-02 ·" in page
    assert "+0.15 (few)" in page


def test_the_next_report_says_what_changed(tmp_path: Path) -> None:
    calm = [Story("2026-03-02", [(f"Envoy {n} urged calm.", _first(0.5 + n / 100))]) for n in range(9)]
    add_stories(tmp_path, calm, TAXONOMY, NOW)
    assert "What changed" not in _asked(tmp_path)
    assert "No new articles." in _asked(tmp_path, NOW + timedelta(hours=1))
    angry = [Story("2026-03-04", [(f"Envoy {n} threatened war.", _first(-0.5 - n / 100))]) for n in range(9)]
    add_stories(tmp_path, angry, TAXONOMY, NOW + timedelta(days=1))
    page = html.unescape(_asked(tmp_path, NOW + timedelta(days=1, hours=1)))
    assert "What changed since 2026-03-20 10:00 UTC" in page
    assert "9 new, beside 9 articles of before" in page
    # −0.54 − 0.54
    assert re.search(rf"{FIRST.title} toward “{FIRST.other}”</span> \(−1\.08 \[−1\.\d\d, −1\.\d\d\]\)", page)
    assert "+0.54" in page  # as was said last
    assert json.loads((tmp_path / "report.json").read_text())["newest"] == 18
    assert "9 new, beside" in _page_of_the_day(tmp_path, NOW + timedelta(days=1, hours=12))
    assert "No new articles" in _page_of_the_day(tmp_path, NOW + timedelta(days=3))


def _page_of_the_day(folder: Path, now: datetime) -> str:
    with open_scores(folder) as scores:
        return page_since(scores.rows, now, 24)


def test_other_days_and_other_collections_are_not_compared(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder, moment in ((one, NOW), (two, NOW + timedelta(hours=1))):
        add_stories(folder, TINY, TAXONOMY, moment)
    _asked(one)
    page = _asked(one, period=Period(since=date(2026, 3, 3)))
    assert "No new articles." in page
    (two / "report.json").write_bytes((one / "report.json").read_bytes())
    assert "What changed" not in _asked(two)


def test_several_models_are_named_with_their_articles(tmp_path: Path) -> None:
    add_stories(tmp_path, TINY[:2], TAXONOMY, NOW, "given-1")
    _asked(tmp_path)
    add_stories(tmp_path, TINY[2:3], TAXONOMY, NOW + timedelta(hours=1), "given-2")
    page = html.unescape(_asked(tmp_path))
    assert "<code>given-1</code> (2 articles)" in page
    assert "<code>given-2</code> (1 article)" in page
    assert "stood on other models (given-1)" in page


def test_a_file_that_no_report_left_is_not_overwritten(tmp_path: Path) -> None:
    add_stories(tmp_path, TINY, TAXONOMY, NOW)
    (tmp_path / "report.json").write_text('{"mine": 1}')
    with pytest.raises(StanceError, match=r"report\.json: is not what an earlier report left"):
        _asked(tmp_path)
    assert (tmp_path / "report.json").read_text() == '{"mine": 1}'
    assert not (tmp_path / "report.html").exists()


def test_the_command_writes_both_files(tmp_path: Path) -> None:
    add_stories(tmp_path / "feeds", TINY, TAXONOMY, NOW)
    out = tmp_path / "r.html"
    done = run_stance("feeds", "report", "--out", out, "--folder", tmp_path / "feeds", "--since", "2026-03-03")
    assert done.returncode == 0, done.stderr
    assert "asked for: 2026-03-03 to the last day" in out.read_text()
    assert (tmp_path / "r.json").exists()
    done = run_stance("feeds", "report", "--out", out, "--folder", tmp_path / "nothing")
    assert done.returncode == 1
    assert "stance feeds run" in done.stderr
    assert run_stance("feeds", "report", "--out", out, "--since", "soon").returncode == 2


def test_the_service_shows_the_collection(
    service: TestClient, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STANCE_FEEDS", raising=False)
    answer = service.get("/feeds")
    assert answer.status_code == 200
    assert "stance feeds add URL" in answer.text
    add_stories(tmp_path / "feeds", _hostile(), TAXONOMY, NOW)
    monkeypatch.setenv("STANCE_FEEDS", str(tmp_path / "feeds"))
    until = time.monotonic() + 100
    while "being made" in (answer := service.get("/feeds")).text and time.monotonic() < until:
        time.sleep(0.5)
    assert "<svg" in answer.text
    assert "<script" not in answer.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script" not in policy
    assert "sandbox" in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"


def test_it_is_shown_to_whoever_may_score(service: TestClient, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STANCE_SCORING_NEEDS_KEY", "1")
    key = create_key(home, "desk")
    assert service.get("/feeds").status_code == 401
    assert service.get("/feeds", headers=bearer(key)).status_code == 200


def test_it_is_made_again_when_there_is_reason_to() -> None:
    now, mark, made = [0.0], [0], 0

    def make() -> str:
        nonlocal made
        made += 1
        return f"page {made}"

    async def asked() -> None:
        kept = FeedsPage(make, lambda: mark[0], lambda: now[0])
        assert await asyncio.gather(kept.page(), kept.page()) == ["page 1", "page 1"]
        mark[0] = 1
        now[0] = AT_MOST_EVERY - 1
        assert await kept.page() == "page 1"
        now[0] = AT_MOST_EVERY
        assert await kept.page() == "page 2"
        now[0] = 3 * AT_MOST_EVERY
        assert await kept.page() == "page 2"
        now[0] = AT_MOST_EVERY + OLD
        assert await kept.page() == "page 3"

    asyncio.run(asked())


def test_whoever_waits_too_long_gets_the_page_before() -> None:
    async def asked() -> None:
        now = [0.0]
        slow = FeedsPage(lambda: time.sleep(0.3) or "page", lambda: now[0], lambda: now[0])
        assert await slow.page(patience=0.01) is None
        assert await slow.page() == "page"
        now[0] = AT_MOST_EVERY
        assert await slow.page(patience=0.01) == "page"
        await slow.page()

    asyncio.run(asked())


def test_a_page_that_fails_says_so_and_is_tried_again() -> None:
    troubles = [RuntimeError("the disk is full")]

    def make() -> str:
        if troubles:
            raise troubles.pop()
        return "page"

    async def asked() -> None:
        now = [0.0]
        kept = FeedsPage(make, lambda: 0, lambda: now[0])
        assert await kept.page() == FAILED
        assert await kept.page() == FAILED
        now[0] = AT_MOST_EVERY
        assert await kept.page() == "page"

    asyncio.run(asked())

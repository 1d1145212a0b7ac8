"""Finding a story again: at the same address, in the same words, or nearly."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
from datetime import UTC, datetime

import pytest

pytest.importorskip("pycld2", reason="needs the extra feeds")

from hypothesis import given, settings
from hypothesis import strategies as st

from serving.feeds.article import Article
from serving.feeds.same_story import Stories, fingerprint, near_text, same_story, signature
from tests.conftest import PROJECT

WORDS = [
    f"{first}{second}" for first in ("ship", "talk", "border", "treaty", "envoy", "port") for second in "abcdefghij"
]


def story(seed: int, length: int = 400) -> str:
    """A text of its own: words drawn at random, in sentences and paragraphs."""
    drawn = random.Random(seed)
    words = [drawn.choice(WORDS) for _ in range(length)]
    sentences = [" ".join(words[i : i + 10]).capitalize() + "." for i in range(0, length, 10)]
    return "\n\n".join(" ".join(sentences[i : i + 4]) for i in range(0, len(sentences), 4))


def article(text: str, url: str | None = None) -> Article:
    return Article(
        fingerprint=fingerprint(text),
        url=url,
        title="Ships at sea",
        author=None,
        outlet="The Example",
        published=datetime(2026, 2, 28, tzinfo=UTC),
        date_mark="ok",
        language="en",
        text=text,
        extracted_from="feed",
    )


def stories(*texts: str, urls: tuple[str | None, ...] = ()) -> Stories:
    """Texts stored under the numbers 100, 101, …"""
    urls = urls or (None,) * len(texts)
    return Stories(
        (100 + i, signature(text), url, fingerprint(text))
        for i, (text, url) in enumerate(zip(texts, urls, strict=True))
    )


def find(known: Stories, text: str, url: str | None = None) -> tuple[int, str] | None:
    return known.find(article(text, url), signature(text))


def test_nothing_is_found_where_nothing_is_alike() -> None:
    assert find(Stories(), story(1), "https://example.org/a") is None
    assert find(stories(story(1), story(2)), story(3), "https://example.org/a") is None


def test_the_same_words_in_other_paragraphs_and_punctuation() -> None:
    other = story(2).upper().replace("\n\n", " ").replace(".", "!")
    assert find(stories(story(1), story(2)), other, "https://example.org/a") == (101, "same text")


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "CAPITAL (Agency) — " + text + "\n\nReporting by our desk. All rights reserved.",
        lambda text: text[: round(0.75 * len(text))],
        lambda text: "\n\n".join(text.split("\n\n")[:3] + text.split("\n\n")[4:]),
        lambda text: "A head that the paper wrote\n\n" + text.replace("\n\n", "\n"),
        lambda text: text.replace("shipa", "vessel"),
    ],
)
def test_a_story_that_another_paper_changed(change) -> None:  # type: ignore[no-untyped-def]
    known = stories(*(story(seed) for seed in range(20)))
    assert find(known, change(story(7)), "https://example.org/a") == (107, "near text")


def test_an_article_that_quotes_another_is_its_own() -> None:
    quoting = story(1) + "\n\n" + " ".join(story(2).split()[:120])
    assert find(stories(story(2)), quoting) is None


def test_the_nearest_of_several_and_of_equals_the_first() -> None:
    text = story(1)
    far, near = text[: round(0.7 * len(text))], text[: round(0.9 * len(text))]
    assert find(stories(far, near, near + " "), text) == (101, "near text")


def test_short_texts_are_the_same_only_in_the_same_words() -> None:
    told = "The minister said on Monday that his government accepts the offer of talks and will send the ships home."
    denied = told.replace("accepts", "rejects")
    assert find(stories(told), denied) is None
    assert not near_text(signature(told), signature(denied))
    assert find(stories(told), told.upper()) == (100, "same text")


def test_the_same_address_in_another_spelling() -> None:
    known = stories(story(1), urls=("https://www.example.org/talks/?a=1&b=2",))
    assert find(known, story(1), "http://example.org/talks?b=2&a=1") == (100, "same url")


def test_a_new_version_at_an_address_and_the_newest_is_found() -> None:
    url = "https://example.org/talks"
    known = stories(story(1), urls=(url,))
    updated = story(1) + "\n\n" + story(9, 80)
    assert find(known, updated, url) == (100, "same url")
    known.add(200, signature(updated), url, fingerprint(updated))
    assert find(known, updated + "\n\nMore is to come.", url) == (200, "same url")
    assert find(known, story(1), url) == (100, "same text")


def test_a_summary_and_its_article_share_an_address_not_words() -> None:
    url = "https://example.org/talks"
    assert find(stories("What is known of the talks so far.", urls=(url,)), story(1), url) == (100, "same url")


def test_an_address_that_is_used_again_is_no_story() -> None:
    live, front = "https://example.org/live", "https://example.org/"
    known = stories(story(1), story(2), urls=(live, front))
    assert find(known, story(3), live) is None
    assert find(known, story(4), front) is None
    assert find(known, "What is known of the talks so far.", front) is None


def test_many_stories_are_found_before_and_after_they_are_sorted() -> None:
    texts = [story(seed, 120) for seed in range(4300)]
    known = Stories()
    for number, text in enumerate(texts):
        known.add(number, signature(text), None, fingerprint(text))
        if number % 500 == 0:
            assert known.near(signature(text + " More is to come.")) == number
    for number in (0, 1, 4095, 4096, 4299):
        assert known.near(signature(texts[number] + " More is to come.")) == number
    assert known.near(signature(story(9999, 120))) is None


def test_signatures_of_another_version_are_known_by_address_and_words() -> None:
    text, url = story(1), "https://example.org/talks"
    old = b"\x63" + signature(text)[1:]
    known = Stories([(1, old, url, fingerprint(text))])
    assert find(known, text) == (1, "same text")
    assert find(known, story(2), url) == (1, "same url")
    assert find(known, text + " More is to come.") is None
    assert not near_text(old, signature(text))
    with pytest.raises(ValueError, match="version"):
        same_story(old, signature(text))


def test_signatures_are_the_same_in_another_process_and_on_another_day() -> None:
    code = "import sys; from serving.feeds.same_story import signature; sys.stdout.buffer.write(signature(sys.argv[1]))"
    text = "The ships — all of them — 일 stay.\n\n" + " ".join(WORDS)
    other = subprocess.run([sys.executable, "-c", code, text], cwd=PROJECT, capture_output=True, check=True).stdout
    assert other == signature(text)
    # What is stored must stay comparable: who sees this change raises VERSION.
    assert hashlib.sha256(other).hexdigest() == "c1673d3911de3e988dcefcb05e96de230fc6031f4b9b88047205cad6be1538d1"


@settings(max_examples=100)
@given(st.text(), st.text())
def test_likeness_is_a_share_symmetric_and_whole_with_itself(first: str, second: str) -> None:
    one, other = signature(first), signature(second)
    assert same_story(one, one) == 1.0
    assert 0 <= same_story(one, other) == same_story(other, one) <= 1
    assert near_text(one, other) == near_text(other, one)


@settings(max_examples=50)
@given(st.integers(0, 200))
def test_the_estimate_is_near_the_share(shared: int) -> None:
    words = [f"w{number}" for number in range(402)]
    first, second = " ".join(words[:202]), " ".join(words[200 - shared : 402 - shared])
    assert same_story(signature(first), signature(second)) == pytest.approx(max(0, shared) / (400 - shared), abs=0.2)


@given(st.text(min_size=1))
def test_a_fingerprint_holds_words_only(text: str) -> None:
    assert fingerprint(text) == fingerprint(f"  {text} \n\n…")
    assert fingerprint(text + " word") != fingerprint(text)

"""From a feed's entry, and its page, to an article."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

pytest.importorskip("pycld2", reason="needs the extra feeds")

from hypothesis import example, given, settings
from hypothesis import strategies as st

from serving.feeds.article import Article, NoArticle, article_of, needs_page
from serving.feeds.canonical import canonical_of_page, canonical_url, url_key
from serving.feeds.entry import Entry
from serving.feeds.language import language_of
from serving.feeds.page import decoded
from serving.feeds.plain_text import plain_text, tidy

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FIRST = "The foreign minister told reporters on Monday that the talks would go on next week."
SECOND = "Critics at home called the offer empty, and asked why nobody had spoken to the allies first."
THIRD = "The ships, she added, would stay where they are until an inspection had been agreed."


@dataclass(frozen=True)
class Page:
    url: str
    body: bytes
    charset: str | None = None
    content_type: str | None = "text/html; charset=utf-8"


def entry(html: str | None, **changes: object) -> Entry:
    plain = Entry(
        feed="https://example.org/feed",
        guid="1",
        url="https://example.org/a",
        title="Talks go on",
        author=None,
        outlet="The Example",
        published=datetime(2026, 2, 28, 9, tzinfo=UTC),
        html=html,
        full=True,
        language=None,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def article(html: str | None, page: Page | None = None, **changes: object) -> Article:
    made = article_of(entry(html, **changes), page, NOW)
    assert isinstance(made, Article), made
    return made


def page_of(head: str = "", body: str = "", url: str = "https://example.org/a") -> Page:
    paragraphs = "".join(
        f"<p>{sentence} {sentence.replace('The', 'Later the')}</p>" for sentence in (FIRST, SECOND, THIRD)
    )
    html = (
        f"<html><head><title>Talks go on</title>{head}</head><body><nav><a href='/'>Home</a></nav>"
        f"<article><h1>Talks go on</h1>{body or paragraphs}</article><footer>Imprint</footer></body></html>"
    )
    return Page(url, html.encode())


@pytest.mark.parametrize(
    ("html", "text"),
    [
        (f"<p>{FIRST}</p>\n<p>{SECOND}</p>", f"{FIRST}\n\n{SECOND}"),
        (f"<div>{FIRST}<br><br>{SECOND}<br>{THIRD}</div>", f"{FIRST}\n\n{SECOND}\n{THIRD}"),
        (f"{FIRST}\n\n{SECOND}", f"{FIRST}\n\n{SECOND}"),
        (f"&lt;p&gt;{FIRST}&lt;/p&gt;&lt;p&gt;{SECOND}&lt;/p&gt;", f"{FIRST}\n\n{SECOND}"),
        (f"<ul><li>{FIRST}</li><li>{SECOND}</li></ul>", f"{FIRST}\n\n{SECOND}"),
        (f"<p>{FIRST}<script>track()</script><!-- no --> <b>{SECOND}</b></p>", f"{FIRST} {SECOND}"),
        (f"<figure><img src=a><figcaption>A ship</figcaption></figure><p hidden>x</p><p>{FIRST}</p>", FIRST),
        (
            f'<?xml version="1.0" encoding="latin-1"?><p>{FIRST} \x00Caf\u0065\u0301&nbsp;&amp;\x07 bar</p>',
            f"{FIRST} Café & bar",
        ),
        (
            f"<p>{FIRST}</p><p>The post <a href=x>Talks go on</a> appeared first on <a href=y>The Example</a>.</p>",
            FIRST,
        ),
    ],
)
def test_text_of_what_the_feed_carries(html: str, text: str) -> None:
    made = article(html)
    assert (made.text, made.extracted_from) == (text, "feed")


@pytest.mark.parametrize(
    ("html", "reason"),
    [
        (None, "no text"),
        ("<p>  </p><img src='a.png'>", "no text"),
        ("<p>Ships at sea</p>", "too short"),
        ("<h2>Talks between the two governments go on next week in Vienna</h2>", "only the title"),
        ("<p>Already a subscriber? Log in.</p><p>Subscribe now to continue reading.</p>", "paywall"),
    ],
)
def test_an_entry_without_anything_to_score(html: str | None, reason: str) -> None:
    title = "Talks between the two governments go on next week in Vienna"
    assert article_of(entry(html, title=title), None, NOW) == NoArticle(reason)


@pytest.mark.parametrize(
    "more",
    [" [&#8230;]", "</p><p><a href=x>Continue reading Talks go on &rarr;</a>", "</p><p>Subscribe to continue reading."],
)
def test_content_that_breaks_off_is_a_summary_and_asks_for_its_page(more: str) -> None:
    html = f"<p>{FIRST}{more}</p>"
    assert needs_page(entry(html))
    made = article(html)
    assert (made.text, made.extracted_from) == (FIRST, "summary")
    assert not needs_page(entry(f"<p>{FIRST}</p>"))


def test_the_page_where_the_feed_has_a_summary() -> None:
    made = article(f"<p>{FIRST}</p>", page_of(), full=False)
    assert made.extracted_from == "page"
    assert made.text.split("\n\n")[0].startswith(FIRST)
    assert THIRD in made.text
    assert "Imprint" not in made.text
    assert article(f"<p>{FIRST}</p>", None, full=False).extracted_from == "summary"
    assert article(f"<p>{SECOND}</p>", page_of()).text == SECOND


@pytest.mark.parametrize(
    "page",
    [
        Page("https://example.org/a", b"%PDF-1.4 not a page", content_type="application/pdf"),
        Page("https://example.org/a", b""),
        Page(
            "https://example.org/login",
            b"<html><title>Wait</title><p>Please enable JavaScript to go on reading.</p></html>",
        ),
        Page("https://example.org/a", b"\xff\xfe\x00<<<<" * 50, charset="no-such-charset"),
    ],
)
def test_a_page_that_is_none_leaves_the_summary(page: Page) -> None:
    made = article(f"<p>{FIRST}</p>", page, full=False)
    assert (made.text, made.extracted_from, made.url) == (FIRST, "summary", "https://example.org/a")


def test_the_feeds_word_goes_before_the_pages() -> None:
    head = (
        '<meta property="og:title" content="Page title"><meta name="author" content="Page Author">'
        '<meta property="og:site_name" content="Page outlet">'
        '<script type="application/ld+json">{"@graph": [{"datePublished": "2026-02-27T23:30:00-05:00"}]}</script>'
    )
    own = article(None, page_of(head), title=None, outlet=None, published=None)
    assert (own.title, own.outlet, own.date_mark) == ("Page title", "Page outlet", "ok")
    assert own.published == datetime(2026, 2, 28, 4, 30, tzinfo=UTC)
    assert own.author == "Page Author"
    given = article(None, page_of(head), title="<b>Talks</b> &amp; ships", author="A. Writer")
    assert (given.title, given.author, given.outlet) == ("Talks & ships", "A. Writer", "The Example")
    assert given.published == datetime(2026, 2, 28, 9, tzinfo=UTC)
    assert article(f"<p>{FIRST}</p>", None, outlet=None).outlet == "example.org"


@pytest.mark.parametrize(
    ("published", "read", "mark"),
    [
        (datetime(2026, 2, 28, 9, tzinfo=timezone(timedelta(hours=9))), datetime(2026, 2, 28, 0, tzinfo=UTC), "ok"),
        (datetime(2026, 2, 28, 9), datetime(2026, 2, 28, 9, tzinfo=UTC), "no zone"),
        (NOW + timedelta(hours=23), NOW + timedelta(hours=23), "ok"),
        (NOW + timedelta(hours=25), None, "absurd"),
        (datetime(1970, 1, 1, tzinfo=UTC), None, "absurd"),
        (datetime.min.replace(tzinfo=timezone(timedelta(hours=5))), None, "absurd"),
        (None, None, "missing"),
    ],
)
def test_dates(published: datetime | None, read: datetime | None, mark: str) -> None:
    made = article(f"<p>{FIRST}</p>", published=published)
    assert (made.published, made.date_mark) == (read, mark)


def test_a_page_mends_an_absurd_date() -> None:
    head = '<meta property="article:published_time" content="2026-02-20T08:00:00">'
    made = article(None, page_of(head), published=datetime(1970, 1, 1, tzinfo=UTC))
    assert (made.published, made.date_mark) == (datetime(2026, 2, 20, 8, tzinfo=UTC), "no zone")


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("HTTPS://Example.ORG:443/A/b?utm_source=rss&id=7&fbclid=x#top", "https://example.org/A/b?id=7"),
        ("http://example.org:8080", "http://example.org:8080/"),
        ("https://user:word@example.org./a%2fb%7ec d", "https://example.org/a%2Fb~cd"),
        ("https://example.org/story?20240105", "https://example.org/story?20240105"),
        ("https://example.org/view.php?cid=55&uid=9&source=3", "https://example.org/view.php?cid=55&uid=9&source=3"),
        ("https://example.org/news/talks/amp/", "https://example.org/news/talks"),
        ("https://example.org/news/talks.amp.html?amp=1", "https://example.org/news/talks.html"),
        ("https://www.google.com/amp/s/example.org/talks/amp", "https://example.org/talks"),
        ("https://example-org.cdn.ampproject.org/c/s/example.org/talks?x=1", "https://example.org/talks?x=1"),
        ("https://example.org/#!/talks/7", "https://example.org/#!/talks/7"),
        ("https://bücher.example/ä", "https://xn--bcher-kva.example/%C3%A4"),
        ("ftp://example.org/a", None),
        ("mailto:desk@example.org", None),
        ("https://[::1/a", None),
        ("/talks", None),
        (None, None),
    ],
)
def test_canonical_addresses(url: str | None, canonical: str | None) -> None:
    assert canonical_url(url) == canonical


@settings(max_examples=300)
@given(
    st.one_of(
        st.text(max_size=60),
        st.builds("http{}://{}/{}".format, st.sampled_from(["", "s"]), st.text(max_size=15), st.text(max_size=30)),
        st.from_regex(
            r"https://(www\.google\.com/amp/s/)?a\.org(:443)?(/amp|/x\.amp|//|%[0-9a-zA-Z]{0,2}|\?amp=1|&b=%|#!a){0,8}"
        ),
    )
)
@example("https://a.org/%%341")
@example("https://www.google.com/amp/s/www.google.com/amp/s/a.org/x/amp")
def test_a_canonical_address_is_its_own(url: str) -> None:
    canonical = canonical_url(url)
    assert canonical is None or canonical_url(canonical) == canonical


def test_addresses_that_are_one() -> None:
    keys = {url_key(f"{address}") for address in ("http://www.example.org/a/?b=1&c=2", "https://example.org/a?c=2&b=1")}
    assert len(keys) == 1
    assert url_key("https://example.org/a") != url_key("https://example.org/b")


@pytest.mark.parametrize(
    ("said", "canonical"),
    [
        (["https://www.example.org/talks?utm_medium=x"], "https://www.example.org/talks"),
        (["/talks"], "https://m.example.org/talks"),
        (["https://elsewhere.example/talks", "https://example.org/talks"], "https://example.org/talks"),
        (["https://example.org/"], "https://m.example.org/t"),
        (["https://[bad"], "https://m.example.org/t"),
        ([], "https://m.example.org/t"),
    ],
)
def test_what_a_page_says_of_its_address(said: list[str], canonical: str) -> None:
    assert canonical_of_page("https://m.example.org/t?utm_source=rss", said) == canonical


def test_the_page_says_its_canonical_address() -> None:
    head = '<link rel="canonical" href="https://www.example.org/talks-go-on">'
    made = article(None, page_of(head, url="https://m.example.org/t"))
    assert made.url == "https://www.example.org/talks-go-on"


LANGUAGES = {
    "en": FIRST,
    "de": "Der Außenminister sagte am Montag, die Gespräche würden in der nächsten Woche fortgesetzt.",
    "fr": "Le ministre a déclaré lundi que les pourparlers se poursuivraient la semaine prochaine.",
    "es": "El ministro dijo el lunes que las conversaciones seguirán la próxima semana.",
    "pt": "O ministro disse na segunda-feira que as conversações vão continuar na próxima semana.",
    "it": "Il ministro ha detto lunedì che i colloqui proseguiranno la prossima settimana.",
    "nl": "De minister zei maandag dat de gesprekken volgende week worden voortgezet.",
    "pl": "Minister powiedział w poniedziałek, że rozmowy będą kontynuowane w przyszłym tygodniu.",
    "ru": "Министр заявил в понедельник, что переговоры продолжатся на следующей неделе.",
    "uk": "Міністр заявив у понеділок, що переговори триватимуть наступного тижня.",
    "tr": "Bakan pazartesi günü görüşmelerin gelecek hafta süreceğini söyledi.",
    "id": "Menteri mengatakan pada hari Senin bahwa pembicaraan akan dilanjutkan pekan depan.",
    "ar": "قال الوزير يوم الاثنين إن المحادثات ستستمر الأسبوع المقبل.",
    "he": "השר אמר ביום שני שהשיחות יימשכו בשבוע הבא.",
    "hi": "मंत्री ने सोमवार को कहा कि वार्ता अगले सप्ताह जारी रहेगी।",
    "zh": "制裁將持續到最後一艘船離開港口為止。",
    "ja": "大臣は月曜日、協議は来週も続くと述べた。",
    "ko": "장관은 월요일에 회담이 다음 주에도 계속될 것이라고 말했다.",
}


@pytest.mark.parametrize("code", LANGUAGES)
def test_languages(code: str) -> None:
    assert language_of(LANGUAGES[code], said="en-US") == code


@pytest.mark.parametrize("code", [code for code in LANGUAGES if code != "en"])
def test_an_english_article_that_quotes_is_english_and_a_foreign_one_is_not(code: str) -> None:
    foreign = LANGUAGES[code]
    assert language_of(f"{FIRST} “{foreign}”, the spokesman said on Friday, and went home.") == "en"
    assert language_of(f'{FIRST}\n\n"{foreign}"\n\n{SECOND}') == "en"
    assert language_of(f"{foreign} {foreign} “The ships must go home now” {foreign}") == code


@pytest.mark.parametrize("text", ["12.5 % 2026-01-03 14:00", "!!! ???", "xq zzt bvk wrrt plk", ""])
def test_a_language_that_cannot_be_known(text: str) -> None:
    assert language_of(text, said="en") == "und"


def test_the_feeds_word_breaks_a_tie_and_no_more() -> None:
    for headline, said, code in (("Ships at sea", "en-GB", "en"), ("Außenminister reist nach Teheran", "de_AT", "de")):
        assert language_of(headline) == "und"
        assert language_of(headline, said) == code
        assert language_of(headline, "ko") == "und"


def test_encodings_of_pages() -> None:
    assert decoded("Größe".encode("latin-1"), "iso-8859-1") == "Größe"
    assert decoded("“Größe”".encode("cp1252"), "ISO-8859-1") == "“Größe”"
    assert decoded(b'<meta charset="euc-kr">' + "제재".encode("euc-kr"), None).endswith("제재")
    assert decoded("\ufeffGröße".encode(), "latin-1") == "Größe"
    assert decoded("Größe".encode(), "no-such") == "Größe"
    assert decoded(b"\x81\xff", None)


MARKUP = st.lists(
    st.one_of(
        st.sampled_from(
            [
                *("<p>", "</p>", "<br>", "<div>", "</div>", "<table><tr><td>", "<!--", "-->", "<![CDATA[", "]]>"),
                *("<script>", "</script>", "&amp;", "&#0;", "&#xd800;", "&lt;p&gt;", "<a href='", ">", "<pre>"),
                *("<html>", "<body>", "</body>", "<p class='x", "<svg><title>", "<template>", "<style", "[&#8230;]"),
                *("<?xml encoding='x'?>", "<b hidden>", "\n", "&nbsp;"),
            ]
        ),
        st.text(max_size=20),
        st.just(FIRST),
    ),
    max_size=25,
).map("".join)


@settings(max_examples=300)
@given(MARKUP)
@example("<div>" * 5000 + FIRST)
@example("\x00<p>" + FIRST)
@example(f"<p>{FIRST} \ufdd0\U0010ffff {SECOND}")  # CLD2 takes no code point that is no character
@example("\ud800<p>" + FIRST)
def test_any_html_is_an_article_or_none(html: str) -> None:
    made = article_of(entry(html), None, NOW)
    if isinstance(made, Article):
        assert made.text == tidy(made.text) == unicodedata.normalize("NFC", made.text)
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]|\n{3}| \n|\n ", made.text)
        assert len(made.language) in (2, 3)


@settings(max_examples=60)
@given(MARKUP, st.sampled_from([None, "utf-8", "utf-16", "shift_jis", "idna", "rot13"]))
def test_any_page_is_read_or_passed_over(html: str, charset: str | None) -> None:
    page = Page("https://example.org/a", html.encode("utf8", "surrogatepass"), charset)
    made = article_of(entry(f"<p>{FIRST}</p>", full=False), page, NOW)
    assert isinstance(made, Article)
    assert made.text == tidy(made.text)


@settings(max_examples=200)
@given(st.text())
def test_tidy_text_stays_as_it_is(text: str) -> None:
    assert tidy(tidy(text)) == tidy(text)


@given(st.lists(st.text("abc déß日", min_size=1).filter(str.strip), min_size=1, max_size=6))
def test_no_word_is_invented_or_lost(paragraphs: list[str]) -> None:
    text = plain_text("".join(f"<p>{paragraph}</p>" for paragraph in paragraphs))
    assert text.split() == unicodedata.normalize("NFC", " ".join(paragraphs)).split()
    assert len(text.split("\n\n")) == len(paragraphs)

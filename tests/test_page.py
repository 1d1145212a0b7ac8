"""The page as its users have it: in headless Chromium, before a service in a process of its own."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from labels.store import open_store
from serving.page import FILES, REPORT
from tests.conftest import PROJECT
from tests.page_driver import (
    CHROMIUM,
    Seen,
    Site,
    answers_of,
    check_accessible,
    expect,
    open_page,
    playwright_api,
    running_site,
    sentences_of,
    targets_of,
)

HOSTILE = [
    '<img src="nowhere.png" onerror="window.ran = true"> The envoy agreed.',
    "<script>window.ran = true</script>",
    "</p></li></ol><svg onload='window.ran = true'>",
    "רוסיה הציעה \u202eלבטל את\u202c הסנקציות.",
    "x" * 10_000,
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    yield from running_site(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def meals_site(meals_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A service of another taxonomy, that scores for holders of a key only."""
    yield from running_site(
        tmp_path_factory.mktemp("meals-site"), "--model", str(meals_model), STANCE_SCORING_NEEDS_KEY="1"
    )


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright_api.sync_playwright() as playwright:
        # Chromium's sandbox does not run as root, which is what containers of tests run as.
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def seen(browser: Any, site: Site) -> Iterator[Seen]:
    opened = open_page(browser, site.address)
    yield opened
    opened.page.context.close()


def test_an_example_is_scored_and_nobody_else_is_asked(seen: Seen, site: Site) -> None:
    seen.try_example()
    page = seen.page
    answers = answers_of(page, site, page.locator(".said").all_text_contents())
    overall = next(id_ for id_, target in targets_of(page, site).items() if target["scope"] == "overall")
    poles = targets_of(page, site)[overall]["poles"]
    signs = {"conciliatory": "▶", "other": "◀"}
    for item, answer in zip(page.locator("#sentences > li").all(), answers, strict=True):
        given = answer["targets"][overall]
        for side, label in poles.items():
            tinted = side in item.get_attribute("class").split()
            assert tinted == (given["label"] == label and not given["abstained"])
            if tinted:
                assert f"{signs[side]} {label}" in item.inner_text()
        worth = [a for a in answer["targets"].values() if a["label"] != "unrelated" or a["abstained"]]
        assert item.locator(".chip").count() == len(worth)
        assert item.get_by_text("not sure enough").count() == sum(a["abstained"] for a in worth)
        for a in worth:
            assert item.get_by_text(f"{round(100 * a['probabilities'][a['label']])}%").count()
    assert {urlsplit(request.url).netloc for request in seen.requests} == {urlsplit(site.address).netloc}
    assert not seen.complaints


def test_the_tables_count_what_the_service_answered(seen: Seen, site: Site) -> None:
    seen.try_example()
    page = seen.page
    answers = answers_of(page, site, page.locator(".said").all_text_contents())
    for id_, target in targets_of(page, site).items():
        given = [answer["targets"][id_] for answer in answers]
        row = page.get_by_role("rowheader", name=target["title"], exact=True).locator("..")
        cells = row.get_by_role("cell").all_text_contents()
        counts = [sum(a["label"] == label for a in given) for label in target["labels"]]
        assert cells[:-2] == [*map(str, counts), str(sum(a["abstained"] for a in given))]
        touched = [a for a in given if a["label"] != "unrelated"]
        sure = [a for a in touched if not a["abstained"]]
        for cell, group, after in ((cells[-2], touched, ""), (cells[-1], sure, f" ({len(sure)})")):
            mean = f"{sum(a['score'] for a in group) / len(group):+.2f}".replace("-", "−") if group else None
            assert cell == ("–" if mean is None else (mean[1:] if mean[1:] == "0.00" else mean) + after)


def test_hostile_text_is_shown_as_text(seen: Seen) -> None:
    page = seen.page
    assert seen.score("\n".join(HOSTILE)) == HOSTILE
    assert page.evaluate("window.ran") is None
    assert page.locator("main img, main script, main svg").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert not seen.complaints


def test_text_that_no_service_takes_is_mended_before_it_is_sent(seen: Seen) -> None:
    # Half a surrogate pair cannot be sent, white space alone is no text, and a text has its longest.
    text = "'Half \\ud83d a pair.\\n\\u0085\\n' + 'no '.repeat(7000)"
    seen.page.evaluate(f"document.getElementById('text').value = {text}")
    seen.page.get_by_role("button", name="Score", exact=True).click()
    seen.done()
    first, *rest = sentences_of(seen.page)
    assert first == "Half \ufffd a pair."
    assert max(map(len, rest)) <= 10_000
    assert " ".join(rest).split() == ["no"] * 7000
    assert seen.page.get_by_text("Only its beginning was read").count() == len(rest)


def test_a_text_is_split_into_sentences(seen: Seen) -> None:
    text = (
        'Mr. Hale met Gen. Ortiz of the U.S. Army at 3.30 p.m. on Monday. "We will not sign!" he said. Would they?\n'
        "A heading without a full stop\n\n"
        "A line that was broken\nin the middle goes on."
    )
    assert seen.score(text) == [
        "Mr. Hale met Gen. Ortiz of the U.S. Army at 3.30 p.m. on Monday.",
        '"We will not sign!" he said.',
        "Would they?",
        "A heading without a full stop",
        "A line that was broken in the middle goes on.",
    ]


def test_a_long_text_goes_out_in_parts_and_can_be_stopped(seen: Seen) -> None:
    page = seen.page
    texts = [f"The {n}th envoy asked for talks." for n in range(150)]
    assert seen.score("\n".join(texts)) == texts
    sizes = [len(request.post_data_json["texts"]) for request in seen.requests if request.url.endswith("/v1/score")]
    assert sizes == [64, 64, 22]

    held: list[Any] = []
    page.route("**/v1/score", lambda route: route.continue_() if not held and not held.append(route) else None)
    page.get_by_role("button", name="Score", exact=True).click()
    expect(page.get_by_role("status").first).to_have_text("Scored 64 of 150 sentences.")
    expect(page.get_by_role("progressbar")).to_have_attribute("max", "150")
    assert page.get_by_role("progressbar").evaluate("bar => bar.value") == 64
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("status").first).to_have_text("Stopped. 64 of 150 sentences are scored.")
    assert sentences_of(page) == texts[:64]
    assert not seen.complaints


def test_a_busy_service_is_asked_again_and_a_broken_one_is_reported(seen: Seen) -> None:
    page = seen.page
    refused = {"error": {"code": "overloaded", "message": "too many requests at once", "field": None}}
    tries: list[Any] = []

    def busy_once(route: Any) -> None:
        tries.append(route)
        if len(tries) == 1:
            route.fulfill(status=503, headers={"Retry-After": "1"}, json=refused)
        else:
            route.continue_()

    page.route("**/v1/score", busy_once)
    said = "new MutationObserver(() => said.push(status.textContent)).observe(status, {childList: true})"
    page.evaluate(f"window.said = []; const status = document.getElementById('status'); {said}")
    assert seen.score("The envoys met.") == ["The envoys met."]
    assert len(tries) == 2
    assert "The service is busy. Asking again in 1 s…" in page.evaluate("said")
    page.unroute("**/v1/score")
    failed = {"error": {"code": "internal", "message": "the service <b>failed</b>", "field": None}}
    page.route("**/v1/score", lambda route: route.fulfill(status=500, json=failed))
    page.get_by_role("button", name="Score", exact=True).click()
    expect(page.locator("#problem")).to_have_text("the service <b>failed</b>")


def test_the_csv_is_safe_in_a_spreadsheet(seen: Seen, site: Site, tmp_path: Path) -> None:
    texts = ["=1+1 said the envoy.", "+49 troops left.", "-2 was the grade.", "@Envoy agreed.", 'He said "yes, now".']
    assert seen.score("\n".join(texts)) == texts
    with seen.page.expect_download() as download:
        seen.page.get_by_role("button", name="Download CSV").click()
    download.value.save_as(tmp_path / "stance.csv")
    with (tmp_path / "stance.csv").open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["text"] for row in rows] == [*(f"'{text}" for text in texts[:4]), texts[4]]
    for row, answer in zip(rows, answers_of(seen.page, site, texts), strict=True):
        for id_, given in answer["targets"].items():
            assert row[f"{id_}_label"] == given["label"]
            assert row[f"{id_}_sure"] == ("no" if given["abstained"] else "yes")
            assert float(row[f"{id_}_score"]) == pytest.approx(given["score"], abs=1e-4)


def test_copied_json_holds_what_the_service_answered(seen: Seen, site: Site) -> None:
    texts = seen.score("The senator wants the sanctions to stay. The bakery opens at nine.")
    seen.page.get_by_role("button", name="Copy as JSON").click()
    expect(seen.page.locator("#copied")).to_have_text("Copied.")
    copied = json.loads(seen.page.evaluate("navigator.clipboard.readText()"))
    assert copied["model"]["version"] == seen.page.locator("#version").inner_text()
    assert [sentence["text"] for sentence in copied["sentences"]] == texts
    for sentence, answer in zip(copied["sentences"], answers_of(seen.page, site, texts), strict=True):
        for id_, given in answer["targets"].items():
            assert sentence["targets"][id_]["label"] == given["label"]


def test_a_correction_arrives_in_the_label_store(seen: Seen, site: Site) -> None:
    page = seen.page
    text = "The <i>council</i> wants both armies to stay where they are."
    seen.score(text)
    overall, issue = list(targets_of(page, site).values())[:2]
    page.get_by_role("button", name="Correct sentence 1").click()
    form = page.get_by_role("form", name="Correct sentence 1")
    form.get_by_label("Target").select_option(overall["title"])
    form.get_by_label("Right label").select_option(overall["poles"]["other"])
    send = form.get_by_role("button", name="Send the label")
    send.click()
    expect(form.get_by_role("alert")).to_contain_text("needs an API key")
    expect(form.get_by_label("API key")).to_be_focused()
    page.keyboard.type("not-a-key")
    send.click()
    expect(form.get_by_role("alert")).to_contain_text("not one of this service's")
    form.get_by_label("API key").fill(site.key)
    send.click()
    expect(form.get_by_role("status")).to_contain_text("Kept")
    form.get_by_label("Target").select_option(issue["title"])
    form.get_by_label("Right label").select_option("unrelated")
    send.click()
    expect(page.locator(".corrected")).to_contain_text(f"{issue['title']}: unrelated")
    with open_store(site.home / "labels.sqlite") as store:
        (kept,) = [label for label in store.labels() if label.text == text]
    assert dict(kept.labels) == {overall["id"]: overall["poles"]["other"], issue["id"]: None}
    assert kept.annotator == "desk"
    assert not [request.url for request in seen.requests if site.key in request.url]
    assert site.key not in page.url
    assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]


def test_the_keyboard_is_enough(seen: Seen) -> None:
    page = seen.page

    def tab_to(locator: Any) -> None:
        for _ in range(40):
            page.keyboard.press("Tab")
            if locator.evaluate("element => element === document.activeElement"):
                outline = locator.evaluate("element => getComputedStyle(element).outlineStyle")
                assert outline != "none"
                return
        raise AssertionError("it cannot be reached by Tab")

    tab_to(page.get_by_label("Article or sentence"))
    page.keyboard.type("The minister said that not one sanction will go.")
    tab_to(page.get_by_role("button", name="Score", exact=True))
    page.keyboard.press("Enter")
    seen.done()
    chip = page.locator(".chip").first
    tab_to(chip)
    tip = page.get_by_role("tooltip")
    expect(tip).to_be_visible()
    assert chip.get_attribute("aria-describedby") == tip.get_attribute("id")
    assert tip.locator(".probability").count() > 1
    page.keyboard.press("Escape")
    expect(tip).to_be_hidden()
    page.keyboard.press("Enter")
    form = page.get_by_role("form", name="Correct sentence 1")
    expect(form.get_by_label("Right label")).to_be_focused()
    page.keyboard.press("Escape")
    expect(form).to_have_count(0)
    expect(chip).to_be_focused()
    tab_to(page.get_by_role("link", name="About this model"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="About this model")).to_be_visible()
    expect(page.locator("#about")).to_be_focused()


def test_why_shows_what_carried_the_scores(browser: Any, site: Site) -> None:
    text = "🕊 The senator said that the <b>sanctions</b> must stay until the last warhead is gone."
    seen = open_page(browser, site.address, viewport={"width": 360, "height": 740})
    page = seen.page
    seen.score(text)
    why = page.get_by_role("button", name="Explain sentence 1")
    why.focus()
    page.keyboard.press("Enter")
    panel = page.get_by_role("region", name="Explanation of sentence 1")
    expect(panel).to_be_focused()
    expect(panel.locator("mark").first).to_be_visible()
    assert why.get_attribute("aria-expanded") == "true"
    body = json.dumps({"texts": [text], "explain": True})
    (answer,) = page.request.post(f"{site.address}/v1/score", data=body).json()["results"]
    explanation = answer["explanation"]
    touched = [id_ for id_, given in answer["targets"].items() if given["label"] != "unrelated" or given["abstained"]]
    titles = targets_of(page, site)
    for id_ in touched:
        heading = panel.get_by_role("heading", name=re.compile(f"^{titles[id_]['title']}: "))
        expect(heading).to_have_count(1)
        words = sorted(explanation["targets"][id_]["words"], key=lambda word: word["start"])
        marks = heading.locator("xpath=following-sibling::p[1]").locator("mark").all_text_contents()
        signs = [f"{word['contribution']:+.2f}".replace("-", "−") for word in words]
        assert marks == [f"{word['text']} {sign}" for word, sign in zip(words, signs, strict=True)]
    for near in explanation["examples"]:
        expect(panel.get_by_text(near["text"], exact=True)).to_have_count(1)
    page.get_by_role("button", name="Correct sentence 1").click()
    page.keyboard.press("Escape")
    assert why.get_attribute("aria-expanded") == "true"
    check_accessible(page)
    assert not seen.complaints
    why.click()
    expect(panel).to_have_count(0)
    why.click()
    page.keyboard.press("Escape")
    expect(panel).to_have_count(0)
    expect(why).to_be_focused()
    page.context.close()


def test_pointing_at_an_answer_shows_its_probabilities(seen: Seen, site: Site) -> None:
    texts = seen.score("The minister said that not one sanction will go.")
    (answer,) = answers_of(seen.page, site, texts)
    overall = next(id_ for id_, target in targets_of(seen.page, site).items() if target["scope"] == "overall")
    seen.page.locator(".chip").first.hover()
    said = seen.page.get_by_role("tooltip").inner_text()
    for label, share in answer["targets"][overall]["probabilities"].items():
        assert re.search(rf"{label} {round(100 * share)}%", said)
    seen.page.mouse.move(1, 1)
    expect(seen.page.get_by_role("tooltip")).to_be_hidden()


def test_about_this_model_says_what_was_measured(seen: Seen, site: Site) -> None:
    page = seen.page
    model = page.request.get(f"{site.address}/v1/model").json()
    report = json.loads((REPORT / "metrics.json").read_bytes())
    page.get_by_role("link", name="About this model").click()
    page.locator(".plots").wait_for()
    held_out, tested = page.get_by_role("table").all()[:2]
    for id_, target in targets_of(page, site).items():
        for table, given in (
            (held_out, model["cross_validated"]["targets"][id_]["macro_f1"]),
            (tested, report["sets"]["twice"]["model"]["targets"][id_]["macro_f1"]),
        ):
            row = table.get_by_role("rowheader", name=target["title"], exact=True).locator("..")
            assert f"{given['value']:.2f} [{given['low']:.2f}, {given['high']:.2f}]" in row.inner_text()
            assert row.locator("svg circle").count() == 1
    about = page.locator("#about").inner_text()
    for said in (model["version"], f"{model['trained_on']['sentences']:,}", f"{100 * model['error_rate']:.0f}%"):
        assert said in about
    page.get_by_text("Model card").click()
    expect(page.get_by_role("heading", name="Limits and risks")).to_be_visible()
    page.get_by_role("link", name="The whole report").click()
    expect(page).to_have_title(re.compile("report"))
    assert not seen.complaints


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 360)])
def test_nothing_serious_for_axe_nor_for_a_narrow_screen(browser: Any, site: Site, scheme: str, width: int) -> None:
    seen = open_page(browser, site.address, color_scheme=scheme, viewport={"width": width, "height": 740})
    page = seen.page
    seen.try_example()
    page.get_by_role("button", name="Correct sentence 2").click()
    page.get_by_role("button", name="Send the label").click()
    page.locator(".chip").first.focus()
    check_accessible(page)
    page.get_by_role("link", name="About this model").click()
    page.locator(".plots").wait_for()
    page.get_by_text("Model card").click()
    check_accessible(page)
    page.context.close()


@pytest.mark.slow
def test_another_taxonomy_and_a_key_for_scoring(browser: Any, meals_site: Site) -> None:
    seen = open_page(browser, meals_site.address)
    page = seen.page
    page.get_by_label("Article or sentence").fill("The cook wants the canteen to cost nothing.")
    page.get_by_role("button", name="Score", exact=True).click()
    expect(page.locator("#problem")).to_contain_text("needs a key")
    expect(page.get_by_label("API key")).to_be_focused()
    page.keyboard.type(meals_site.key)
    page.get_by_role("button", name="Score", exact=True).click()
    seen.done()
    expect(page.locator(".chip").first).to_contain_text("Free meals")
    assert page.locator("#sentences > li").get_attribute("class") == "sentence"
    page.get_by_role("link", name="About this model").click()
    expect(page.locator("#about")).to_contain_text("has no report of this model")
    expect(page.get_by_role("rowheader", name="Later start")).to_be_visible()
    page.context.close()


def test_no_file_of_the_page_names_a_target_or_another_host() -> None:
    targets = yaml.safe_load((PROJECT / "labels" / "targets.yaml").read_text(encoding="utf8"))["targets"]
    for path in FILES.iterdir():
        text = path.read_text(encoding="utf8")
        assert not re.search(rf"\b({'|'.join(targets)})\b", text, re.IGNORECASE), path
        assert not set(re.findall(r"https?://[\w.]+", text)) - {"http://www.w3.org"}, path
        for unsafe in (
            r"\bon\w+\s*=\s*[\"']",
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            r"document\.write",
            r"\beval\(",
        ):
            assert not re.search(unsafe, text), (path, unsafe)

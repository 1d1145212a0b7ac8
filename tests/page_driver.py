"""What the tests of the page drive it with: a service in a process of its own, and Chromium before it.

Whoever imports this is skipped where there is no Chromium (Debian's package `chromium`).
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from serving.keys import create_key
from tests.conftest import PROJECT
from tests.test_serve_process import free_port, serving

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if CHROMIUM is None:
    pytest.skip("needs Chromium (apt-get install chromium)", allow_module_level=True)
playwright_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
axe_api = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
expect = playwright_api.expect
# Enough for a machine that does other things too; whoever waits goes on as soon as it is there.
PATIENCE = 60_000
expect.set_options(timeout=PATIENCE)


@dataclass
class Site:
    """A service, and the folder of its state."""

    address: str
    home: Path
    key: str = ""


@dataclass
class Seen:
    """A page, and what its browser was asked for and complained of."""

    page: Any
    requests: list[Any] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def score(self, text: str) -> list[str]:
        """Score a text; gives the sentences that are shown."""
        self.page.get_by_label("Article or sentence").fill(text)
        self.page.get_by_role("button", name="Score", exact=True).click()
        self.done()
        sentences: list[str] = self.page.locator(".said").all_text_contents()
        return sentences

    def done(self) -> None:
        expect(self.page.get_by_role("status").first).to_have_text(re.compile(r"^Scored \d+ sentences?\.$"))

    def try_example(self) -> None:
        self.page.get_by_role("button", name="Try an example").click()
        self.done()


def running_site(folder: Path, *options: str, **environment: str) -> Iterator[Site]:
    """A service that keeps everything in a folder, as long as it is wanted."""
    (folder / "metrics").mkdir()
    home = folder / "stance"
    where = {"BENTOML_HOME": str(folder / "bentoml"), "STANCE_HOME": str(home), "PYTHONPATH": str(PROJECT)}
    key = create_key(home, "desk")
    port = free_port()
    command = [sys.executable, "-m", "serving.cli", "serve", "--port", str(port), *options]
    where["PROMETHEUS_MULTIPROC_DIR"] = str(folder / "metrics")
    with serving(command, port, folder / "log", {**where, **environment}) as address:
        yield Site(address, home, key)


def open_page(browser: Any, address: str, **settings: Any) -> Seen:
    """The page in a fresh profile, once it knows its model."""
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"], **settings)
    seen = Seen(context.new_page())
    seen.page.on("request", lambda request: seen.requests.append(request))
    seen.page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    seen.page.on("console", lambda said: seen.complaints.append(said.text) if said.type == "error" else None)
    seen.page.set_default_timeout(PATIENCE)
    seen.page.goto(address)
    expect(seen.page.locator("#version")).not_to_have_text("…")
    return seen


def targets_of(page: Any, site: Site) -> dict[str, Any]:
    """Targets of the service, by id."""
    answer = page.request.get(f"{site.address}/v1/targets").json()
    return {target["id"]: target for target in answer["targets"]}


def answers_of(page: Any, site: Site, texts: list[str]) -> list[dict[str, Any]]:
    """What the service answers without the page."""
    response = page.request.post(f"{site.address}/v1/score", data=json.dumps({"texts": texts}))
    results: list[dict[str, Any]] = response.json()["results"]
    return results


def sentences_of(page: Any) -> list[str]:
    sentences: list[str] = page.locator(".said").all_text_contents()
    return sentences


def check_accessible(page: Any) -> None:
    """axe finds nothing serious, and the page is no wider than the screen."""
    found = axe_api.Axe().run(page).response["violations"]
    serious = [violation for violation in found if violation["impact"] in ("serious", "critical")]
    assert not serious, json.dumps(serious, indent=1)[:4000]
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")

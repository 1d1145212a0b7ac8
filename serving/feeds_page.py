"""The page at `/feeds`: the report on scored feeds, made when somebody asks for it, by a process of its own."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from labels.settings import text_setting
from serving.child_path import child_path
from serving.feeds.folder import STATE_FILE, STATE_VARIABLE, feeds_folder
from serving.page import REPORT_POLICY

AT_MOST_EVERY = 60.0
"""Seconds between two makings."""

OLD = 600.0
"""Seconds after which the page is made again although no new scores are seen: the state may lie elsewhere."""

PATIENCE = 20.0
"""Seconds that a request waits for the page."""

_LONGEST = 300.0
_NEEDED = ("duckdb", "jinja2", "matplotlib", "pyarrow", "sqlalchemy")
_POLICY = f"{REPORT_POLICY}; base-uri 'none'; form-action 'none'"

_logger = logging.getLogger("bentoml.stance")

_PLAIN = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Stance in the feeds</title>
<style>
:root { color-scheme: light dark; } pre { overflow-x: auto; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 44rem; padding: 1.5rem; }
</style>
</head>
<body><h1>Stance in the feeds</h1>
%s
</body></html>
"""

NOT_INSTALLED = _PLAIN % (
    "<p>The report on news feeds needs packages that are not installed with this service. In its folder:</p>"
    "<pre>pip install -c constraints.txt -e '.[feeds]'</pre><p>Then start the service again.</p>"
)
NO_FEEDS = _PLAIN % (
    "<p>There are no scored feeds yet. On the machine of the service, with the same home folder "
    "(or with <code>STANCE_FEEDS</code> naming the same folder):</p>"
    "<pre>stance feeds add URL\nstance feeds run --every 15m</pre><p>Then load this page again.</p>"
)
NOT_YET = _PLAIN % "<p>The report is being made. This page asks for it again by itself.</p>"
FAILED = _PLAIN % (
    "<p>The report could not be made; the service’s log says why. To see it at once, on the machine of the service:</p>"
    "<pre>stance feeds report --out report.html</pre>"
)


@dataclass(frozen=True)
class _Made:
    """A page, and what the scores looked like shortly before it was made."""

    page: str
    mark: object
    at: float


class FeedsPage:
    """Keeps the page that was made last, and makes another when there is reason to, one at a time.

    Args:
        make: makes it; runs in a thread.
        mark: changes when there are new scores.
        clock: seconds.
    """

    def __init__(
        self, make: Callable[[], str], mark: Callable[[], object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._make, self._mark, self._clock = make, mark, clock
        self._made: _Made | None = None
        self._making: asyncio.Task[_Made] | None = None

    async def page(self, patience: float = PATIENCE) -> str | None:
        """The page, at most `AT_MOST_EVERY` seconds older than the scores.

        One that is being made is waited for; then comes the one before it, or None where there is none.
        """
        if self._making is None and await self._due():
            self._making = asyncio.create_task(run_in_threadpool(self._now))
            self._making.add_done_callback(self._keep)
        if self._making is not None:
            # A client that goes away does not stop it: others wait for the same.
            await asyncio.wait({self._making}, timeout=patience)
        return self._made.page if self._made else None

    async def _due(self) -> bool:
        if self._made is None:
            return True
        age = self._clock() - self._made.at
        return age >= AT_MOST_EVERY and (age >= OLD or await run_in_threadpool(self._mark) != self._made.mark)

    def _now(self) -> _Made:
        began, mark = self._clock(), self._mark()
        return _Made(self._make(), mark, began)

    def _keep(self, task: asyncio.Task[_Made]) -> None:
        self._making = None
        if task.cancelled():
            return
        if (error := task.exception()) is None:
            self._made = task.result()
        else:
            _logger.error("the report on feeds could not be made: %s", error)
            self._made = _Made(FAILED, None, self._clock())


def feeds_routes() -> list[Route]:
    """The route of the page."""
    kept = FeedsPage(_by_process, _mark)

    async def feeds(request: Request) -> Response:
        if not await run_in_threadpool(_installed):
            return _answer(NOT_INSTALLED)
        if not await run_in_threadpool(_is_there):
            return _answer(NO_FEEDS)
        page = await kept.page()
        return _answer(NOT_YET, {"Refresh": "5"}) if page is None else _answer(page)

    return [Route("/feeds", feeds)]


def _answer(page: str, headers: dict[str, str] | None = None) -> Response:
    # A page in a sandbox does not load itself again.
    policy = _POLICY.replace("; sandbox", "") if headers else _POLICY
    return HTMLResponse(page, headers={"Content-Security-Policy": policy, **(headers or {})})


def _installed() -> bool:
    return all(find_spec(name) for name in _NEEDED)


def _is_there() -> bool:
    return text_setting(STATE_VARIABLE) is not None or (feeds_folder() / STATE_FILE).is_file()


def _mark() -> object:
    """Changes with every batch: its file changes the folder of its day, its mark in the state changes that file."""
    folder = feeds_folder()
    places = [folder / STATE_FILE, folder / f"{STATE_FILE}-wal", *sorted((folder / "scores").glob("date=*"))]
    return [(path.name, path.stat().st_mtime_ns) for path in places if path.exists()]


def _by_process() -> str:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "serving.feeds.make_page"],
        env={**os.environ, "PYTHONPATH": child_path()},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_LONGEST,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr.decode("utf8", "replace").strip()[-2000:])
    return done.stdout.decode()

"""The page at `/`: the files that the browser gets, and what the evaluation of the model that answers found."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from serving.errors import RequestError

FILES = Path(__file__).parent / "browser"
REPORT = Path(__file__).parents[1] / "docs" / "report"
"""What `stance evaluate` wrote of the model that ships; an installed package may lack it."""

PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'"
)
"""What every answer has besides, `serving.response_headers` adds."""

REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
"""A report is one file: its styles are in it, and it has no scripts."""

_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".md": "text/markdown",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}
_SERVED = {path.name: path for path in FILES.iterdir() if path.name != "index.html" and path.suffix in _TYPES}
_FROM_REPORT = {"report.html", "model-card.md"}


def page_routes(version: Callable[[], str]) -> list[Route]:
    """The routes; `version` gives that of the model that answers now."""

    async def index(request: Request) -> Response:
        return _file(FILES / "index.html", PAGE_POLICY)

    async def file(request: Request) -> Response:
        name = request.path_params["name"]
        if name in _SERVED:
            return _file(_SERVED[name], PAGE_POLICY)
        evaluated = await run_in_threadpool(evaluation_of, version()) if name in _FROM_REPORT else None
        if evaluated is not None:
            return _file(REPORT / name, REPORT_POLICY)
        raise RequestError(404, "the page has no such file")

    async def evaluation(request: Request) -> Response:
        return JSONResponse({"evaluation": await run_in_threadpool(evaluation_of, version())})

    return [Route("/", index), Route("/page/evaluation.json", evaluation), Route("/page/{name}", file)]


def _file(path: Path, policy: str) -> Response:
    # Asked for again each time: files of two releases do not go together.
    headers = {"Content-Security-Policy": policy, "Cache-Control": "no-cache"}
    return FileResponse(path, media_type=f"{_TYPES[path.suffix]}; charset=utf-8", headers=headers)


def evaluation_of(version: str, folder: Path = REPORT) -> dict[str, Any] | None:
    """What a report says of a model, as far as the page shows it.

    Returns:
        `sentences`, `documents`, `twice` (whether they are the sentences labelled twice); `readers`: for the model, the
        floor and, of sentences labelled twice, the agreement of the labels, figures by target and over all;
        `probabilities`: expected calibration error and reliability bins by target. None where the report is of another
        model, or there is none.
    """
    try:
        report = json.loads((folder / "metrics.json").read_bytes())
    except FileNotFoundError:
        return None
    if report["model"]["version"] != version:
        return None
    twice = "twice" in report["sets"]
    figures = report["sets"]["twice" if twice else "all"]
    readers = {name: _figures(figures[name]) for name in ("model", "floor", "agreement") if name in figures}
    return {
        "sentences": figures["sentences"],
        "documents": figures["model"]["groups"],
        "twice": twice,
        "readers": readers,
        "probabilities": {
            target: {"ece": given["ece"], "bins": given["bins"]}
            for target, given in report["probabilities"]["targets"].items()
        },
    }


def _figures(given: Mapping[str, Any]) -> dict[str, Any]:
    by_target = {id_: {name: f[name] for name in ("macro_f1", "pole_f1")} for id_, f in given["targets"].items()}
    return {"overall": given["overall"], "targets": by_target}

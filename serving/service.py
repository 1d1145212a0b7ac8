"""The BentoML service: `bentoml serve serving.service:Stance`, or `stance serve`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import bentoml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from serving.gate import SCORE_PATH, Gate
from serving.openapi import openapi_document
from serving.schema import ScoreRequest, ScoreResponse
from serving.scoring import describe_model, describe_targets, score_texts
from serving.usage import usage_here
from serving.version import VERSION
from training.model_folder import Model, load_model, named_model_folder

PAGE = Path(__file__).parent / "page.html"
PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"


def _live() -> Model:
    """The model that answers now."""
    model: Model = bentoml.get_current_service().model
    return model


async def _targets(request: Request) -> Response:
    return JSONResponse({"targets": describe_targets(_live().taxonomy)})


async def _model(request: Request) -> Response:
    return JSONResponse(describe_model(_live()))


async def _docs(request: Request) -> Response:
    return JSONResponse(openapi_document(VERSION))


def _target_ids() -> Sequence[str]:
    return _live().taxonomy.ids


async def _page(request: Request) -> Response:
    return HTMLResponse(PAGE.read_text(encoding="utf8"), headers={"Content-Security-Policy": PAGE_POLICY})


# The root is answered here too, because BentoML's own page loads a tracker from another host.
_reading = Starlette(
    routes=[
        Route("/", _page),
        Route("/v1/targets", _targets),
        Route("/v1/model", _model),
        Route("/docs.json", _docs),
    ],
)


@bentoml.service(name="stance", traffic={"timeout": 60})
@bentoml.asgi_app(_reading, path="/")
class Stance:
    """Stance scores for sentences about international disputes."""

    def __init__(self) -> None:
        self.model = load_model(named_model_folder())
        self.model.estimator.load()
        self.usage = usage_here()

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    def stop_counting(self) -> None:
        self.usage.close()

    def __is_ready__(self) -> bool:
        return True

    @bentoml.api(route=SCORE_PATH, input_spec=ScoreRequest, output_spec=ScoreResponse)  # type: ignore[untyped-decorator]
    def score(self, texts: list[str], targets: list[str] | None = None) -> Response:
        """Stance of each text toward each target; `texts` and `targets` have passed `serving.gate`."""
        # One look at it: a model put in its place meanwhile does not mix into this answer.
        model = self.model
        results = score_texts(model, texts, targets, count=self.usage.count)
        return JSONResponse({"model": {"version": model.version}, "results": results})


# The decorators made a BentoML service of the class.
Stance.add_asgi_middleware(Gate, target_ids=_target_ids)  # type: ignore[attr-defined]

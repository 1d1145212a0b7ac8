"""The BentoML service: `bentoml serve serving.service:Stance`, or `stance serve`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bentoml
import orjson
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from serving.analysis_api import analysis_routes
from serving.beneath import bound_connections
from serving.errors import RequestError, report_to_gate
from serving.explaining import OwnExamples, explain_texts
from serving.feeds_page import feeds_routes
from serving.gate import SCORE_PATH, Gate
from serving.jobs_api import job_routes
from serving.labels_api import label_routes
from serving.late_model import LateModel
from serving.live_model import LiveModel, spare_what_stays
from serving.observed import Observed
from serving.openapi import openapi_document
from serving.page import page_routes
from serving.request_log import set_up_log
from serving.routes import route_names
from serving.schema import ScoreRequest, ScoreResponse
from serving.scoring import Asked, describe_model, describe_targets, score_propositions, score_together
from serving.turns import own_turn, shared_turn
from serving.usage import usage_here
from serving.version import VERSION
from serving.watching import METRICS_PATH, count_answers, metrics_answer, watch_batches
from training.answers import Answers
from training.home import home_folder
from training.model_folder import Model


def _live() -> Model:
    """The model that answers now."""
    model: Model = bentoml.get_current_service().model
    return model


async def _targets(request: Request) -> Response:
    return JSONResponse({"targets": describe_targets(_live().taxonomy)})


async def _model(request: Request) -> Response:
    live = bentoml.get_current_service().live.now
    return JSONResponse({**describe_model(live.model), "source": live.source})


async def _docs(request: Request) -> Response:
    return JSONResponse(openapi_document(VERSION))


def _target_ids() -> Sequence[str]:
    return _live().taxonomy.ids


# The root is answered here too, because BentoML's own page loads a tracker from another host.
_mounted = Starlette(
    routes=[
        *page_routes(lambda: _live().version),
        *feeds_routes(),
        Route("/v1/targets", _targets),
        Route("/v1/model", _model),
        Route("/docs.json", _docs),
        Route(METRICS_PATH, metrics_answer),
        *label_routes(lambda: _live().taxonomy),
        *job_routes(),
        *analysis_routes(_live, lambda *answered: bentoml.get_current_service().count(*answered)),
    ],
    exception_handlers={RequestError: report_to_gate},
)


bound_connections()


@bentoml.service(
    name="stance",
    # Both by raw path, see `serving.watching` and `serving.request_log`, which take their place.
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
)
@bentoml.asgi_app(_mounted, path="/")
class Stance:
    """Stance scores for sentences about international disputes."""

    def __init__(self) -> None:
        set_up_log()
        self.live = LiveModel(home_folder(), watch_batches)
        self.usage = usage_here()
        self.examples = OwnExamples()
        self.relations = LateModel()
        spare_what_stays()

    @property
    def model(self) -> Model:
        """The model that answers now; another may answer the next time it is asked for."""
        return self.live.now.model

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    def close(self) -> None:
        """Stop following the champion, and write what was counted."""
        self.live.close()
        self.usage.close()

    def count(self, model: Model, texts: Sequence[str], given: Answers) -> None:
        """Count what was answered, for `stance drift` and for Prometheus."""
        self.usage.count(model, texts, given)
        count_answers(model, texts, given)

    def __is_ready__(self) -> bool:
        """Whether a model is in memory, and has answered once."""
        return self.live.ready

    @bentoml.api(route=SCORE_PATH, input_spec=ScoreRequest, output_spec=ScoreResponse)  # type: ignore[untyped-decorator]
    async def score(
        self,
        texts: list[str],
        targets: list[str] | None = None,
        propositions: list[str] | None = None,
        explain: bool = False,
    ) -> Response:
        """Stance of each text toward each target; what is asked has passed `serving.gate`."""
        asked = Asked(texts, targets)
        if explain or propositions:
            async with own_turn():
                answer = await run_in_threadpool(self._alone, asked, propositions or (), explain)
        else:
            answer = await shared_turn(asked, self._scored)
        return Response(answer, media_type="application/json")

    def _scored(self, asked: Sequence[Asked]) -> list[bytes]:
        # One look at it: a model put in its place meanwhile does not mix into these answers.
        model = self.model
        return [_answer(model, results) for results in score_together(model, asked, self.count)]

    def _alone(self, asked: Asked, propositions: Sequence[str], explain: bool) -> bytes:
        model = self.model
        (results,) = score_together(model, [asked], self.count)
        if propositions:
            found = score_propositions(self.relations.get(), asked.texts, propositions)
            for result, answers in zip(results, found, strict=True):
                result["propositions"] = answers
        if explain:
            whys = explain_texts(model, asked.texts, results, self.examples.of(model))
            for result, why in zip(results, whys, strict=True):
                result["explanation"] = why
        return _answer(model, results)


def _answer(model: Model, results: list[dict[str, Any]]) -> bytes:
    """What `serving.schema.ScoreResponse` describes."""
    return orjson.dumps({"model": {"version": model.version}, "results": results})


# The decorators made a BentoML service of the class. What is added first is outside.
Stance.add_asgi_middleware(Observed, route_name=route_names(_mounted.routes, SCORE_PATH))  # type: ignore[attr-defined]
Stance.add_asgi_middleware(Gate, target_ids=_target_ids)  # type: ignore[attr-defined]

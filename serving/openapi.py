"""The OpenAPI document at /docs.json: BentoML's own leaves out mounted routes and misdescribes errors."""

from __future__ import annotations

from http.client import responses as PHRASES  # noqa: N812
from typing import Any

from pydantic.json_schema import models_json_schema

from serving.access import ANALYZE_PATH
from serving.analysis.schema import AnalyzeRequest, AnalyzeResponse
from serving.gate import SCORE_PATH
from serving.jobs_api import JOBS_PATH, RETRAIN_PATH
from serving.labels_api import LABELS_PATH
from serving.schema import (
    MAX_EXPLAINED,
    MAX_TEXTS_WITH_PROPOSITIONS,
    ErrorResponse,
    JobResponse,
    JobsResponse,
    LabelsRequest,
    LabelsResponse,
    ModelResponse,
    RetrainRequest,
    ScoreRequest,
    ScoreResponse,
    TargetsResponse,
)

_MODELS = (
    *(ErrorResponse, ModelResponse, ScoreRequest, ScoreResponse, TargetsResponse),
    *(AnalyzeRequest, AnalyzeResponse),
    *(LabelsRequest, LabelsResponse, RetrainRequest, JobResponse, JobsResponse),
)
_KEY = "key"
_ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
_ID_HEADER = {"X-Request-Id": {"description": "That of the request, or one made for it", "schema": {"type": "string"}}}
_RETRY_HEADER = {"Retry-After": {"description": "Seconds to wait", "schema": {"type": "integer"}}}
_ANYWHERE = (408, 413, 429, 500, 503, 504)
"""Statuses of errors that any request can meet."""
_REF = "#/components/schemas/{model}"


def openapi_document(version: str) -> dict[str, Any]:
    """OpenAPI 3.1 of the service's own routes and BentoML's probes."""
    _, components = models_json_schema([(model, "validation") for model in _MODELS], ref_template=_REF)
    # Here, because BentoML, which reads the models too, knows no conditions.
    components["$defs"]["ScoreRequest"]["allOf"] = [
        {
            "if": {"properties": {field: asked}, "required": [field]},
            "then": {"properties": {"texts": {"maxItems": most}}},
        }
        for field, asked, most in (
            ("explain", {"const": True}, MAX_EXPLAINED),
            ("propositions", {"type": "array"}, MAX_TEXTS_WITH_PROPOSITIONS),
        )
    ]
    score = {
        "operationId": "score",
        "summary": "Stance of each text toward each target",
        "requestBody": {"required": True, "content": _json("ScoreRequest")},
        "responses": _responses("ScoreResponse", 400, 401, 403),
        # Without a key, unless the service was started to ask for one.
        "security": [{}, {_KEY: []}],
    }
    analyze = {
        **score,
        "operationId": "analyze",
        "summary": "Who says what in each document, and what it adds up to",
        "requestBody": {"required": True, "content": _json("AnalyzeRequest")},
        "responses": _responses("AnalyzeResponse", 400, 401, 403),
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Stance",
            "version": version,
            "description": "Stance scores for sentences about international disputes.",
        },
        "paths": {
            SCORE_PATH: {"post": score},
            ANALYZE_PATH: {"post": analyze},
            "/v1/targets": {"get": _get("targets", "Targets, classes and poles", "TargetsResponse")},
            "/v1/model": {"get": _get("model", "The model that answers", "ModelResponse")},
            **_keyed_paths(),
            "/livez": {"get": _plain("livez", "The process lives", *_ANYWHERE)},
            "/readyz": {"get": _plain("readyz", "A model is loaded", *_ANYWHERE)},
            "/metrics": {"get": _plain("metrics", "Figures for Prometheus", *_ANYWHERE)},
        },
        "components": {
            "schemas": components["$defs"],
            "securitySchemes": {
                _KEY: {"type": "http", "scheme": "bearer", "description": "A key of `stance keys create NAME`."}
            },
        },
    }


def _keyed_paths() -> dict[str, Any]:
    job = f"{JOBS_PATH}/{{id}}"
    keep = _keyed("labels", "Keep labels, all of them or none", "LabelsResponse", 400, 409)
    retrain = _keyed("retrain", "Start a retraining", "JobResponse", 400, 409)
    retrain["responses"]["202"] = {
        **retrain["responses"].pop("200"),
        "description": "It was started",
        "headers": {**_ID_HEADER, "Location": {"description": "Where to look at it", "schema": {"type": "string"}}},
    }
    return {
        LABELS_PATH: {"post": {**keep, "requestBody": {"required": True, "content": _json("LabelsRequest")}}},
        RETRAIN_PATH: {"post": {**retrain, "requestBody": {"required": True, "content": _json("RetrainRequest")}}},
        JOBS_PATH: {"get": _keyed("jobs", "The last retrainings", "JobsResponse")},
        job: {
            "parameters": [_ID],
            "get": _keyed("job", "A retraining", "JobResponse", 404),
            "delete": _keyed("cancel", "Stop a retraining; it is gone when this answers", "JobResponse", 404, 409),
        },
    }


def _keyed(name: str, summary: str, model: str, *errors: int) -> dict[str, Any]:
    return {
        "operationId": name,
        "summary": summary,
        "responses": _responses(model, 401, 403, *errors),
        "security": [{_KEY: []}],
    }


def _json(model: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _REF.format(model=model)}}}


def _responses(model: str, *errors: int) -> dict[str, Any]:
    answer = {"description": "The answer", "headers": _ID_HEADER, "content": _json(model)}
    return {"200": answer, **{str(status): _error(status) for status in sorted({*errors, *_ANYWHERE})}}


def _error(status: int) -> dict[str, Any]:
    headers = {**_ID_HEADER, **(_RETRY_HEADER if status in (429, 503) else {})}
    return {"description": PHRASES[status], "headers": headers, "content": _json("ErrorResponse")}


def _get(name: str, summary: str, model: str) -> dict[str, Any]:
    return {"operationId": name, "summary": summary, "responses": _responses(model)}


def _plain(name: str, summary: str, *errors: int) -> dict[str, Any]:
    content = {"text/plain": {"schema": {"type": "string"}}}
    return {
        "operationId": name,
        "summary": summary,
        "responses": {
            "200": {"description": "The answer", "headers": _ID_HEADER, "content": content},
            **{str(status): _error(status) for status in errors},
        },
    }

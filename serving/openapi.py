"""The OpenAPI document at /docs.json: BentoML's own leaves out mounted routes and misdescribes errors."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import models_json_schema

from serving.errors import CODES
from serving.gate import SCORE_PATH
from serving.schema import ErrorResponse, ModelResponse, ScoreRequest, ScoreResponse, TargetsResponse

_REF = "#/components/schemas/{model}"


def openapi_document(version: str) -> dict[str, Any]:
    """OpenAPI 3.1 of the service's own routes and BentoML's probes."""
    models = (ErrorResponse, ModelResponse, ScoreRequest, ScoreResponse, TargetsResponse)
    _, components = models_json_schema([(model, "validation") for model in models], ref_template=_REF)
    score = {
        "operationId": "score",
        "summary": "Stance of each text toward each target",
        "requestBody": {"required": True, "content": _json("ScoreRequest")},
        "responses": _responses("ScoreResponse", 400, 413, 429, 500, 503, 504),
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
            "/v1/targets": {"get": _get("targets", "Targets, classes and poles", "TargetsResponse")},
            "/v1/model": {"get": _get("model", "The model that answers", "ModelResponse")},
            "/livez": {"get": _probe("livez", "The process lives")},
            "/readyz": {"get": _probe("readyz", "A model is loaded")},
        },
        "components": {"schemas": components["$defs"]},
    }


def _json(model: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _REF.format(model=model)}}}


def _responses(model: str, *errors: int) -> dict[str, Any]:
    return {
        "200": {"description": "The answer", "content": _json(model)},
        **{str(s): {"description": CODES[s], "content": _json("ErrorResponse")} for s in errors},
    }


def _get(name: str, summary: str, model: str) -> dict[str, Any]:
    return {"operationId": name, "summary": summary, "responses": _responses(model, 413, 429, 500, 503)}


def _probe(name: str, summary: str) -> dict[str, Any]:
    ready = {"description": "Yes", "content": {"text/plain": {"schema": {"type": "string"}}}}
    return {
        "operationId": name,
        "summary": summary,
        "responses": {"200": ready, "503": {"description": "No", "content": _json("ErrorResponse")}},
    }

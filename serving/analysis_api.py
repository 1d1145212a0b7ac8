"""`POST /v1/analyze`: documents read whole, for who says what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from serving.access import ANALYZE_PATH
from serving.analysis.schema import MAX_DOCUMENT_CHARACTERS, MAX_DOCUMENTS, MAX_SENTENCES, AnalyzeRequest
from serving.bodies import parsed
from serving.errors import RequestError
from serving.gate import check_targets
from serving.observed import TEXTS
from serving.scoring import Count
from serving.turns import own_turn
from training.model_folder import Model

_CODES = {
    ("documents", "too_long"): ("too_many_documents", f"at most {MAX_DOCUMENTS} documents a request"),
    ("text", "string_too_long"): ("text_too_long", f"a document has at most {MAX_DOCUMENT_CHARACTERS} characters"),
    ("text", "string_too_short"): ("empty_text", "a text must not be empty"),
    ("text", "string_pattern_mismatch"): ("empty_text", "a text must not be empty"),
}


def analysis_routes(model: Callable[[], Model], count: Count) -> list[Route]:
    """The route.

    Args:
        model: gives the model that answers now.
        count: told what it answers about each sentence.
    """

    async def analyze(request: Request) -> Response:
        body, noted = await request.body(), request.scope[TEXTS]
        async with own_turn():
            found = await run_in_threadpool(_analyze, body, model(), count, noted)
        return JSONResponse(found)

    return [Route(ANALYZE_PATH, analyze, methods=["POST"])]


def _analyze(body: bytes, model: Model, count: Count, noted: list[int]) -> dict[str, Any]:
    # Here, so that a service that only scores starts no later and holds no more.
    from serving.analysis.aliases import load_aliases
    from serving.analysis.documents import DocumentIn, analyze, as_json, read_documents
    from serving.analysis.tagger import shipped_tagger

    request = parsed(AnalyzeRequest, body, _CODES)
    check_targets(request.targets, model.taxonomy.ids)
    documents = [DocumentIn(**document.model_dump()) for document in request.documents]
    readings = read_documents(documents)
    noted[0] = sum(len(reading.sentences) for reading in readings)
    if noted[0] > MAX_SENTENCES:
        raise RequestError(
            400,
            f"the documents have {noted[0]} sentences; at most {MAX_SENTENCES} a request",
            code="too_many_sentences",
            field="documents",
        )
    tagger = shipped_tagger()
    found = analyze(documents, readings, model, load_aliases(), tagger, targets=request.targets, count=count)
    return {
        "model": {"version": model.version},
        "holders_by": "tagger" if tagger else "rules",
        "documents": [as_json(one) for one in found],
    }

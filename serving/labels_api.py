"""`POST /v1/labels`: labels over HTTP into the label store."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from labels.store import ClashError, Label, open_store
from labels.taxonomy import UNRELATED, Taxonomy
from serving.access import holder_of
from serving.bodies import SHOWN, parsed
from serving.errors import RequestError
from serving.schema import MAX_CHARACTERS, MAX_LABELS, LabelIn, LabelsRequest
from training.home import home_folder

LABELS_PATH = "/v1/labels"
STORE_FILE = "labels.sqlite"

_CODES = {
    ("labels", "too_long"): ("too_many_labels", f"at most {MAX_LABELS} labels a request"),
    ("text", "string_too_long"): ("text_too_long", f"a text has at most {MAX_CHARACTERS} characters"),
    ("text", "string_too_short"): ("empty_text", "a text must not be empty"),
    ("text", "string_pattern_mismatch"): ("empty_text", "a text must not be empty"),
}


def label_routes(taxonomy: Callable[[], Taxonomy]) -> list[Route]:
    """The routes; `taxonomy` gives that of the model that answers now."""

    async def take(request: Request) -> Response:
        holder, known, body = holder_of(request), taxonomy(), await request.body()
        return JSONResponse(await run_in_threadpool(_take, body, known, holder, home_folder()))

    return [Route(LABELS_PATH, take, methods=["POST"])]


def _take(body: bytes, taxonomy: Taxonomy, holder: str, home: Path) -> dict[str, Any]:
    request = parsed(LabelsRequest, body, _CODES)
    for place, entry in enumerate(request.labels):
        _check_labels(entry, taxonomy, f"labels.{place}.labels")
    now = datetime.now(UTC)
    labels = [label_of(entry, holder, now) for entry in request.labels]
    new = _keep(labels, home)
    return {
        "accepted": sum(new),
        "known": len(new) - sum(new),
        "labels": [{"event": la.event, "id": la.record, "new": n} for la, n in zip(labels, new, strict=True)],
    }


def _keep(labels: Sequence[Label], home: Path) -> list[bool]:
    try:
        with open_store(home / STORE_FILE) as store:
            return store.add_all(labels)
    except ClashError as clash:
        code, field = ("event_reused", "event") if clash.kind == "event" else ("id_reused", "id")
        # The file's place on this machine is not the client's business.
        message = f"{clash.message}. {clash.hint}"
        raise RequestError(409, message, code=code, field=f"labels.{clash.place}.{field}") from None


def label_of(entry: LabelIn, holder: str, at: datetime) -> Label:
    """The label in an entry; ids that it lacks are made of what it says, so that sent again it is the same label."""
    given = entry.model_dump(exclude_none=True) | {"labels": entry.labels}
    given["annotator"] = entry.annotator or holder
    record = given.pop("id", None) or f"text-{_hash(entry.text)}"
    event = given.pop("event", None) or f"made-{_hash(json.dumps([record, given], sort_keys=True))}"
    return Label(event=event, record=record, at=at, **given)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _check_labels(entry: LabelIn, taxonomy: Taxonomy, field: str) -> None:
    for target_id, label in entry.labels.items():
        here = f"{field}.{target_id}"[:SHOWN]
        if target_id not in taxonomy.ids:
            raise RequestError(
                400,
                f"no target '{target_id[:SHOWN]}'; this model has {', '.join(taxonomy.ids)}",
                code="unknown_target",
                field=here,
            )
        classes = taxonomy[target_id].classes
        if label is not None and label not in classes:
            raise RequestError(
                400,
                f"'{label[:SHOWN]}' is not a class of this target ({', '.join(classes)}, or null for {UNRELATED})",
                code="unknown_class",
                field=here,
            )

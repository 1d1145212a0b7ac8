"""Who may ask for what: the key that a request must carry, looked at before anything else of it."""

from __future__ import annotations

import os
from collections.abc import Iterable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import Scope

from serving.errors import RequestError
from serving.keys import key_holder, read_keys
from training.home import home_folder

SCORING_VARIABLE = "STANCE_SCORING_NEEDS_KEY"
"""Environment variable: 1 where scoring needs a key too."""

KEYED = ("/v1/labels", "/v1/retrain", "/v1/jobs")
"""Paths that need a key, with all below them."""

_HOLDER = "stance.key_holder"


async def admitted(scope: Scope, score_path: str) -> Scope:
    """The scope of a request that may pass; where a key was needed, with the name of the key's holder.

    Raises:
        RequestError: 401 without a key that is right, 403 where there are no keys.
    """
    path = scope["path"]
    scoring = path == score_path and scoring_needs_key()
    # A browser asks by OPTIONS, without the key, whether it may send one.
    if scope["method"] == "OPTIONS" or not (scoring or any(path == p or path.startswith(f"{p}/") for p in KEYED)):
        return scope
    return {**scope, _HOLDER: await run_in_threadpool(_holder, scope["headers"])}


def scoring_needs_key() -> bool:
    """Whether scoring needs a key too."""
    return os.environ.get(SCORING_VARIABLE) == "1"


def holder_of(request: Request) -> str:
    """Name of the key that a request came with.

    Raises:
        RequestError: 401 where `admitted` did not see one; so that a route that it does not know of stays shut.
    """
    holder = request.scope.get(_HOLDER)
    if not isinstance(holder, str):
        raise _unauthorized("this needs a key")
    return holder


def _holder(headers: Iterable[tuple[bytes, bytes]]) -> str:
    keys = read_keys(home_folder())
    if not keys:
        raise RequestError(
            403, "this needs an API key, and there is none yet; `stance keys add NAME` makes one", code="no_keys"
        )
    given = [value for name, value in headers if name == b"authorization"]
    if len(given) != 1:
        raise _unauthorized("this needs a key: Authorization: Bearer KEY")
    scheme, _, key = given[0].decode("latin-1").strip().partition(" ")
    holder = key_holder(key.strip(), keys) if scheme.lower() == "bearer" else None
    if holder is None:
        raise _unauthorized("the key is not one of this service's")
    return holder


def _unauthorized(message: str) -> RequestError:
    return RequestError(401, message, headers={"WWW-Authenticate": 'Bearer realm="stance"'})

"""Who may ask for what: the key that a request must carry, looked at before anything else of it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import Scope

from labels.settings import switch_setting
from serving.errors import RequestError
from serving.keys import KeyScope, key_holder, read_keys
from training.home import home_folder

SCORING_VARIABLE = "STANCE_SCORING_NEEDS_KEY"
"""Environment variable: 1 where scoring needs a key on loopback too; elsewhere it always does."""

ANALYZE_PATH = "/v1/analyze"

KEYED: Mapping[str, KeyScope] = {
    "/v1/labels": KeyScope.LABEL,
    "/v1/retrain": KeyScope.ADMIN,
    "/v1/jobs": KeyScope.ADMIN,
}
"""Paths that need a key, with all below them, and the scope that it must have."""

AS_SCORING = (ANALYZE_PATH, "/feeds")
"""Paths that need a key where scoring does: they score, or show what was scored, and its texts are others'."""

HOLDER = "stance.key_holder"
"""Where the name of the key's holder stands in a request's scope, where a key was needed."""


async def admitted(scope: Scope, score_path: str) -> Scope:
    """The scope of a request that may pass; where a key was needed, with the name of the key's holder.

    Raises:
        RequestError: 401 without a key that is right, 403 where there are no keys, or the key is not for this.
    """
    needed = _needed(scope, score_path)
    # A browser asks by OPTIONS, without the key, whether it may send one.
    if needed is None or scope["method"] == "OPTIONS":
        return scope
    return {**scope, HOLDER: await run_in_threadpool(_holder, scope["headers"], needed)}


def _needed(scope: Scope, score_path: str) -> KeyScope | None:
    path = scope["path"]
    if path == score_path or path in AS_SCORING:
        return KeyScope.SCORE if scoring_needs_key() or not over_loopback(scope) else None
    return next((needed for keyed, needed in KEYED.items() if path == keyed or path.startswith(f"{keyed}/")), None)


def scoring_needs_key() -> bool:
    """Whether scoring needs a key on loopback too.

    Raises:
        StanceError: the variable is neither 0 nor 1.
    """
    return switch_setting(SCORING_VARIABLE, default=False)


def over_loopback(scope: Scope) -> bool:
    """Whether a request came to an address that only this machine reaches; a proxy on it is this machine."""
    return is_loopback((scope.get("server") or ("",))[0])


def is_loopback(host: str) -> bool:
    """Whether a name or an address is that of this machine itself."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def holder_of(request: Request) -> str:
    """Name of the key that a request came with.

    Raises:
        RequestError: 401 where `admitted` did not see one; so that a route that it does not know of stays shut.
    """
    holder = request.scope.get(HOLDER)
    if not isinstance(holder, str):
        raise _unauthorized("this needs a key")
    return holder


def _holder(headers: Iterable[tuple[bytes, bytes]], needed: KeyScope) -> str:
    keys = read_keys(home_folder())
    if not keys:
        raise RequestError(
            403, "this needs an API key, and there is none yet; `stance keys create NAME` makes one", code="no_keys"
        )
    given = [value for name, value in headers if name == b"authorization"]
    if len(given) != 1:
        raise _unauthorized("this needs a key: Authorization: Bearer KEY")
    scheme, _, key = given[0].decode("latin-1").strip().partition(" ")
    holder = key_holder(key.strip(), keys) if scheme.lower() == "bearer" else None
    if holder is None:
        raise _unauthorized("the key is not one of this service's")
    if needed not in (scopes := keys[holder].scopes):
        raise RequestError(
            403, f"this needs a key of the scope '{needed}'; this one has {', '.join(scopes)}", code="missing_scope"
        )
    return holder


def _unauthorized(message: str) -> RequestError:
    return RequestError(401, message, headers={"WWW-Authenticate": 'Bearer realm="stance"'})

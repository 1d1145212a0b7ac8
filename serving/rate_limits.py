"""How many requests a key may make, or an address where no key was asked for: a token bucket each.

A bucket holds a minute's worth and fills evenly, so that a burst passes and a stream does not. Each worker process
counts for itself.
"""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic

from starlette.types import Scope

from labels.settings import number_setting
from serving.access import HOLDER, over_loopback
from serving.errors import RequestError
from serving.routes import PROBES

RATE_VARIABLE = "STANCE_RATE_LIMIT"
"""Environment variable: requests a minute, on loopback too; 0 for no limit."""

GENEROUS = 1200
"""Requests a minute where the variable is not set; there is no limit on loopback then."""

_MOST_BUCKETS = 10_000
_ROUNDING = 1e-9


def rate_limit() -> int | None:
    """The limit that was set; None where none was.

    Raises:
        StanceError: it is not a whole number.
    """
    return number_setting(RATE_VARIABLE, "requests a minute, or 0 for no limit,")


class RateLimits:
    """The buckets of one process.

    Args:
        limit: requests a minute; see `rate_limit`.
        clock: seconds.
    """

    def __init__(self, limit: int | None, clock: Callable[[], float] = monotonic) -> None:
        self._limit, self._clock = limit, clock
        # Fullness and when it was that; the bucket used last is the last.
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def spend(self, scope: Scope) -> None:
        """Take one request from the bucket of whoever made it.

        Raises:
            RequestError: 429 where it is empty; its Retry-After, in seconds, is when it is not.
        """
        limit = self._limit if self._limit is not None else 0 if over_loopback(scope) else GENEROUS
        if not limit or scope["path"] in PROBES:
            return
        who, now = _who(scope), self._clock()
        fullness, since = self._buckets.pop(who, (limit, now))
        fullness = min(limit, fullness + (now - since) * limit / 60)
        # Whoever waited as told finds one request there, however the sum was rounded.
        passes = fullness >= 1 - _ROUNDING
        self._buckets[who] = (fullness - 1 if passes else fullness, now)
        if len(self._buckets) > _MOST_BUCKETS:
            self._buckets.popitem(last=False)
        if not passes:
            wait = math.ceil((1 - fullness) * 60 / limit)
            raise RequestError(
                429,
                f"more than {limit} requests a minute; wait {wait} s",
                code="rate_limited",
                headers={"Retry-After": str(wait)},
            )


def _who(scope: Scope) -> str:
    if HOLDER in scope:
        return f"key {scope[HOLDER]}"
    host = scope["client"][0] if scope.get("client") else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.version == 4:
        return host
    # Whoever has one IPv6 address has the 2^64 beside it.
    return str(ipaddress.IPv6Network((int(address), 64), strict=False))

"""Numbers that the environment sets."""

from __future__ import annotations

import os

from labels.errors import StanceError


def seconds_setting(variable: str, default: float) -> float:
    """Seconds that an environment variable names; the default where it is not set.

    Raises:
        StanceError: it is not a number above 0 and below a day.
    """
    given = os.environ.get(variable)
    if given is None:
        return default
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 86_400:
        raise StanceError(f"{variable} is '{given}'", hint="Give seconds, as 10 or 0.5.")
    return seconds

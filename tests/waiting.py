"""Waiting for what another process or thread does."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

PATIENCE = 300.0
"""Seconds: enough for a machine that does much else; whoever waits goes on as soon as it is so."""


def until(condition: Callable[[], object]) -> None:
    """Return once the condition holds; the test fails where it does not within `PATIENCE`."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail("it does not come to that")
        time.sleep(0.05)

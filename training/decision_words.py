"""A decision about a candidate in words, for pages and the terminal alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from training.pages import OVERALL_TITLES, plain

_MEASURES = {
    **OVERALL_TITLES,
    "flips_rightly": "Contrast pairs that flip rightly",
    "stays": "Contrast pairs that stay",
    "consistent": "Contrast sets answered rightly",
    "ece": "Expected calibration error",
    "milliseconds": "Milliseconds a text",
    "megabytes": "Megabytes on disk",
}


def verdict(decision: Mapping[str, Any]) -> str:
    """What was decided."""
    if decision["forced"]:
        return "promoted by force"
    return "promoted" if decision["promoted"] else "not promoted"


def check_name(check: Mapping[str, Any]) -> str:
    """What a check is about: a target by its id, anything else by its title."""
    return str(check["what"]) if check["kind"] == "targets" else _MEASURES[check["what"]]


def asked_for(check: Mapping[str, Any]) -> str:
    """The bound of a check."""
    bound = check["bound"]
    if check["kind"] == "latency":
        return f"at most {bound:g} times the champion’s"
    if check["kind"] == "size":
        return f"at most {bound:g}"
    if check["kind"] == "calibration":
        return f"at most {bound:g} more"
    return f"at most {-bound:g} less" if bound else "not less"


def in_short(decision: Mapping[str, Any]) -> list[str]:
    """What came of it in a few lines: the figure over all targets, and what does not hold."""
    told = [check for check in decision["checks"] if check["kind"] == "overall" or not check["passed"]]
    return [
        f"{check_name(check)}: {plain(check['candidate'])} against the champion's {plain(check['champion'])}, "
        f"{asked_for(check)} was asked for: {'holds' if check['passed'] else 'does not hold'}"
        for check in told
    ]

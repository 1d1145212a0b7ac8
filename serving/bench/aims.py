"""What is aimed at, and whether it was reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Aim:
    """One figure and its bound.

    Attributes:
        what: for people.
        value: what was measured; None where it was not.
        least: the figure should be at least this, or
        most: at most this.
    """

    what: str
    value: float | None
    least: float | None = None
    most: float | None = None

    @property
    def reached(self) -> bool | None:
        """None where nothing was measured."""
        if self.value is None:
            return None
        return (self.least is None or self.value >= self.least) and (self.most is None or self.value <= self.most)

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "reached": self.reached}


def aims(figures: Mapping[str, Any]) -> list[Aim]:
    """Those of this project; ratios and differences are medians over turns."""
    throughput, worker = figures["throughput"], figures["worker"]
    pipeline = throughput["transformers"].get("in_process_times_it", {}).get("median")
    over = figures["single_text"]["http_1_client"]["p50_over_raw"]["median"]
    return [
        Aim("in process, of the raw encoder", throughput["in_process"]["of_raw"]["median"], least=0.95),
        Aim("HTTP with 64 texts, of the raw encoder", throughput["http_64"]["of_raw"]["median"], least=0.85),
        Aim("in process, times the transformers pipeline", pipeline, least=2.0),
        Aim("one text over HTTP, p50 over the raw encoder's, ms", over, most=4.0),
        Aim("memory of the worker at its peak, MB", worker["peak_megabytes"], most=450.0),
        Aim("ready after the command, s", worker["ready_seconds"]["median"], most=6.0),
    ]

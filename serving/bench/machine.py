"""What it was measured on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from typing import Any


def machine(busy: float) -> dict[str, Any]:
    """Fit for JSON; `busy` is the load before anything was measured."""
    return {
        "processor": platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load_before": round(busy, 2),
        "python": platform.python_version(),
        "onnxruntime": version("onnxruntime"),
    }

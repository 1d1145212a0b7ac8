"""What it was measured on."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import Any

from training.runtime import cores


def machine(busy: float) -> dict[str, Any]:
    """Fit for JSON; `busy` is the load before anything was measured."""
    return {
        "processor": platform.machine(),
        "cores": cores(),
        "load_before": round(busy, 2),
        "python": platform.python_version(),
        "onnxruntime": version("onnxruntime"),
    }

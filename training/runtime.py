"""On what an encoder runs: ONNX Runtime, or CTranslate2 where that is asked for."""

from __future__ import annotations

import os
from typing import Literal, get_args

from labels.settings import choice_setting, number_setting

RUNTIME_VARIABLE = "STANCE_RUNTIME"
"""Environment variable: what loaded models run on."""

THREADS_VARIABLE = "STANCE_THREADS"
"""Environment variable: cores that one process computes embeddings on; all of them where it is not set."""

Runtime = Literal["onnx", "ctranslate2", "ctranslate2-float32"]
"""ONNX Runtime in float32; CTranslate2 with weights and activations in 8 bits; the same in float32."""

RUNTIMES: tuple[Runtime, ...] = get_args(Runtime)


def chosen_runtime() -> Runtime:
    """What STANCE_RUNTIME asks for; ONNX Runtime where it asks for nothing.

    Raises:
        StanceError: there is no runtime of that name.
    """
    return choice_setting(RUNTIME_VARIABLE, RUNTIMES)


def asked_threads() -> int:
    """What STANCE_THREADS asks for; 0, which is all cores, where it asks for nothing.

    Raises:
        StanceError: it is not a whole number.
    """
    return number_setting(THREADS_VARIABLE, "cores") or 0


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

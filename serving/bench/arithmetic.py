"""How fast the encoder could be if it did nothing but its multiplications."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import threadpool_limits

from training.encoder_packages import CONFIG, EncoderPackage
from training.runtime import cores


def multiply_adds(package: EncoderPackage, lengths: Sequence[int]) -> int:
    """Multiply-adds of the encoder's matrix products for texts of these lengths in tokens, none of them padding.

    A layer takes 4·n·d² for queries, keys, values and the output of attention, 2·n²·d for attention itself and
    2·n·d·f for the feed-forward part, with n tokens, d dimensions and f inner dimensions (Vaswani et al. 2017).
    """
    inner = int(json.loads(package.read(CONFIG)[CONFIG])["intermediate_size"])
    d = package.dimensions
    return package.layers * sum(4 * n * d * d + 2 * n * n * d + 2 * n * d * inner for n in lengths)


class Multiplication:
    """A product of float32 matrices as the encoder's feed-forward part has them, one on each core."""

    def __init__(self, package: EncoderPackage, rows: int) -> None:
        random = np.random.default_rng(0)
        d = package.dimensions
        self._left = random.standard_normal((rows, d), np.float32)
        self._right = random.standard_normal((d, 4 * d), np.float32)
        self._each = rows * d * 4 * d

    def speed(self, seconds: float) -> float:
        """Multiply-adds a second of all cores together, measured for about that long."""
        # NumPy's own threads wait for each other in products as small as these.
        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(cores()) as pool:
            return sum(pool.map(self._on_one_core, [seconds] * cores()))

    def _on_one_core(self, seconds: float) -> float:
        into = np.empty((len(self._left), self._right.shape[1]), np.float32)
        began, done = time.perf_counter(), 0
        while True:
            np.matmul(self._left, self._right, out=into)
            done += 1
            taken = time.perf_counter() - began
            if taken >= seconds:
                return done * self._each / taken

"""Low-rank adapters: a trained change of an encoder's weights that takes little room.

A weight W of shape (out, in) becomes W + up · down, with `up` of shape (out, rank) and `down` of shape (rank, in)
(Hu et al. 2022, LoRA). Tensors are named after the weight that they change: `NAME.up` and `NAME.down`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from labels.errors import StanceError

UP, DOWN = ".up", ".down"


def merged(
    weights: Mapping[str, NDArray[np.float32]], adapters: Mapping[str, NDArray[np.floating]]
) -> dict[str, NDArray[np.float32]]:
    """The weights with their changes added; those that no adapter names stay the same arrays.

    Raises:
        StanceError: an adapter belongs to no weight, or has not its shape.
    """
    result = dict(weights)
    for name in sorted({key.removesuffix(UP).removesuffix(DOWN) for key in adapters}):
        up, down = adapters.get(name + UP), adapters.get(name + DOWN)
        if name not in weights or up is None or down is None or (len(up), down.shape[1]) != weights[name].shape:
            raise StanceError(f"an adapter does not fit the encoder's weight '{name}'", hint="Train the model again.")
        result[name] = weights[name] + up.astype(np.float32) @ down.astype(np.float32)
    return result

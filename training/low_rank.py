"""Low-rank adapters: a trained change of an encoder's weights that takes little room.

A weight W of shape (out, in) becomes W + up · down, with `up` of shape (out, rank) and `down` of shape (rank, in)
(Hu et al. 2022, LoRA). Tensors are named after the weight that they change: `NAME.up` and `NAME.down`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from labels.errors import StanceError

UP, DOWN = ".up", ".down"
_WEIGHTS, _BIAS = "weights", "bias"


@dataclass(frozen=True)
class Adapted:
    """What a fine-tuning learnt.

    Attributes:
        adapters: changes of the encoder.
        weights: of the heads, shape (targets, width, features).
        bias: of the heads, shape (targets, width).
    """

    adapters: Mapping[str, NDArray[np.float16]] = field(repr=False)
    weights: NDArray[np.float32] = field(repr=False)
    bias: NDArray[np.float32] = field(repr=False)

    def tensors(self) -> dict[str, NDArray[np.floating]]:
        """All of it by name."""
        return {_WEIGHTS: self.weights, _BIAS: self.bias, **self.adapters}

    @classmethod
    def restored(cls, tensors: Mapping[str, NDArray[np.floating]]) -> Adapted:
        """What `tensors` gave."""
        adapters = {name: tensor for name, tensor in tensors.items() if name.endswith((UP, DOWN))}
        return cls(adapters, tensors[_WEIGHTS], tensors[_BIAS])


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

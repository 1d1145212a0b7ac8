"""What a model costs where it serves: time of a single text, and bytes on disk."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from training.model_folder import Model

_ROUNDS = 9


@dataclass(frozen=True)
class Footprint:
    """What a model costs.

    Attributes:
        milliseconds: median time to answer one text.
        megabytes: of its folder, in millions of bytes.
    """

    milliseconds: float
    megabytes: float

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


def footprints(models: Mapping[str, tuple[Model, Path]], texts: Sequence[str]) -> dict[str, Footprint]:
    """Of several models, measured in turns, so that whatever else the machine does meanwhile falls on all alike.

    Args:
        models: name → model (without an embedding cache) and its folder.
        texts: one of them a round, in turn; none of them empty.
    """
    times: dict[str, list[float]] = {name: [] for name in models}
    for model, _ in models.values():
        model.answers(list(texts[:1]))
    for number in range(_ROUNDS):
        for name, (model, _) in models.items():
            began = time.perf_counter()
            model.answers([texts[number % len(texts)]])
            times[name].append(1000 * (time.perf_counter() - began))
    return {
        name: Footprint(round(median(times[name]), 3), megabytes_of(folder)) for name, (_, folder) in models.items()
    }


def megabytes_of(folder: Path) -> float:
    """Size of the files in a model folder."""
    return round(sum(path.stat().st_size for path in folder.iterdir() if path.is_file()) / 1e6, 3)

"""The state of a training on disk, so that one that was killed goes on where it was (torch, extra `torch`)."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file as load_arrays
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import save_file

from training.embedding_cache import cache_folder
from training.low_rank import Adapted


@dataclass(frozen=True)
class Progressed:
    """How far a training is: whole epochs, steps of the next one, and the seconds that all of it took."""

    epochs: int = 0
    steps: int = 0
    seconds: float = 0.0


class Checkpoint:
    """Weights, optimizer and random state in one file, and what was learnt after each epoch in another.

    Both are replaced whole, never half-written, and hold no pickle.

    Args:
        folder: where it lies; made where it is missing.
        name: which training it is of: the same name must mean the same sentences, settings and seed.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._path = folder / f"{name}.safetensors"
        self._learnt = folder / f"{name}-learnt.safetensors"

    def keep_learnt(self, learnt: Sequence[Adapted]) -> None:
        """Write what was learnt after each epoch so far."""
        tensors = {
            f"{epoch} {name}": np.ascontiguousarray(tensor)
            for epoch, adapted in enumerate(learnt)
            for name, tensor in adapted.tensors().items()
        }
        with _replacing(self._learnt) as fresh:
            save_arrays(tensors, fresh)

    def keep(self, network: torch.nn.Module, optimizer: Any, schedule: Any, done: Progressed) -> None:
        """Write the state after `done`."""
        tensors: dict[str, torch.Tensor] = {f"network.{k}": v for k, v in _trained(network).items()}
        state = optimizer.state_dict()["state"]
        tensors |= {f"optimizer.{i}.{k}": torch.as_tensor(v) for i, of in state.items() for k, v in of.items()}
        tensors["random"] = torch.get_rng_state()
        about = {
            "done": json.dumps(asdict(done)),
            "schedule": json.dumps(schedule.last_epoch),
            "rates": json.dumps([group["lr"] for group in optimizer.param_groups]),
        }
        with _replacing(self._path) as fresh:
            save_file({k: v.contiguous() for k, v in tensors.items()}, fresh, metadata=about)

    def restore(self, network: torch.nn.Module, optimizer: Any, schedule: Any) -> tuple[Progressed, list[Adapted]]:
        """Put the state back that was kept last.

        Returns:
            how far it was, and what was learnt after each whole epoch; nothing where there is no state that fits.
        """
        if not self._path.is_file():
            return Progressed(), []
        try:
            with safe_open(self._path, framework="pt") as stored:
                about = stored.metadata()
                tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
            done = Progressed(**json.loads(about["done"]))
            position, rates = json.loads(about["schedule"]), json.loads(about["rates"])
            learnt = self._epochs_learnt(done.epochs)
        except (SafetensorError, OSError, KeyError):
            return Progressed(), []
        with torch.no_grad():
            for name, parameter in _trained(network).items():
                parameter.copy_(tensors[f"network.{name}"])
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith("optimizer."):
                _, index, key = name.split(".")
                state.setdefault(int(index), {})[key] = tensor
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
        schedule.last_epoch = position
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        torch.set_rng_state(tensors["random"])
        return done, learnt

    def _epochs_learnt(self, epochs: int) -> list[Adapted]:
        if not epochs:
            return []
        stored = load_arrays(self._learnt)
        return [
            Adapted.restored(
                {name.partition(" ")[2]: tensor for name, tensor in stored.items() if name.startswith(f"{epoch} ")}
            )
            for epoch in range(epochs)
        ]


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".writing")
    yield fresh
    os.replace(fresh, path)


def _trained(network: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    return {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}


def checkpoint_folder(name: str) -> Path:
    """Where the checkpoints of one training lie, in the cache folder."""
    return cache_folder() / "checkpoints" / name


def seconds_spent(folder: Path) -> float:
    """What the trainings of a folder took until their last checkpoints."""
    spent = 0.0
    for path in folder.glob("*.safetensors"):
        try:
            with safe_open(path, framework="numpy") as stored:
                about = stored.metadata() or {}
        except (SafetensorError, OSError):  # not used when the training goes on, either
            continue
        spent += Progressed(**json.loads(about.get("done", "{}"))).seconds
    return spent


def forget(folder: Path) -> None:
    """Remove the checkpoints of a training that is finished."""
    shutil.rmtree(folder, ignore_errors=True)

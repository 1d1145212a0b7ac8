"""Training an encoder further: low-rank adapters and a head a target, in one network (torch, extra `torch`)."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from peft import LoraConfig, get_peft_model

from labels.errors import StanceError
from training.checkpoints import Checkpoint, Progressed
from training.encoder import padded, read_tokenizer
from training.encoder_packages import EncoderPackage
from training.length_batches import shuffled_batches
from training.low_rank import DOWN, UP, Adapted
from training.outcomes import Progress
from training.recipes import TuningSettings
from training.torch_encoder import torch_encoder

_MOST_TOKENS = 128
"""Longer sentences are learnt from their beginning; a step with one of 256 tokens would cost as much as four others."""
_BATCHES_SORTED = 50
"""Batches among which sentences are sorted by length, so that little is spent on padding."""
_STEPS_BETWEEN_CHECKPOINTS = 200
_NEVER = -1e9
"""Logit of an outcome that cannot be; finite, since 0 times infinity is not a number."""


class Learnable(Protocol):
    """What is to be learnt: see `training.lessons.Lesson`; the texts may be pairs, which are read as one."""

    @property
    def texts(self) -> Sequence[str | tuple[str, str]]: ...

    @property
    def aims(self) -> NDArray[np.float32]: ...


def adapt(
    package: EncoderPackage,
    lesson: Learnable,
    settings: TuningSettings,
    seed: int,
    *,
    epochs: int,
    checkpoint: Checkpoint,
    start: Mapping[str, NDArray[np.floating]] | None = None,
    progress: Progress | None = None,
    what: str = "fine-tuning",
) -> list[Adapted]:
    """Minimise the cross-entropy of the aims.

    Args:
        package: the encoder to begin with.
        lesson: what is to be learnt.
        settings: how; its `epochs` decide how the learning rate falls.
        seed: of the heads, of dropout and of the order; the same seed on the same machine gives the same result.
        epochs: how many are made, at most `settings.epochs`.
        checkpoint: where the state is kept, and found again after an interruption.
        start: adapters of the same rank to begin with, instead of none.
        progress: told how many steps are made.
        what: the name of this training in `progress`.

    Returns:
        what was learnt, after each epoch.

    Raises:
        StanceError: `start` does not fit the encoder or the rank; or see `EncoderPackage.read`.
    """
    began = time.monotonic()
    torch.manual_seed(seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    # An outcome that is never asked for, because a target has fewer or none stood in training, is never answered.
    network = _Network(package, settings, lesson.aims.sum(axis=0) > 0, start).to(device)
    ids = [each.ids[:_MOST_TOKENS] for each in read_tokenizer(package).encode_batch(list(lesson.texts))]
    lengths = [len(each) for each in ids]
    aims = torch.from_numpy(lesson.aims)
    a_pass = math.ceil(len(ids) / settings.batch)
    steps = settings.epochs * a_pass
    optimizer = _optimizer(network, settings)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, steps, settings.warmup))
    done, learnt = checkpoint.restore(network, optimizer, schedule)

    def seconds() -> float:
        return done.seconds + time.monotonic() - began

    network.train()
    for epoch in range(done.epochs, epochs):
        for number, batch in enumerate(
            shuffled_batches(lengths, settings.batch, np.random.default_rng(seed + epoch), _BATCHES_SORTED)
        ):
            if epoch == done.epochs and number < done.steps:
                continue
            tokens, mask = padded([ids[i] for i in batch], package.padding)
            with torch.autocast(device.type, torch.bfloat16, enabled=has_bfloat16(device)):
                logits = network(torch.from_numpy(tokens).to(device), torch.from_numpy(mask).to(device))
            loss = -(aims[batch].to(device) * logits.float().log_softmax(-1)).sum() / (len(batch) * aims.shape[1])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            if progress:
                progress(what, epoch * a_pass + number + 1, epochs * a_pass)
            if (number + 1) % _STEPS_BETWEEN_CHECKPOINTS == 0:
                checkpoint.keep(network, optimizer, schedule, Progressed(epoch, number + 1, seconds()))
        learnt.append(network.learnt())
        checkpoint.keep_learnt(learnt)
        checkpoint.keep(network, optimizer, schedule, Progressed(epoch + 1, 0, seconds()))
    return learnt


def has_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is worth using: where the processor multiplies it by itself, steps take less than half."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _optimizer(network: _Network, settings: TuningSettings) -> torch.optim.Optimizer:
    return torch.optim.AdamW(
        [
            {"params": network.adapter_parameters(), "lr": settings.learning_rate},
            {"params": list(network.heads.parameters()), "lr": settings.learning_rate * settings.head_rate},
        ],
        weight_decay=settings.weight_decay,
    )


def _rate(step: int, steps: int, warmup: float) -> float:
    return min(1.0, (step + 1) / max(1.0, warmup * steps)) * max(0.0, (steps - step) / steps)


class _Network(torch.nn.Module):
    def __init__(
        self,
        package: EncoderPackage,
        settings: TuningSettings,
        possible: NDArray[np.bool_],
        start: Mapping[str, NDArray[np.floating]] | None,
    ) -> None:
        super().__init__()
        self.register_buffer("impossible", torch.from_numpy(~possible), persistent=False)
        self.shape = possible.shape
        # With alpha equal to the rank the change is up · down, without a factor to remember.
        config = LoraConfig(r=settings.rank, lora_alpha=settings.rank, target_modules="all-linear")
        encoder = torch_encoder(package)
        for module in encoder.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = settings.dropout
        with warnings.catch_warnings():
            # PEFT 0.21 asks transformers 5 by a name that it has deprecated.
            warnings.simplefilter("ignore", FutureWarning)
            self.encoder = get_peft_model(encoder, config)
        self.dropout = torch.nn.Dropout(settings.dropout)
        self.heads = torch.nn.Linear(2 * package.dimensions, possible.size)
        torch.nn.init.normal_(self.heads.weight, std=0.02)
        torch.nn.init.zeros_(self.heads.bias)
        if start:
            self._begin_with(start)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        states = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        weight = mask.unsqueeze(-1).float()
        mean = (states * weight).sum(1) / weight.sum(1)
        logits: torch.Tensor = self.heads(self.dropout(torch.cat([mean, states[:, 0]], dim=1)))
        return logits.view(-1, *self.shape).masked_fill(self.impossible, _NEVER)  # type: ignore[arg-type]

    def adapter_parameters(self) -> list[torch.nn.Parameter]:
        return [parameter for parameter in self.encoder.parameters() if parameter.requires_grad]

    def _changes(self) -> Iterator[tuple[str, torch.nn.Parameter, torch.nn.Parameter]]:
        for name, module in self.encoder.named_modules():
            if hasattr(module, "lora_A"):
                weight = name.removeprefix("base_model.model.") + ".weight"
                yield weight, module.lora_B["default"].weight, module.lora_A["default"].weight

    def _begin_with(self, start: Mapping[str, NDArray[np.floating]]) -> None:
        fits = {name: (up, down) for name, up, down in self._changes()}
        shapes = {name + UP: up.shape for name, (up, _) in fits.items()}
        if shapes != {name: tensor.shape for name, tensor in start.items() if name.endswith(UP)}:
            raise StanceError(
                "the model to begin with has another encoder or another rank",
                field="rank",
                hint="Name a model that was trained by a recipe of the same encoder and rank.",
            )
        with torch.no_grad():
            for name, (up, down) in fits.items():
                up.copy_(torch.from_numpy(start[name + UP].astype(np.float32)))
                down.copy_(torch.from_numpy(start[name + DOWN].astype(np.float32)))

    def learnt(self) -> Adapted:
        adapters: dict[str, NDArray[np.float16]] = {}
        for name, up, down in self._changes():
            adapters[name + UP] = up.detach().half().cpu().numpy()
            adapters[name + DOWN] = down.detach().half().cpu().numpy()
        weights = self.heads.weight.detach().cpu().numpy().reshape(*self.shape, -1)
        bias = self.heads.bias.detach().view(self.shape).masked_fill(self.impossible, -torch.inf)  # type: ignore[arg-type]
        return Adapted(adapters, weights.copy(), bias.cpu().numpy())

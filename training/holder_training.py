"""Training the network of the holder tagger on kept states of an encoder (torch, extra `torch`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from training.holder_labels import KINDS, Span
from training.holder_network import IMPOSSIBLE, LONGEST, WIDTH, HolderNetwork
from training.holder_reading import Read, padded_inputs
from training.length_batches import shuffled_batches
from training.outcomes import Progress

_BATCHES_SORTED = 50
"""Batches among which sentences are sorted by length, so that little is spent on padding."""


@dataclass(frozen=True)
class HolderSettings:
    """How the tagger is trained; chosen on held-out groups.

    Attributes:
        layers: of the encoder, whose token states are read.
        hidden: width of the network.
        dropout: share of inputs and of hidden values that are left out.
        epochs: passes over the sentences.
        batch: sentences a step.
        learning_rate: highest; it falls to nothing.
        seed: of weights, order and dropout.
        folds: in how many parts groups are held out.
    """

    layers: tuple[int, ...] = (3, 6)
    hidden: int = 128
    dropout: float = 0.2
    epochs: int = 4
    batch: int = 32
    learning_rate: float = 1e-3
    seed: int = 0
    folds: int = 3


@dataclass(frozen=True)
class HolderLesson:
    """What is to be learnt.

    Attributes:
        read: the sentences.
        kinds: number of each one's kind.
        spans: first and last token of everywhere that the name stands; empty where nobody is named, or it is cut off.
    """

    read: Sequence[Read]
    kinds: NDArray[np.int64]
    spans: Sequence[Sequence[Span]]

    def rows(self, chosen: Sequence[int]) -> HolderLesson:
        """The lesson of some of the sentences."""
        return HolderLesson([self.read[i] for i in chosen], self.kinds[chosen], [self.spans[i] for i in chosen])


class _Network(torch.nn.Module):
    def __init__(self, inputs: int, pooled: int, settings: HolderSettings) -> None:
        super().__init__()
        hidden = settings.hidden
        self.inputs = torch.nn.Linear(inputs, hidden)
        self.convolution = torch.nn.Conv1d(hidden, hidden, WIDTH, padding=WIDTH // 2)
        self.pointers = torch.nn.Linear(hidden, 2)
        self.kinds = torch.nn.Linear(2 * hidden + pooled, len(KINDS))
        self.dropout = torch.nn.Dropout(settings.dropout)

    def forward(
        self, tokens: torch.Tensor, pooled: torch.Tensor, mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """See `HolderNetwork.forward`."""
        there = mask.unsqueeze(-1).float()
        hidden = torch.relu(self.inputs(self.dropout(tokens))) * there
        seen = torch.relu(self.convolution(hidden.transpose(1, 2)).transpose(1, 2))
        states = self.dropout((seen + hidden) * there)
        mean = states.sum(1) / there.sum(1)
        highest = states.masked_fill(~mask.unsqueeze(-1), IMPOSSIBLE).amax(1)
        kinds: torch.Tensor = self.kinds(torch.cat([mean, highest, self.dropout(pooled)], dim=1))
        return kinds, self.pointers(states)


def fit_holders(
    lesson: HolderLesson, settings: HolderSettings, progress: Progress | None = None, what: str = "training"
) -> HolderNetwork:
    """Minimise the cross-entropy of the kinds and, where somebody is named, of the spans that hold the name.

    Where a name stands more than once, any of its places is right: their probabilities are added. The same seed gives
    the same network on the same machine.
    """
    threads = torch.get_num_threads()
    # Matrices of this size are multiplied as fast by one thread, and always in the same order.
    torch.set_num_threads(1)
    try:
        return _fitted(lesson, settings, progress, what)
    finally:
        torch.set_num_threads(threads)


def _fitted(lesson: HolderLesson, settings: HolderSettings, progress: Progress | None, what: str) -> HolderNetwork:
    torch.manual_seed(settings.seed)
    first = lesson.read[0]
    network = _Network(first.states.shape[1] + first.features.shape[1], len(first.pooled), settings)
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=0.01)
    random = np.random.default_rng(settings.seed)
    steps = settings.epochs * -(-len(lesson.read) // settings.batch)
    warmup = min(100, steps // 10 + 1)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / warmup) * max(0.0, 1 - step / steps)
    )
    network.train()
    lengths = [len(each.offsets) for each in lesson.read]
    done = 0
    for _ in range(settings.epochs):
        for batch in shuffled_batches(lengths, settings.batch, random, _BATCHES_SORTED):
            loss = _loss(network, lesson.rows(batch))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            done += 1
            if progress:
                progress(what, done, steps)
    return HolderNetwork({name: value.detach().numpy().copy() for name, value in network.state_dict().items()})


def _loss(network: _Network, part: HolderLesson) -> torch.Tensor:
    tokens, pooled, mask, borders = map(torch.from_numpy, padded_inputs(part.read))
    kinds, pointers = network(tokens, pooled, mask)
    loss = functional.cross_entropy(kinds, torch.from_numpy(part.kinds), reduction="sum")
    named = [i for i, spans in enumerate(part.spans) if spans]
    if named:
        given = _span_log_probabilities(pointers[named], borders[named])
        for row, i in enumerate(named):
            places = torch.tensor(part.spans[i])
            loss = loss - torch.logsumexp(given[row, places[:, 0], places[:, 1]], dim=0)
    return loss / len(part.read)


def _span_log_probabilities(pointers: torch.Tensor, borders: torch.Tensor) -> torch.Tensor:
    """Of all spans, shape (texts, first token, last token)."""
    scores = pointers.masked_fill(~borders, IMPOSSIBLE)
    scores = scores[:, :, None, 0] + scores[:, None, :, 1]
    places = torch.arange(scores.shape[1])
    apart = places[None, :] - places[:, None]
    scores = scores.masked_fill((apart < 0) | (apart >= LONGEST), 2 * IMPOSSIBLE)
    return scores.flatten(1).log_softmax(1).view(scores.shape)

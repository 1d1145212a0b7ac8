"""Training a static student (torch, extra `torch`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from training.length_batches import shuffled_batches
from training.outcomes import Progress
from training.static_student import UNKNOWN, WIDTH, StaticStudent, in_whole_numbers

_NEVER = -1e9
_BATCHES_SORTED = 20


@dataclass(frozen=True)
class StudentSettings:
    """How a student is trained.

    Attributes:
        dimensions: of a token's vector.
        filters: of the convolution.
        epochs: passes over the sentences.
        batch: sentences a step.
        rate: peak of the learning rate; it rises over a tenth of the steps, then falls.
        dropout: before the heads.
        forgotten: share of the tokens that pass for unknown ones at each step, so that real ones are no surprise.
        label_share: share of a labelled sentence's aim that is its label; the rest is what the teacher says.
    """

    dimensions: int = 64
    filters: int = 192
    epochs: int = 12
    batch: int = 128
    rate: float = 2e-3
    dropout: float = 0.3
    forgotten: float = 0.1
    label_share: float = 0.5


def train_student(
    texts: Sequence[Sequence[int]],
    aims: NDArray[np.float32],
    vectors: NDArray[np.float32],
    settings: StudentSettings,
    seed: int,
    progress: Progress | None = None,
    what: str = "training the fast path",
) -> StaticStudent:
    """Minimise the cross-entropy of the aims.

    Args:
        texts: token ids of each, without those that mark its begin and end.
        aims: shape (texts, targets, width): the probabilities that should come out; zeros where unknown.
        vectors: of all tokens of the tokenizer, to begin with: shape (vocabulary, any).
        settings: how.
        seed: of weights, dropout and order; the same seed on the same machine gives the same student.
        progress: told how many steps are made.
        what: the name of this training in `progress`.
    """
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    tokens = np.unique(np.concatenate([np.asarray(ids, np.int32) for ids in texts]))
    # Row 0 of the table is that of unknown tokens; in the network, padding comes before it.
    rows = [torch.from_numpy(np.searchsorted(tokens, np.asarray(ids, np.int32)) + 2) for ids in texts]
    possible = aims.sum(axis=0) > 0
    network = _Network(_begin(vectors[tokens], settings.dimensions), possible, settings)
    lengths = [len(each) for each in rows]
    wanted = torch.from_numpy(aims)
    steps = settings.epochs * math.ceil(len(texts) / settings.batch)
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.rate, total_steps=steps + 1, pct_start=0.1)
    network.train()
    done = 0
    for _ in range(settings.epochs):
        for batch in shuffled_batches(lengths, settings.batch, random, _BATCHES_SORTED):
            padded = torch.nn.utils.rnn.pad_sequence([rows[i] for i in batch], batch_first=True)
            logits = network(padded)
            loss = -(wanted[batch] * logits.log_softmax(-1)).sum() / (len(batch) * aims.shape[1])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            done += 1
            if progress:
                progress(what, done, steps)
    return network.learnt(tokens)


def _begin(vectors: NDArray[np.float32], dimensions: int) -> NDArray[np.float32]:
    """The first principal components of token vectors, at a common size; zeros where there are fewer."""
    centred = vectors - vectors.mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    found = centred @ directions[:dimensions].T
    begin = np.zeros((len(vectors), dimensions), np.float32)
    begin[:, : found.shape[1]] = 0.3 * found / max(float(found.std()), 1e-6)
    return begin


class _Network(torch.nn.Module):
    def __init__(self, begin: NDArray[np.float32], possible: NDArray[np.bool_], settings: StudentSettings) -> None:
        super().__init__()
        self.settings = settings
        self.register_buffer("impossible", torch.from_numpy(~possible), persistent=False)
        self.shape = possible.shape
        dimensions, filters = settings.dimensions, settings.filters
        self.embedding = torch.nn.Embedding(len(begin) + 2, dimensions, padding_idx=0)
        with torch.no_grad():
            self.embedding.weight[1] = 0
            self.embedding.weight[2:] = torch.from_numpy(begin)
        self.convolution = torch.nn.Conv1d(dimensions, filters, WIDTH, padding=WIDTH // 2)
        self.dropout = torch.nn.Dropout(settings.dropout)
        self.heads = torch.nn.Linear(dimensions + 2 * filters, possible.size)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        here = rows > 0
        if self.training:
            forgotten = torch.rand(rows.shape) < self.settings.forgotten
            rows = torch.where(here & forgotten, UNKNOWN + 1, rows)
        weight = here.unsqueeze(2).float()
        counts = weight.sum(1)
        vectors = self.embedding(rows)
        seen = torch.relu(self.convolution(vectors.transpose(1, 2))).transpose(1, 2) * weight
        pooled = torch.cat([vectors.sum(1) / counts, seen.amax(1), seen.sum(1) / counts], dim=1)
        logits: torch.Tensor = self.heads(self.dropout(pooled))
        return logits.view(-1, *self.shape).masked_fill(self.impossible, _NEVER)  # type: ignore[arg-type]

    def learnt(self, tokens: NDArray[np.int32]) -> StaticStudent:
        def half(parameter: torch.Tensor) -> NDArray[np.float16]:
            return np.ascontiguousarray(parameter.detach().half().numpy())

        table, scales = in_whole_numbers(self.embedding.weight.detach()[1:].numpy())
        bias = self.heads.bias.detach().view(self.shape)
        return StaticStudent(
            tokens=tokens,
            table=table,
            scales=scales,
            # (filters, dimensions, WIDTH) there, (WIDTH × dimensions, filters) here.
            filters=half(self.convolution.weight.permute(2, 1, 0).reshape(-1, self.settings.filters)),
            filters_bias=half(self.convolution.bias),  # type: ignore[arg-type]
            heads=half(self.heads.weight.T),
            heads_bias=bias.masked_fill(self.impossible, -torch.inf).numpy().copy(),  # type: ignore[arg-type]
        )

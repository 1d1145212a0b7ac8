"""Which texts go through a network together: padding costs time, and so does every run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

RUN_TOKENS = 32
"""What a run costs besides its tokens, in tokens: about 3 ms where a token takes 0.1 ms (two cores, MiniLM)."""


def shuffled_batches(
    lengths: Sequence[int], size: int, random: np.random.Generator, sorted_together: int
) -> list[list[int]]:
    """Batches for a pass of training: every text once, those of a batch about as long as each other, in random order.

    Args:
        lengths: of the texts.
        size: texts a batch.
        random: of the order.
        sorted_together: batches among which texts are sorted by length, so that little is spent on padding.
    """
    order, stretch = random.permutation(len(lengths)), size * sorted_together
    batches: list[list[int]] = []
    for first in range(0, len(order), stretch):
        part = sorted(order[first : first + stretch].tolist(), key=lambda i: lengths[i])
        batches += [part[at : at + size] for at in range(0, len(part), size)]
    return [batches[i] for i in random.permutation(len(batches))]


def cut_by_length(lengths: Sequence[int], most: int) -> list[int]:
    """Where to cut texts into batches so that padding and runs together cost least.

    Args:
        lengths: of the texts in tokens, ascending; each at most `most`, or it gets a batch of its own.
        most: padded tokens that a batch holds.

    Returns:
        the end of each batch, the last of them the number of texts.
    """
    # Cheapest cost of the first n texts, and where their last batch begins.
    costs, begins = [0], [0]
    for end, length in enumerate(lengths, start=1):
        best, begin = costs[end - 1] + length + RUN_TOKENS, end - 1
        for first in range(end - 2, max(-1, end - 1 - most // max(1, length)), -1):
            cost = costs[first] + (end - first) * length + RUN_TOKENS
            if cost < best:
                best, begin = cost, first
        costs.append(best)
        begins.append(begin)
    ends, end = [], len(lengths)
    while end:
        ends.append(end)
        end = begins[end]
    return ends[::-1]

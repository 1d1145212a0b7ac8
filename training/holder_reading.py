"""Sentences as the holder tagger sees them: states of their tokens, and what the words show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors
from tokenizers import Encoding

from training.embedding_cache import cache_place, keep
from training.encoder import FIRST, MEAN, SentenceEncoder, token_output
from training.encoder_packages import WEIGHTS, EncoderPackage
from training.holder_features import FEATURES, may_begin_and_end, token_features
from training.outcomes import Progress

Span = tuple[int, int]

_KEPT_TOGETHER = 512


@dataclass(frozen=True)
class Read:
    """One sentence.

    Attributes:
        states: of its tokens, the chosen layers one after the other; shape (tokens, layers × dimensions).
        pooled: mean over tokens and first token of the last layer; shape (2 × dimensions,).
        features: see `training.holder_features`; shape (tokens, FEATURES).
        begins: which tokens a name can begin with; shape (tokens,).
        ends: which it can end with.
        offsets: characters of each token.
    """

    states: NDArray[np.floating]
    pooled: NDArray[np.float32]
    features: NDArray[np.float32]
    begins: NDArray[np.bool_]
    ends: NDArray[np.bool_]
    offsets: list[Span]

    def spans_of_tokens(self, spans: Sequence[Span], longest: int) -> list[Span]:
        """First and last token of spans of characters; without those that are cut off or too long."""
        first = {at[0]: i for i, at in enumerate(self.offsets) if self.begins[i]}
        last = {at[1]: i for i, at in enumerate(self.offsets) if self.ends[i]}
        found = [(first[start], last[end]) for start, end in spans if start in first and end in last]
        return [(start, end) for start, end in found if start <= end < start + longest]


def states_encoder(package: EncoderPackage, layers: Sequence[int]) -> SentenceEncoder:
    """The published encoder, giving what `read_texts` wants; it shares its session with others of the same weights."""
    return SentenceEncoder(package, (MEAN, FIRST, *map(token_output, layers)))


def read_texts(encoder: SentenceEncoder, texts: Sequence[str]) -> list[Read]:
    """Read sentences; see `states_encoder`."""
    encodings = encoder.tokenize_with_offsets(texts)
    read: list[Read | None] = [None] * len(texts)
    for rows, states, pooled in _computed(encoder, encodings):
        for place, i in enumerate(rows):
            read[i] = _read(texts[i], encodings[i], states[place][: len(encodings[i].ids)], pooled[place])
    return [each for each in read if each is not None]


def read_and_keep(
    package: EncoderPackage, layers: Sequence[int], texts: Sequence[str], progress: Progress | None = None
) -> list[Read]:
    """The same for a training: states are kept in the cache folder in half precision, and found again there.

    Raises:
        StanceError: the encoder is not installed, or the cache folder cannot be written.
    """
    encoder = states_encoder(package, layers)
    read: list[Read] = []
    for first in range(0, len(texts), _KEPT_TOGETHER):
        part = texts[first : first + _KEPT_TOGETHER]
        encodings = encoder.tokenize_with_offsets(part)
        states, pooled = _kept(encoder, layers, part, encodings)
        borders = np.cumsum([0, *(len(encoding.ids) for encoding in encodings)]).tolist()
        read += [
            _read(text, encoding, states[borders[i] : borders[i + 1]], pooled[i])
            for i, (text, encoding) in enumerate(zip(part, encodings, strict=True))
        ]
        if progress:
            progress("reading", len(read), len(texts))
    return read


def _kept(
    encoder: SentenceEncoder, layers: Sequence[int], texts: Sequence[str], encodings: Sequence[Encoding]
) -> tuple[NDArray[np.float16], NDArray[np.float32]]:
    path = cache_place("token-states", [encoder.package.sha256[WEIGHTS], list(layers), list(texts)])
    path = path.with_suffix(".safetensors")
    try:
        kept = load_safetensors(path.read_bytes())
        return kept["states"], kept["pooled"]
    except (OSError, SafetensorError, KeyError):  # not there, or damaged: computed anew
        pass
    rows: list[NDArray[np.float16]] = [np.empty((0, 0), np.float16)] * len(texts)
    pooled = np.zeros((len(texts), 2 * encoder.package.dimensions), np.float32)
    for numbers, given, means in _computed(encoder, encodings):
        pooled[numbers] = means
        for place, i in enumerate(numbers):
            rows[i] = given[place][: len(encodings[i].ids)].astype(np.float16)
    states = np.concatenate(rows)
    keep(path, save_safetensors({"states": states, "pooled": pooled}))
    return states, pooled


def _computed(
    encoder: SentenceEncoder, encodings: Sequence[Encoding]
) -> Iterator[tuple[list[int], NDArray[np.float32], NDArray[np.float32]]]:
    """By batch: numbers of its sentences, states (with padding), and pooled."""
    for batch in encoder.batches(encodings):
        mean, first, *layers = encoder.run(batch)
        yield batch.rows, np.concatenate(layers, axis=2), np.concatenate([mean, first], axis=1)


def _read(text: str, encoding: Encoding, states: NDArray[np.floating], pooled: NDArray[np.float32]) -> Read:
    offsets = encoding.offsets
    return Read(states, pooled, token_features(text, offsets), *may_begin_and_end(text, offsets), offsets)


def padded_inputs(
    read: Sequence[Read],
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]]:
    """Sentences as one batch.

    Returns:
        tokens (states and features), shape (texts, longest, inputs); pooled; which are no padding, shape (texts,
        longest); where names can begin and end, shape (texts, longest, 2).
    """
    longest, states = max(len(each.offsets) for each in read), read[0].states.shape[1]
    tokens = np.zeros((len(read), longest, states + len(FEATURES)), np.float32)
    mask = np.zeros((len(read), longest), bool)
    borders = np.zeros((len(read), longest, 2), bool)
    for i, each in enumerate(read):
        length = len(each.offsets)
        tokens[i, :length, :states], tokens[i, :length, states:] = each.states, each.features
        mask[i, :length] = True
        borders[i, :length, 0], borders[i, :length, 1] = each.begins, each.ends
    return tokens, np.stack([each.pooled for each in read]), mask, borders

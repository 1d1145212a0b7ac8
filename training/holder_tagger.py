"""The holder tagger on disk and in use: a folder without pickle, checked by hash when it is loaded.

`holder.json` (what it is, and the hashes of the others), `weights.safetensors`, `metrics.json` (figures on held-out
groups of the training part) and `trained_on.safetensors` (marks of the groups that it was trained on).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

from training.checked_folder import WEIGHTS, CheckedFolder, json_bytes
from training.encoder import SentenceEncoder
from training.encoder_packages import encoder_named
from training.holder import Holder
from training.holder_labels import KINDS, NAMED
from training.holder_network import Found, HolderNetwork
from training.holder_reading import read_texts, states_encoder

HOLDER_MODEL = Path(__file__).parent / "holder_model"
"""The tagger that ships."""

_METRICS, _MARKS = "metrics.json", "trained_on.safetensors"
_READ_TOGETHER = 64
_HALF_A_PAIR = re.compile("[\ud800-\udfff]")
FOLDER = CheckedFolder(
    "holder.json", "a holder tagger", versions="holder", mend="Train it again: `stance holders train --out DIR`."
)
"""What its folder is."""


@dataclass(frozen=True)
class Calibration:
    """What makes probabilities of the network's: logistic in the log-odds of what it says (Platt 1999).

    Attributes:
        named: factor and constant where somebody is named.
        others: the same for the other kinds.
    """

    named: tuple[float, float]
    others: tuple[float, float]

    def probability(self, kind: int, said: float) -> float:
        """That the answer is right.

        Args:
            kind: number of the answered kind.
            said: what the network gives it.
        """
        factor, constant = self.named if kind == NAMED else self.others
        return float(1 / (1 + np.exp(-(factor * log_odds(said) + constant))))


def log_odds(probability: float | NDArray[np.float64]) -> Any:
    """Of probabilities, kept from 0 and 1."""
    inside = np.clip(probability, 1e-6, 1 - 1e-6)
    return np.log(inside / (1 - inside))


@dataclass(frozen=True)
class HolderTagger:
    """Says whose stance sentences voice.

    Attributes:
        network: trained tensors.
        calibration: of its probabilities.
        encoder: gives token states; its name in `training.encoder_packages.ENCODERS`, and the layers that are read.
        about: settings, data and card.
        metrics: figures on held-out groups.
        groups: marks of the groups that it was trained on, see `training.marks`.
        version: twelve digits of the hash of all that decides its answers.
    """

    network: HolderNetwork
    calibration: Calibration
    encoder: str
    layers: tuple[int, ...]
    about: Mapping[str, Any]
    metrics: Mapping[str, Any]
    groups: NDArray[np.uint64]
    version: str = ""

    @cached_property
    def _reader(self) -> SentenceEncoder:
        return states_encoder(encoder_named(self.encoder), self.layers)

    def tag(self, texts: Sequence[str]) -> list[Holder]:
        """Whose stance each sentence voices; the offsets of a name are those of the sentence as it was given.

        Raises:
            StanceError: the encoder is not installed, or a file of it has another hash.
        """
        # A lone half of a surrogate pair, which no tokenizer takes, gives way to a mark of the same length.
        texts = [_HALF_A_PAIR.sub("\ufffd", text) for text in texts]
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        tagged: dict[int, Holder] = {}
        for first in range(0, len(order), _READ_TOGETHER):
            rows = order[first : first + _READ_TOGETHER]
            read = read_texts(self._reader, [texts[i] for i in rows])
            for i, each, found in zip(rows, read, self.network.find(read), strict=True):
                tagged[i] = holder_of(found, each.offsets, self.calibration)
        return [tagged[i] for i in range(len(texts))]

    def load(self) -> None:
        """Read and verify the encoder now rather than at the first sentence."""
        self._reader.load()

    def save(self, folder: Path) -> HolderTagger:
        """Write it, whole or not at all; an older tagger there is replaced.

        Returns:
            the tagger with its version.

        Raises:
            StanceError: the folder exists and is not a tagger, or cannot be written.
        """
        files = {
            WEIGHTS: save_safetensors({k: np.ascontiguousarray(v) for k, v in self.network.tensors.items()}),
            _METRICS: json_bytes(self.metrics),
            _MARKS: save_safetensors({"groups": self.groups}),
        }
        deciding = {
            "encoder": {"name": self.encoder, "layers": list(self.layers), **encoder_named(self.encoder).about()},
            "calibration": {"named": list(self.calibration.named), "others": list(self.calibration.others)},
        }
        return replace(self, version=FOLDER.save(folder, deciding, self.about, files))


def holder_of(found: Found, offsets: Sequence[tuple[int, int]], calibration: Calibration) -> Holder:
    """The answer that follows from what the network says of a sentence.

    Args:
        found: what it says.
        offsets: characters of each token.
        calibration: of its probabilities.
    """
    kind, said = found.answer
    start, end = (None, None)
    if kind == NAMED and found.span:
        start, end = offsets[found.span[0]][0], offsets[found.span[1]][1]
    return Holder(KINDS[kind], start, end, calibration.probability(kind, said))


def load_tagger(folder: Path | None = None) -> HolderTagger:
    """Read a tagger's folder (the one that ships where None), checking every file against the hash in `holder.json`.

    Raises:
        StanceError: the folder is not a tagger of this format, a file is missing or was changed, or it was trained on
            other weights of its encoder than this version has.
    """
    folder = folder or HOLDER_MODEL
    about, contents = FOLDER.read(folder)
    try:
        encoder, calibration = about["encoder"], about["calibration"]
        encoder_named(encoder["name"]).check_same(encoder)
        return HolderTagger(
            network=HolderNetwork(load_safetensors(contents[WEIGHTS])),
            calibration=Calibration(_pair(calibration["named"]), _pair(calibration["others"])),
            encoder=encoder["name"],
            layers=tuple(encoder["layers"]),
            about=about["about"],
            metrics=json.loads(contents[_METRICS]),
            groups=load_safetensors(contents[_MARKS])["groups"],
            version=about["version"],
        )
    except (KeyError, TypeError, AttributeError, ValueError, SafetensorError) as error:
        raise FOLDER.damaged(folder, error) from error


def _pair(given: Sequence[float]) -> tuple[float, float]:
    factor, constant = given
    return float(factor), float(constant)

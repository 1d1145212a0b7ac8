"""The model for issues without labels: what a sentence says of a proposition that nobody has labelled anything for.

A folder without pickle, checked by hash when it is loaded: `propositions.json` (what it is, and the hashes of the
others), `weights.safetensors`, `metrics.json` (figures on issues left out of training) and `trained_on.safetensors`
(marks of the groups that it was trained on).
"""

from __future__ import annotations

import json
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

from labels.settings import path_setting
from training.abstention import Abstention
from training.answers import Rule
from training.calibration import calibration_from
from training.checked_folder import WEIGHTS, CheckedFolder, json_bytes
from training.decision import decision_from
from training.encoder import FIRST, MEAN, SentenceEncoder
from training.encoder_packages import encoder_named
from training.features import EncoderFeatures
from training.heads import LogisticHeads
from training.low_rank import Adapted
from training.outcomes import Progress
from training.relation import RELATION, Pair, pair_of

RELATION_MODEL = Path(__file__).parent / "proposition_model"
"""The model that ships."""

RELATION_MODEL_VARIABLE = "STANCE_PROPOSITION_MODEL"
"""Environment variable that names the folder of another."""

_METRICS, _MARKS = "metrics.json", "trained_on.safetensors"
FOLDER = CheckedFolder(
    "propositions.json",
    "a model for propositions",
    versions="propositions",
    mend="Train it again: `stance propositions train --out DIR`.",
)
"""What its folder is."""


Nearness = tuple[float, float]
"""Factor and constant of a logistic function."""

_LEAST = 1e-9


@dataclass(frozen=True)
class Relations:
    """What sentences say of propositions.

    Attributes:
        probabilities: calibrated, shape (sentences, propositions, outcomes of RELATION).
        outcomes: shape (sentences, propositions): the label, as an index into the outcomes of RELATION.
        abstained: same shape: the label is not sure enough.
        truncated: same shape: the end of the sentence was not read.
    """

    probabilities: NDArray[np.float64]
    outcomes: NDArray[np.integer]
    abstained: NDArray[np.bool_]
    truncated: NDArray[np.bool_]


class PairReader:
    """Pairs in, probabilities out; needs no torch.

    Whether they have to do with each other at all is decided by how near the two embeddings of the encoder as it was
    published are: for issues that were left out of training that is better than what the network says. The network,
    which reads both together, divides the rest among the other outcomes.

    Args:
        encoder: name in `training.encoder_packages.ENCODERS`.
        adapted: what was trained.
        nearness: factor and constant of the logistic function of the cosine.
        cache: whether embeddings of the encoder as published are kept on disk.
    """

    def __init__(self, encoder: str, adapted: Adapted, nearness: Nearness, *, cache: bool = False) -> None:
        package = encoder_named(encoder)
        self._encoder = SentenceEncoder(package, (MEAN, FIRST), adapters=adapted.adapters)
        self._published = EncoderFeatures(encoder, [package.layers], cache=cache).encoder()
        self._heads = LogisticHeads(adapted.weights, adapted.bias, ())
        self._nearness = nearness

    def load(self) -> None:
        """Read and verify the encoder now rather than at the first pair."""
        self._encoder.load()
        self._published.load()

    def read(
        self, pairs: Sequence[Pair], progress: Progress | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Probabilities, not calibrated, of shape (pairs, outcomes of RELATION), and which pairs are too long.

        Raises:
            StanceError: the encoder is not installed, or a file of it has another hash.
        """
        read = self._encoder.read_pairs(pairs, progress)
        given = self._heads.predict_proba(read.vectors)[:, 0]
        factor, constant = self._nearness
        related = 1 / (1 + np.exp(-(factor * cosines(self._published, pairs) + constant)))
        given[:, 1:] *= (related / np.maximum(given[:, 1:].sum(axis=1), _LEAST))[:, None]
        given[:, 0] = 1 - related
        return given, read.truncated


def cosines(encoder: SentenceEncoder, pairs: Sequence[Pair]) -> NDArray[np.float64]:
    """How near proposition and sentence are; `encoder` gives embeddings of length 1, each text's once."""
    texts = list(dict.fromkeys(text for pair in pairs for text in pair))
    row_of = {text: i for i, text in enumerate(texts)}
    vectors = encoder.embed(texts)
    first, second = (vectors[[row_of[pair[k]] for pair in pairs]] for k in (0, 1))
    return np.asarray((first * second).sum(axis=1), np.float64)


@dataclass(frozen=True)
class RelationModel:
    """Says what sentences say of propositions.

    Attributes:
        adapted: what was trained.
        nearness: see `PairReader`.
        rule: how probabilities become answers, fitted on issues that were left out of training.
        encoder: its name in `training.encoder_packages.ENCODERS`.
        about: recipe, data and card.
        metrics: figures on issues that were left out of training.
        groups: marks of the groups that it was trained on, see `training.marks`.
        version: ends with twelve digits of the hash of all that decides its answers.
    """

    adapted: Adapted
    nearness: Nearness
    rule: Rule
    encoder: str
    about: Mapping[str, Any]
    metrics: Mapping[str, Any]
    groups: NDArray[np.uint64]
    version: str = ""

    @cached_property
    def reader(self) -> PairReader:
        """The network."""
        return PairReader(self.encoder, self.adapted, self.nearness)

    def load(self) -> None:
        """See `PairReader.load`."""
        self.reader.load()

    def relate(
        self, sentences: Sequence[str], propositions: Sequence[str], progress: Progress | None = None
    ) -> Relations:
        """What each sentence says of each proposition.

        Raises:
            StanceError: see `PairReader.read`.
        """
        shape = (len(sentences), len(propositions))
        given, truncated = self.reader.read([pair_of(s, p) for s in sentences for p in propositions], progress)
        probabilities = self.rule.calibration.apply(given)
        labels = self.rule.decision.labels(probabilities, RELATION)
        confidences = probabilities[np.arange(len(labels)), labels]
        abstained = self.rule.abstention.abstains(labels, confidences)
        return Relations(
            probabilities.reshape(*shape, -1),
            labels.reshape(shape),
            abstained.reshape(shape),
            truncated.reshape(shape),
        )

    def save(self, folder: Path) -> RelationModel:
        """Write it, whole or not at all; an older one there is replaced.

        Returns:
            the model with its version.

        Raises:
            StanceError: the folder exists and is not such a model, or cannot be written.
        """
        tensors = {name: np.ascontiguousarray(tensor) for name, tensor in self.adapted.tensors().items()}
        files = {
            WEIGHTS: save_safetensors(tensors),
            _METRICS: json_bytes(self.metrics),
            _MARKS: save_safetensors({"groups": self.groups}),
        }
        deciding = {
            "encoder": {"name": self.encoder, **encoder_named(self.encoder).about()},
            "nearness": list(self.nearness),
            "rule": self.rule.as_dict(),
        }
        return replace(self, version=FOLDER.save(folder, deciding, self.about, files))


def load_relation_model(folder: Path | None = None) -> RelationModel:
    """Read a model's folder, checking every file against the hash that it names.

    Args:
        folder: where None, the one that the environment names, or else the one that ships.

    Raises:
        StanceError: the folder is no such model of this format, a file is missing or was changed, or it was trained on
            other weights of its encoder than this version has.
    """
    folder = folder or path_setting(RELATION_MODEL_VARIABLE) or RELATION_MODEL
    about, contents = FOLDER.read(folder)
    try:
        encoder, rule = about["encoder"], about["rule"]
        encoder_named(encoder["name"]).check_same(encoder)
        return RelationModel(
            adapted=Adapted.restored(load_safetensors(contents[WEIGHTS])),
            nearness=_pair(about["nearness"]),
            rule=Rule(
                calibration_from(rule["calibration"]),
                decision_from(rule["decision"]),
                Abstention(**rule["abstention"]),
            ),
            encoder=encoder["name"],
            about=about["about"],
            metrics=json.loads(contents[_METRICS]),
            groups=load_safetensors(contents[_MARKS])["groups"],
            version=about["version"],
        )
    except (KeyError, TypeError, AttributeError, ValueError, SafetensorError) as error:
        raise FOLDER.damaged(folder, error) from error


def _pair(given: Sequence[float]) -> Nearness:
    factor, constant = given
    return float(factor), float(constant)

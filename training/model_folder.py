"""Model folders: a trained classifier on disk, without pickle, checked by hash when it is loaded.

`model.json` (what it is), `estimator.json` (learnt settings), `weights.safetensors`, `decision.json` (calibration, how
labels are decided, when it abstains), `held_out.safetensors` (what that was fitted on), `trained_on.safetensors` (marks
of the training sentences and groups, so that nobody is scored on what they were trained on, and of their words) and
`metrics.json` (figures on sentences of the training part that were held out). A folder may also hold a fast path
(`fast_path.json`, `fast_path.safetensors`) and the vectors of labelled sentences (`examples.safetensors`): both are of
one version, and change nothing of what the model itself answers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

from labels.errors import StanceError
from labels.files import replacing_folder, sync
from labels.taxonomy import Taxonomy, parse_taxonomy
from training.answers import Answers, Rules, rules_from
from training.estimator import Estimator
from training.families import restored_estimator
from training.fast_path import ABOUT, TENSORS, FastPath, fast_path_from
from training.held_out import HeldOut
from training.kept_vectors import VECTORS, KeptVectors
from training.outcomes import Progress
from training.recipes import Recipe, TunedRecipe, parse_recipe
from training.verified import read_verified

FORMAT = 2
DEFAULT_MODEL = Path(__file__).parent / "default_model"
MODEL_VARIABLE = "STANCE_MODEL"
"""Environment variable that names the one model folder that a service loads, whoever is champion."""

Marks = Mapping[str, NDArray[np.uint64]]
"""`sentences` and `groups`, and `words`, which folders of older date lack: see `training.marks`."""


@dataclass(frozen=True)
class Model:
    """A trained classifier and what is known about it.

    Attributes:
        estimator: gives probabilities, not calibrated.
        rules: make answers of them.
        held_out: what the rules were fitted on.
        taxonomy: its targets.
        recipe: how it was trained.
        data: what it was trained on: fingerprint, counts by class and by file, what was missing.
        trained_on: marks of the training sentences, groups and words.
        metrics: cross-validated figures of the training part.
        version: recipe and twelve digits of the hash of all that decides its answers.
        fast_path: answers clear sentences in its place where that is asked for; None where there is none.
        examples: vectors of labelled sentences, for explanations; None where there are none.
    """

    estimator: Estimator
    rules: Rules
    held_out: HeldOut
    taxonomy: Taxonomy
    recipe: Recipe
    data: Mapping[str, Any]
    trained_on: Marks
    metrics: Mapping[str, Any]
    version: str = field(default="")
    fast_path: FastPath | None = None
    examples: KeptVectors | None = None

    @property
    def never_learnt(self) -> int:
        """How many of the training sentences were held out for good; see `TunedRecipe.refit`."""
        return 0 if not isinstance(self.recipe, TunedRecipe) or self.recipe.refit else len(self.held_out.outcomes)

    @property
    def learnt(self) -> int:
        """How many sentences it learnt."""
        return int(self.data["sentences"]) - self.never_learnt

    def answers(self, texts: Sequence[str], progress: Progress | None = None) -> Answers:
        """What the model answers about each text."""
        return self.read(texts, progress).answers

    def read(self, texts: Sequence[str], progress: Progress | None = None) -> Reading:
        """What the model answers about each text, and which texts were cut."""
        predicted = self.estimator.predict(texts, progress)
        answers = self.rules.answers(predicted.probabilities, self.taxonomy)
        return Reading(answers, predicted.truncated, np.zeros(len(texts), np.bool_))

    def read_fast(self, texts: Sequence[str], progress: Progress | None = None) -> Reading:
        """The same, but what is clear is answered by the fast path.

        Raises:
            StanceError: the model has none.
        """
        answers, fast = self.by_fast_path(texts)
        others = np.flatnonzero(~fast)
        truncated = np.zeros(len(texts), np.bool_)
        if len(others):
            read = self.read([texts[i] for i in others.tolist()], progress)
            for to, of in zip(answers.arrays(), read.answers.arrays(), strict=True):
                to[others] = of
            truncated[others] = read.truncated
        return Reading(answers, truncated, fast)

    def by_fast_path(self, texts: Sequence[str]) -> tuple[Answers, NDArray[np.bool_]]:
        """What the fast path would answer about each text, and about which that is clear enough.

        Raises:
            StanceError: the model has none.
        """
        encoder = self.estimator.encoder()
        if self.fast_path is None or encoder is None:
            raise StanceError(
                f"the model {self.version} has no fast path", hint="`stance fast-path train --model DIR` makes one."
            )
        return self.fast_path.answers(encoder.tokenize(texts), self.taxonomy)


@dataclass(frozen=True)
class Reading:
    """Texts as a model answers them.

    Attributes:
        answers: about each of them.
        truncated: shape (texts,): which were longer than is read.
        fast: shape (texts,): which the fast path answered.
    """

    answers: Answers
    truncated: NDArray[np.bool_]
    fast: NDArray[np.bool_]

    def rows(self, part: slice) -> Reading:
        """Of some of the texts."""
        answers = Answers(*(array[part] for array in self.answers.arrays()))
        return Reading(answers, self.truncated[part], self.fast[part])


def _json(value: object, *, indent: int | None = 2) -> bytes:
    return (json.dumps(value, indent=indent, ensure_ascii=False) + "\n").encode()


def save_model(model: Model, folder: Path) -> Model:
    """Write a model folder, whole or not at all; an older model there is replaced.

    A fast path or vectors that are another version's are left out.

    Returns:
        the model with its version.

    Raises:
        StanceError: the folder exists and is not a model, or cannot be written.
    """
    files = {
        "estimator.json": _json(model.estimator.settings(), indent=None),
        "weights.safetensors": save_safetensors(
            {k: np.ascontiguousarray(v) for k, v in model.estimator.tensors().items()}
        ),
        "decision.json": _json(model.rules.as_dict(model.taxonomy), indent=None),
        "held_out.safetensors": save_safetensors(
            {k: np.ascontiguousarray(v) for k, v in model.held_out.tensors().items()}
        ),
        "trained_on.safetensors": save_safetensors(dict(model.trained_on)),
        "metrics.json": _json(model.metrics),
    }
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    about = {
        "format": FORMAT,
        "recipe": model.recipe.model_dump(),
        **model.taxonomy.as_dict(),
        "data": model.data,
        "files": hashes,
    }
    deciding = {
        "recipe": about["recipe"],
        "targets": about["targets"],
        "answers": [hashes[name] for name in ("estimator.json", "weights.safetensors", "decision.json")],
        "data": model.data["fingerprint"],
    }
    version = f"{model.recipe.name}-{hashlib.sha256(_json(deciding)).hexdigest()[:12]}"
    fast_path = model.fast_path if model.fast_path and model.fast_path.model == version else None
    examples = model.examples if model.examples and model.examples.belongs_to(version) else None
    beside: dict[str, bytes] = {}
    if fast_path:
        beside[ABOUT] = _json(fast_path.about(model.taxonomy), indent=None)
        beside[TENSORS] = save_safetensors(fast_path.student.tensors())
    if examples:
        beside[VECTORS] = save_safetensors(examples.tensors())
    hashes |= {name: hashlib.sha256(content).hexdigest() for name, content in beside.items()}
    files |= beside
    files["model.json"] = _json({**about, "version": version})
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StanceError(f"cannot be written: {error.strerror}", path=folder) from error
    with replacing_folder(folder, ("model.json",), "a model") as fresh:
        for name, content in files.items():
            (fresh / name).write_bytes(content)
            sync(fresh / name)
    return replace(model, version=version, fast_path=fast_path, examples=examples)


def shipped_version() -> str:
    """The version of the model that ships, without loading it."""
    version: str = json.loads((DEFAULT_MODEL / "model.json").read_bytes())["version"]
    return version


def load_model(folder: Path | None = None, *, cache: bool = False) -> Model:
    """Read a model folder (the one that ships where None), checking every file against the hash in `model.json`.

    Args:
        folder: where it is.
        cache: keep embeddings on disk, for texts that are scored again and again; what serves keeps none.

    Raises:
        StanceError: the folder is not a model of this format, a file is missing or was changed.
    """
    folder = folder or DEFAULT_MODEL
    path = folder / "model.json"
    try:
        about = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise StanceError(
            "is not a model folder (it has no model.json)",
            path=folder,
            hint="`stance train --out DIR` writes one.",
        ) from error
    except (OSError, ValueError) as error:
        raise StanceError(f"cannot be read: {error}", path=path) from error
    found = about.get("format") if isinstance(about, dict) else None
    if found != FORMAT:
        named = "has no format" if found is None else f"is of format {found}"
        raise StanceError(f"{named}; this version reads format {FORMAT}", path=path, hint="Train it again.")
    try:
        contents = {
            name: read_verified(folder / name, sha256, "Train it again.") for name, sha256 in about["files"].items()
        }
        taxonomy = parse_taxonomy(about, path)
        recipe = parse_recipe(about["recipe"])
        settings = json.loads(contents["estimator.json"])
        tensors = load_safetensors(contents["weights.safetensors"])
        estimator = restored_estimator(recipe, taxonomy, settings, tensors, cache=cache)
        return Model(
            estimator=estimator,
            rules=rules_from(json.loads(contents["decision.json"]), taxonomy),
            held_out=HeldOut.restored(load_safetensors(contents["held_out.safetensors"])),
            taxonomy=taxonomy,
            recipe=recipe,
            data=about["data"],
            trained_on=load_safetensors(contents["trained_on.safetensors"]),
            metrics=json.loads(contents["metrics.json"]),
            version=about["version"],
            fast_path=_fast_path(contents, taxonomy, about["version"], folder),
            examples=_examples(contents, about["version"], folder),
        )
    except (KeyError, TypeError, AttributeError, ValueError, ValidationError, SafetensorError) as error:
        raise StanceError(f"is damaged: {error!r}", path=folder, hint="Train it again.") from error


def _fast_path(contents: Mapping[str, bytes], taxonomy: Taxonomy, version: str, folder: Path) -> FastPath | None:
    if ABOUT not in contents:
        return None
    found = fast_path_from(json.loads(contents[ABOUT]), load_safetensors(contents[TENSORS]), taxonomy)
    if found.model != version:
        raise StanceError(
            f"is the fast path of {found.model}, and the model is {version}",
            path=folder / ABOUT,
            hint="`stance fast-path train` makes this model one of its own.",
        )
    return found


def _examples(contents: Mapping[str, bytes], version: str, folder: Path) -> KeptVectors | None:
    if VECTORS not in contents:
        return None
    found = KeptVectors.restored(load_safetensors(contents[VECTORS]))
    if not found.belongs_to(version):
        raise StanceError(
            f"is of another model than {version}", path=folder / VECTORS, hint="`stance examples` makes its own."
        )
    return found

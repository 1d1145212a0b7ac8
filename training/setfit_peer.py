"""SetFit as a peer (Tunstall et al. 2022, "Efficient Few-Shot Learning Without Prompts"): measured, never served.

The package itself, extra `setfit`. It fine-tunes the whole small encoder on pairs of sentences, then fits its own
heads, one a (target, class). Nothing is fetched: the encoder's weights are those of the verified package.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from labels.errors import needs_package
from labels.taxonomy import Taxonomy
from training.dataset import outcome_matrix, texts_of
from training.encoder_packages import CONFIG, MINILM, TOKENIZER, WEIGHTS
from training.learning_curve import Learner
from training.outcomes import Outcomes, Progress

if TYPE_CHECKING:
    from training.train import LabelledData

SEED = 20190228
STEPS = 150
"""Of 16 pairs each: about all the pairs that there are of 50 sentences, and a sample of those of more."""

PAIRED = 2000
"""Sentences that pairs are drawn from, at most: the package lists all pairs before it draws."""

_SETTINGS = {"seed": SEED, "max_steps": STEPS, "paired": PAIRED, "max_tokens": 128, "batch": 16, "c": 1}


def setfit_peer() -> Learner:
    """The peer as something that a learning curve can be drawn of.

    Raises:
        StanceError: the package is not installed.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        import setfit
    except ModuleNotFoundError as error:
        raise needs_package("the peer 'setfit'", error.name, "train,setfit") from error
    return Learner("setfit", {"peer": "setfit", "version": setfit.__version__, **_SETTINGS}, _answers)


def _answers(data: LabelledData, texts: Sequence[str], progress: Progress | None) -> Outcomes:
    taxonomy, part = data.taxonomy, data.part("train")
    outcomes = outcome_matrix(part, taxonomy)
    touched = [
        (t, k) for t, target in enumerate(taxonomy) for k in _classes(taxonomy, t) if (outcomes[:, t] == k).any()
    ]
    # The package knows no label that was not read: it counts as not touched.
    wanted = np.stack([outcomes[:, t] == k for t, k in touched], axis=1).astype(int)
    with _as_fast_as_ours():
        given = _trained(texts_of(part), wanted, progress).predict_proba(list(texts), as_numpy=True)
    likely = np.zeros((len(texts), *outcomes.shape[1:], taxonomy.width))
    for (t, k), column in zip(touched, np.asarray(given).T, strict=True):
        likely[:, t, k] = column
    for t, target in enumerate(taxonomy):
        # A class is answered from one half, as the package does; of two, the likelier.
        likely[:, t, target.outcome(None)] = 0.5
    answered: Outcomes = likely.argmax(axis=2).astype(np.int8)
    return answered


def _as_fast_as_ours() -> AbstractContextManager[object]:
    """In bfloat16 where `training.fine_tuning` would train in it."""
    import torch

    from training.fine_tuning import has_bfloat16

    return torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16(torch.device("cpu")))


def _classes(taxonomy: Taxonomy, t: int) -> list[int]:
    target = taxonomy.targets[t]
    return [k for k in range(len(target.outcomes)) if k != target.outcome(None)]


def _trained(texts: Sequence[str], wanted: NDArray[np.integer], progress: Progress | None) -> Any:
    from setfit import SetFitModel, Trainer, TrainingArguments
    from setfit import logging as setfit_logging

    setfit_logging.set_verbosity_error()
    with TemporaryDirectory() as folder:
        model = SetFitModel(model_body=_body(Path(folder)), model_head=_heads(), multi_target_strategy="one-vs-rest")
        arguments = TrainingArguments(
            output_dir=folder,
            batch_size=_SETTINGS["batch"],
            max_steps=STEPS,
            seed=SEED,
            save_strategy="no",
            report_to="none",
            show_progress_bar=False,
        )
        trainer = Trainer(model=model, args=arguments)
        _quiet(trainer.st_trainer, progress)
        drawn = np.random.default_rng(SEED).permutation(len(texts))[:PAIRED]
        trainer.train_embeddings([texts[i] for i in drawn.tolist()], wanted[drawn].tolist(), args=arguments)
        trainer.train_classifier(list(texts), wanted.tolist(), args=arguments)
    return model


def _quiet(trainer: Any, progress: Progress | None) -> None:
    """Its steps are shown as those of every other training."""
    from transformers import PrinterCallback, ProgressCallback, TrainerCallback

    class Steps(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if progress:
                progress("pairs of sentences, 16 a step", state.global_step, STEPS)

    for callback in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(callback)
    trainer.add_callback(Steps())
    trainer.args.dataloader_pin_memory = False


def _heads() -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    # As the package's own head, but that rare classes weigh as much: with its own, hardly any class reaches one half.
    return OneVsRestClassifier(LogisticRegression(C=_SETTINGS["c"], class_weight="balanced", max_iter=1000))


def _body(folder: Path) -> Any:
    """The encoder as the package wants it, from files whose hashes were checked."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules

    torch.manual_seed(SEED)
    for name, content in MINILM.read(CONFIG, TOKENIZER, WEIGHTS).items():
        (folder / name).write_bytes(content)
    words = modules.Transformer(str(folder), max_seq_length=_SETTINGS["max_tokens"])
    pooling = modules.Pooling(MINILM.dimensions, "mean")
    return SentenceTransformer(modules=[words, pooling], device="cpu")

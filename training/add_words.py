"""`python -m training.add_words MODEL CORPUS`: the words of its training sentences for a model that lacks them.

Models trained since carry them; they decide no answer, so that the version stays what it was. The labels are the
project's own.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from datasets import Dataset

from labels.errors import StanceError
from labels.records import default_label_files
from training.dataset import fingerprint, texts_of
from training.marks import word_marks
from training.model_folder import Model, load_model, save_model
from training.train import read_labelled


def with_words(model: Model, part: Dataset) -> Model:
    """The model that also knows the words of its training sentences.

    Raises:
        StanceError: it was trained on others than these.
    """
    if fingerprint(part) != model.data["fingerprint"]:
        raise StanceError(
            "these are not the sentences that the model was trained on", hint="Name their labels and corpus."
        )
    return replace(model, trained_on={**model.trained_on, "words": word_marks(texts_of(part))})


if __name__ == "__main__":
    folder, corpus = map(Path, sys.argv[1:])
    known = load_model(folder)
    data = read_labelled(default_label_files(), known.taxonomy, corpus, skip_unknown_targets=True)
    saved = save_model(with_words(known, data.part("train")), folder)
    print(f"wrote {folder}: {saved.version}, {len(saved.trained_on['words'])} words")

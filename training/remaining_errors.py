"""`python -m training.remaining_errors CORPUS`: what the shipped model gets wrong, on training groups that it held out.

Counts only, as tables in Markdown; the test part is not looked at. The labels are the project's own.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from labels.records import default_label_files
from labels.taxonomy import Target
from training.answers import fit_rules
from training.dataset import texts_of, units_of
from training.held_out_sentences import held_out_sentences
from training.model_folder import DEFAULT_MODEL, Model, load_model
from training.outcomes import NOT_READ, Outcomes
from training.pages import interval
from training.resampling import Resampling
from training.slices import DIMENSIONS, errors_of, slice_figures
from training.train import read_labelled

_QUOTED = re.compile(r"[\"“”«»„]")
_SHOWN = ("length", "kind", "leaning", "holder")


def kinds_of_error(gold: NDArray[np.integer], given: NDArray[np.integer], target: Target) -> dict[str, int]:
    """How often a target's errors are of each kind; labels and answers of shape (sentences,)."""
    none, poles = target.outcome(None), [target.outcome(target.conciliatory), target.outcome(target.other)]
    read = gold != NOT_READ
    touched, answered = gold != none, given != none
    sides = np.isin(gold, poles), np.isin(given, poles)
    both = read & touched & answered
    return {
        "labelled as touched": int((read & touched).sum()),
        "overlooked": int((read & touched & ~answered).sum()),
        "seen where it is not": int((read & ~touched & answered).sum()),
        "side for neutral": int((both & ~sides[0] & sides[1]).sum()),
        "neutral for side": int((both & sides[0] & ~sides[1]).sum()),
        "other side": int((both & sides[0] & sides[1] & (gold != given)).sum()),
    }


def by_slice(held: Dataset, gold: Outcomes, given: Outcomes, model: Model) -> list[dict[str, Any]]:
    """Slices that are not small: sentences, and errors over those that the same labels meet in all sentences."""
    dimensions = slice_figures(held, gold, given, model.taxonomy, seed=model.recipe.seed)["dimensions"]
    found = [{"of": DIMENSIONS[key][0], **about} for key in _SHOWN for about in dimensions[key] if not about["small"]]
    quoted = np.array([bool(_QUOTED.search(text)) for text in texts_of(held)])
    wrong, expected = errors_of(gold, given)
    units = np.array(units_of(held))
    for name, chosen in (("with quotation marks", quoted), ("without", ~quoted)):
        ratio = Resampling.of(units[chosen].tolist()).ratio(wrong[chosen], expected[chosen])
        found.append({"of": "Quotation", "name": name, "sentences": int(chosen.sum()), "error_ratio": ratio})
    return found


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def _main(corpus: Path) -> None:
    model = load_model(DEFAULT_MODEL)
    part = read_labelled(default_label_files(), model.taxonomy, corpus).part("train")
    held, of = held_out_sentences(model, part), model.held_out
    fitted = fit_rules(of.probabilities.astype(np.float64), of.outcomes, of.units, model.taxonomy, model.recipe)
    kinds = {
        target.id: kinds_of_error(of.outcomes[:, t], fitted.labels[:, t], target)
        for t, target in enumerate(model.taxonomy)
    }
    head = ["target", *next(iter(kinds.values()))]
    print(_table(head, [[target_id, *counts.values()] for target_id, counts in kinds.items()]), end="\n\n")
    slices = by_slice(held, of.outcomes, fitted.labels, model)
    rows = [[each["of"], each["name"], each["sentences"], interval(each["error_ratio"])] for each in slices]
    print(_table(["slice", "", "sentences", "errors over those expected"], rows))


if __name__ == "__main__":
    _main(Path(sys.argv[1]))

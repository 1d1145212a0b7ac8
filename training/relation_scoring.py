"""A trained model for issues without labels, scored on labels that it was not trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from labels.errors import StanceError
from labels.wordings import Wordings
from training.dataset import fingerprint
from training.left_out import ask
from training.marks import marks
from training.outcomes import Progress
from training.pairs import IssueSentences
from training.relation_figures import ZERO_SHOT, left_out_figures
from training.relation_model import RelationModel
from training.train import LabelledData, part_at_hand


def scored(
    model: RelationModel,
    data: LabelledData,
    split: str,
    wordings: Mapping[str, Wordings],
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Figures on one part of labelled data; sentences of groups that the model was trained on are left out.

    Args:
        model: asked about the propositions of the data's issues.
        data: labelled, by any taxonomy.
        split: train, dev or test.
        wordings: of the issues.
        progress: told how far it is.

    Returns:
        `version`, `fingerprint`, `left_out_as_trained_on`, `taught` (the issues of the same name that it was trained
        on, of which these figures are not zero-shot), and `scored`, see `left_out_figures`.

    Raises:
        StanceError: no sentence of the part is at hand, or the model was trained on the groups of all.
    """
    part = part_at_hand(data, split)
    known = set(model.groups.tolist())
    whole = IssueSentences.of(part, data.taxonomy)
    rows = np.array([i for i, unit in enumerate(whole.units) if marks([unit])[0] not in known], np.intp)
    if not len(rows):
        raise StanceError(
            f"the model was trained on the groups of all {len(part)} sentences of the part '{split}'",
            hint="Score it on sentences that it has not seen.",
        )
    sentences = whole.rows(rows)
    issues = sentences.issues
    asked = {issue: ask(model.reader, sentences, issue, wordings[issue], progress) for issue in issues}
    rules = dict.fromkeys(issues, model.rule)
    return {
        "version": model.version,
        "fingerprint": fingerprint(part.select(rows.tolist())),
        "left_out_as_trained_on": len(part) - len(rows),
        "taught": [issue for issue in issues if issue in model.about["data"]["issues"]],
        "scored": left_out_figures(sentences, issues, {ZERO_SHOT: asked}, {ZERO_SHOT: rules}, None, seed=0),
    }

"""What several annotators of one sentence agree on."""

from __future__ import annotations

from collections.abc import Sequence

from labels.records import Annotation, Labels

SINGLE, AGREED, DIFFERING = "single", "agreed", "differing"
"""How the labels of a sentence came about that nobody has adjudicated."""


def agreed(annotations: Sequence[Annotation]) -> tuple[Labels, tuple[str, ...]]:
    """Labels that all annotators who read a target gave it, and the targets on which they differ.

    A target that nobody read stands in neither.
    """
    first: dict[str, str | None] = {}
    differing: dict[str, None] = {}
    for annotation in annotations:
        for target_id, label in annotation.labels.items():
            if first.setdefault(target_id, label) != label:
                differing[target_id] = None
    return {target_id: label for target_id, label in first.items() if target_id not in differing}, tuple(differing)


def how_decided(annotations: Sequence[Annotation]) -> str:
    """SINGLE, AGREED or DIFFERING."""
    if agreed(annotations)[1]:
        return DIFFERING
    return SINGLE if len({annotation.annotator for annotation in annotations}) == 1 else AGREED

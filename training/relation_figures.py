"""How well issues are judged that nobody was taught: figures beside other readings, and tests of behaviour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labels.taxonomy import Taxonomy
from training.answers import Rule
from training.calibration import figures_of
from training.left_out import Asked, answered, labels_of
from training.metrics import Confusion, confusion
from training.outcomes import NOT_READ, Outcomes
from training.pairs import IssueSentences
from training.relation import RELATION, swapped
from training.resampling import Figure, Resampling
from training.summary import difference, summary

ZERO_SHOT, SUPERVISED, MAJORITY = "zero_shot", "supervised", "majority"


def left_out_figures(
    sentences: IssueSentences,
    issues: Sequence[str],
    asked: Mapping[str, Mapping[str, Asked]],
    rules: Mapping[str, Mapping[str, Rule]],
    supervised: Outcomes | None,
    *,
    seed: int,
) -> dict[str, Any]:
    """All figures of sentences whose group no system was trained on.

    Args:
        sentences: labelled.
        issues: those that were left out in turn.
        asked: system → issue → what it said, without having been taught the issue.
        rules: system → issue → rule that was fitted on other issues.
        supervised: what a model says that was taught the issues, shape (sentences, issues); None where there is none.
        seed: of the resampling.

    Returns:
        `sentences`, `groups`, `systems` (each as `training.summary.summary` says), `minus` (the first system minus each
        other, with the interval of the paired bootstrap), and of the first system `abstention` and `probabilities` by
        issue and for all, and `behaviour`.
    """
    columns = [sentences.issues.index(issue) for issue in issues]
    gold, units = sentences.outcomes[:, columns], sentences.units
    labels = {name: labels_of(rules[name], given, issues) for name, given in asked.items()}
    labels[MAJORITY] = np.zeros_like(gold)
    if supervised is not None:
        labels[SUPERVISED] = supervised
    taxonomy = Taxonomy(tuple(replace(RELATION, id=issue, title=issue) for issue in issues))
    width = len(RELATION.outcomes)
    tables: dict[str, Confusion] = {name: confusion(gold, given, units, width) for name, given in labels.items()}
    first = tables[ZERO_SHOT]
    return {
        "sentences": len(gold),
        "groups": len(set(units)),
        "systems": {name: summary(table, taxonomy, seed=seed) for name, table in tables.items()},
        "minus": {
            name: difference(first, table, taxonomy, seed=seed) for name, table in tables.items() if name != ZERO_SHOT
        },
        **_certainty(gold, issues, asked[ZERO_SHOT], rules[ZERO_SHOT], units, seed),
        "behaviour": behaviour(sentences, issues, asked[ZERO_SHOT], rules[ZERO_SHOT], seed=seed),
    }


def _certainty(
    gold: Outcomes,
    issues: Sequence[str],
    asked: Mapping[str, Asked],
    rules: Mapping[str, Rule],
    units: Sequence[str],
    seed: int,
) -> dict[str, Any]:
    """How many answers are sure enough, how many of them are wrong, and what probabilities are worth."""
    abstention: dict[str, Any] = {}
    every: list[NDArray[Any]] = []
    for k, issue in enumerate(issues):
        labels, unsure, given = answered(rules[issue], asked[issue].own)
        read = np.flatnonzero(gold[:, k] != NOT_READ)
        table = np.column_stack([gold[read, k], labels[read], unsure[read], read, given[read]])
        abstention[issue] = _of_sure(table, units, seed)
        every.append(table)
    together = np.concatenate(every)
    return {
        "abstention": {"all": _of_sure(together, units, seed), "issues": abstention},
        "probabilities": figures_of(together[:, 4:], together[:, 0].astype(np.intp), RELATION),
    }


def _of_sure(table: NDArray[Any], units: Sequence[str], seed: int) -> dict[str, Any]:
    gold, labels, unsure, rows = table[:, :4].astype(np.intp).T
    of = Resampling.of([units[i] for i in rows.tolist()], seed=seed)
    found: dict[str, Any] = {}
    for kind, chosen in (("unrelated", labels == 0), ("touched", labels > 0)):
        sure = chosen & (unsure == 0)
        found[kind] = {
            "answers": int(chosen.sum()),
            "sure": int(sure.sum()),
            "wrong_of_sure": of.ratio(sure & (gold != labels), sure),
            "wrong_of_all": of.ratio(chosen & (gold != labels), chosen),
        }
    return found


def behaviour(
    sentences: IssueSentences,
    issues: Sequence[str],
    asked: Mapping[str, Asked],
    rules: Mapping[str, Rule],
    *,
    seed: int,
) -> dict[str, Any]:
    """What should happen to an answer where only the proposition changes, as shares with counts and 95% intervals.

    Returns:
        `target_swap`: of sentences that touch another issue and not this one, those answered "unrelated"; beside those
        that touch nothing (`touches_nothing`). `paraphrase`: of sentences that touch the issue, those answered the same
        in other words. `negation`: of those answered with a side, those answered with the other side where the
        proposition is negated; `negation_same_side`, those that keep their side. Words that were never trained on.
    """
    counted: dict[str, list[tuple[int, bool]]] = {
        name: [] for name in ("target_swap", "touches_nothing", "paraphrase", "negation", "negation_same_side")
    }
    for issue in issues:
        labels = answered(rules[issue], asked[issue].own)[0]
        column = sentences.outcomes[:, sentences.issues.index(issue)]
        elsewhere = (sentences.outcomes > 0).any(axis=1)
        for name, rows in (("target_swap", elsewhere), ("touches_nothing", ~elsewhere)):
            counted[name] += [(i, bool(labels[i] == 0)) for i in np.flatnonzero((column == 0) & rows).tolist()]
        touching = asked[issue].touching.tolist()
        for given in asked[issue].same:
            other = answered(rules[issue], given)[0]
            counted["paraphrase"] += [(i, bool(labels[i] == o)) for i, o in zip(touching, other.tolist(), strict=True)]
        for given in asked[issue].negated:
            other = answered(rules[issue], given)[0]
            for i, o in zip(touching, other.tolist(), strict=True):
                if (opposite := swapped(int(labels[i]))) != labels[i]:
                    counted["negation"].append((i, o == opposite))
                    counted["negation_same_side"].append((i, o == labels[i]))
    return {name: _share(rows, sentences.units, seed) for name, rows in counted.items()}


def _share(counted: Sequence[tuple[int, bool]], units: Sequence[str], seed: int) -> dict[str, Any]:
    if not counted:
        return {"of": 0, "share": {"value": None, "low": None, "high": None}}
    of = Resampling.of([units[i] for i, _ in counted], seed=seed)
    share: Figure = of.ratio(np.array([right for _, right in counted]), np.ones(len(counted)))
    return {"of": len(counted), "share": share}

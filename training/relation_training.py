"""Training of the model for issues without labels as a whole: each issue left out in turn, then all learnt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from labels.wordings import Wordings, further_propositions
from training.answers import Rule, fit_rules
from training.dataset import column, fingerprint, outcome_matrix
from training.encoder_packages import encoder_named
from training.held_out import folds_of, starts_with_any
from training.left_out import Asked, Reader, ask, fit_rule
from training.low_rank import Adapted
from training.marks import marks
from training.model_folder import Model
from training.outcomes import Outcomes, Progress
from training.pairs import Arguments, IssueSentences, issues_of, relations
from training.relation import RELATION
from training.relation_baselines import BASELINES, Baseline
from training.relation_figures import ZERO_SHOT, left_out_figures
from training.relation_learning import RelationTraining, Taught
from training.relation_model import Nearness, PairReader, RelationModel
from training.relation_recipe import RelationRecipe
from training.scored import scored_by, unseen
from training.train import LabelledData

_LABELS = "made by a language model under labels/codebook.md; not by people"
_ARGUMENTS = "IBM ArgQ-Rank-30kArgs (Gretz et al. 2020), CC BY-SA 3.0; none of its texts is in this folder"


@dataclass(frozen=True)
class _LeftOut:
    """What was trained without an issue.

    Attributes:
        readers: system → what it reads pairs with.
        held_out: system → what it said of the sentences that were held out.
    """

    readers: Mapping[str, Reader]
    held_out: Mapping[str, Asked]


def train_relations(
    data: LabelledData,
    wordings: Mapping[str, Wordings],
    arguments: Arguments,
    recipe: RelationRecipe,
    *,
    beside: Model | None = None,
    score_test: bool = False,
    progress: Progress | None = None,
) -> RelationModel:
    """Train, with figures of every issue left out of training.

    One part of the groups is held out, and every issue is left out in turn: what the rest says of it decides how
    probabilities become answers. Then all sentences and issues are learnt.

    Args:
        data: labelled sentences.
        wordings: of the issues of their taxonomy.
        arguments: public ones to learn from first, or none.
        recipe: how.
        beside: a model that was taught the issues, to be shown beside; where it held out the same sentences.
        score_test: figures of the part `test` as well, for which nothing was chosen.
        progress: told how far it is.

    Raises:
        StanceError: torch or the encoder is not installed, or no sentence touches an issue.
    """
    part = data.part("train")
    sentences = IssueSentences.of(part, data.taxonomy)
    training = RelationTraining(
        recipe, Taught(sentences, wordings, arguments, Arguments.further(further_propositions())), progress
    )
    eligible = ~starts_with_any(column(part, "source"), recipe.train_only)
    folds = folds_of(sentences.units, eligible, recipe.folds, recipe.seed)
    metrics: dict[str, Any] = {"method": "none: too few groups or issues to leave any out"}
    rule = fit_rule({}, sentences, (), recipe.abstention.error_rate)[0]
    if folds and len(issues := _taught_issues(sentences)) > 1:
        train, test = folds[0]
        left = {
            issue: _leave_out(training, recipe, train, sentences.rows(test), issue, wordings[issue], progress)
            for issue in issues
        }
        rule, metrics = _judged(data, part, test, left, recipe, beside, wordings, score_test, progress)
    adapted = training.learn("all issues", np.arange(len(sentences.texts)))
    nearness = training.nearness(training.lesson(np.arange(len(sentences.texts))))
    model = _model(adapted, nearness, rule, metrics, data, part, sentences, arguments, recipe)
    training.forget()
    return model


def _taught_issues(sentences: IssueSentences) -> list[str]:
    return [issue for k, issue in enumerate(sentences.issues) if (sentences.outcomes[:, k] > 0).any()]


def _leave_out(
    training: RelationTraining,
    recipe: RelationRecipe,
    train: NDArray[np.intp],
    held_out: IssueSentences,
    issue: str,
    wordings: Wordings,
    progress: Progress | None,
) -> _LeftOut:
    adapted = training.learn(f"without {issue}", train, issue)
    lesson = training.lesson(train, issue)
    readers: dict[str, Reader] = {ZERO_SHOT: PairReader(recipe.encoder, adapted, training.nearness(lesson), cache=True)}
    for name in BASELINES:
        readers[name] = Baseline(name, recipe.encoder).fit(lesson, progress)
    asked = {name: ask(reader, held_out, issue, wordings, progress) for name, reader in readers.items()}
    return _LeftOut(readers, asked)


def _judged(
    data: LabelledData,
    part: Dataset,
    test: NDArray[np.intp],
    left: Mapping[str, _LeftOut],
    recipe: RelationRecipe,
    beside: Model | None,
    wordings: Mapping[str, Wordings],
    score_test: bool,
    progress: Progress | None,
) -> tuple[Rule, dict[str, Any]]:
    issues = list(left)
    held_out = IssueSentences.of(part, data.taxonomy).rows(test)
    systems = [ZERO_SHOT, *BASELINES]
    rate = recipe.abstention.error_rate
    asked = {name: {issue: left[issue].held_out[name] for issue in issues} for name in systems}
    # Of every issue: from the others.
    rules = {
        name: {
            issue: fit_rule(asked[name], held_out, [other for other in issues if other != issue], rate)[0]
            for issue in issues
        }
        for name in systems
    }
    rule, about = fit_rule(asked[ZERO_SHOT], held_out, issues, rate)
    known = _held_out_by(beside, part.select(test.tolist()), data, issues) if beside else None
    metrics: dict[str, Any] = {
        "method": f"one of {recipe.folds} parts of the training groups held out, each issue left out of training in "
        "turn, and its answers decided by what was found of the other issues; settings were chosen on the same part",
        "supervised": beside.version if beside and known is not None else None,
        "rule": about,
        "held_out": left_out_figures(held_out, issues, asked, rules, known, seed=recipe.seed),
    }
    if score_test and len(scored := data.part("test")):
        tested = IssueSentences.of(scored, data.taxonomy)
        said = {
            name: {issue: ask(left[issue].readers[name], tested, issue, wordings[issue], progress) for issue in issues}
            for name in systems
        }
        known = _said_by(beside, scored, data, issues, progress) if beside else None
        metrics["test"] = left_out_figures(tested, issues, said, rules, known, seed=recipe.seed)
    return rule, metrics


def _held_out_by(beside: Model, held_out: Dataset, data: LabelledData, issues: Sequence[str]) -> Outcomes | None:
    """What a model said of these sentences when it held them out; None where they are not those it held out."""
    given = outcome_matrix(held_out, data.taxonomy)
    kept = beside.held_out
    if beside.taxonomy.as_dict() != data.taxonomy.as_dict() or not np.array_equal(kept.outcomes, given):
        return None
    probabilities = kept.probabilities.astype(np.float64)
    fitted = fit_rules(probabilities, kept.outcomes, kept.units, beside.taxonomy, beside.recipe)
    return _relations(fitted.labels, data, issues)


def _said_by(
    beside: Model, scored: Dataset, data: LabelledData, issues: Sequence[str], progress: Progress | None
) -> Outcomes | None:
    """What a model says of sentences, none of which it was trained on."""
    if beside.taxonomy.as_dict() != data.taxonomy.as_dict() or len(unseen([beside], scored)) < len(scored):
        return None
    outcomes = scored_by(beside, list(column(scored, "text")), progress).outcomes
    return _relations(outcomes.astype(np.int8), data, issues)


def _relations(outcomes: Outcomes, data: LabelledData, issues: Sequence[str]) -> Outcomes:
    known = issues_of(data.taxonomy)
    return relations(outcomes, data.taxonomy)[:, [known.index(issue) for issue in issues]]


def _model(
    adapted: Adapted,
    nearness: Nearness,
    rule: Rule,
    metrics: Mapping[str, Any],
    data: LabelledData,
    part: Dataset,
    sentences: IssueSentences,
    arguments: Arguments,
    recipe: RelationRecipe,
) -> RelationModel:
    counts = {
        issue: {
            label: int((sentences.outcomes[:, k] == number).sum()) for number, label in enumerate(RELATION.outcomes)
        }
        for k, issue in enumerate(sentences.issues)
    }
    return RelationModel(
        adapted=adapted,
        nearness=nearness,
        rule=rule,
        encoder=recipe.encoder,
        about={
            "recipe": recipe.model_dump(mode="json"),
            "data": {
                "fingerprint": fingerprint(part),
                "files": list(data.files),
                "sentences": len(part),
                "groups": len(set(sentences.units)),
                "issues": counts,
                "arguments": len(arguments.texts),
                "subjects_of_arguments": len(set(arguments.propositions)),
            },
            "card": _card(arguments, recipe.encoder),
        },
        metrics=metrics,
        groups=marks(sentences.units),
    )


def _card(arguments: Arguments, encoder: str) -> dict[str, str]:
    card = {"labels": _LABELS, "licence": "MIT", "encoder_licence": encoder_named(encoder).licence}
    # What is made from work under CC BY-SA is passed on under it.
    return card | ({"arguments": _ARGUMENTS, "licence": "CC BY-SA 3.0"} if arguments.texts else {})

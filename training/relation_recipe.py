"""The recipe of the model for issues without labels, validated when it is read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from labels.yaml_file import read_yaml
from training.recipes import AbstentionSettings, Count, Share, TuningSettings

DEFAULT_RELATION_RECIPE = Path(__file__).parent / "propositions.yaml"


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ArgumentSettings(_Strict):
    """How public arguments are learnt.

    Attributes:
        pairs: how many are drawn.
        tuning: how the network learns them.
    """

    pairs: Count
    tuning: TuningSettings


class IssueSettings(_Strict):
    """How labelled issues are learnt.

    Attributes:
        learn: whether the network learns them. Where not, it knows propositions from arguments alone, and labelled
            issues tell only how near a sentence must be to have to do with one, and how its answers are decided.
        passes: how often each sentence that touches an issue is drawn, each time with other words for the issue.
        most_of_issue: of sentences that touch one issue, at most so many a pass: none is to stand for all issues.
        argument_share: how many pairs of arguments, where there are any, for each pair of an issue.
        further_share: how many pairs of `labels/further_propositions.yaml`, likewise; where issues are not learnt, for
            each pair of an argument.
        tuning: how the network learns them; begins with the adapters that arguments gave.
    """

    learn: bool = True
    passes: Count
    most_of_issue: Count
    argument_share: Share
    further_share: Share
    tuning: TuningSettings


class RelationRecipe(_Strict):
    """How the model is trained.

    Attributes:
        encoder: name in `training.encoder_packages.ENCODERS`.
        seed: of drawing pairs and of learning.
        folds: into how many parts the groups are dealt; one of them is held out.
        train_only: beginnings of the sources whose sentences are never held out.
        arguments: first.
        issues: then.
        abstention: the share of wrong answers that is tolerated, where an answer is not marked as unsure.
    """

    name: str
    title: str
    encoder: str
    seed: int = 0
    folds: Annotated[int, Field(ge=2)] = 5
    train_only: list[str] = []
    arguments: ArgumentSettings
    issues: IssueSettings
    abstention: AbstentionSettings


def load_relation_recipe(path: Path = DEFAULT_RELATION_RECIPE) -> RelationRecipe:
    """A recipe from its file.

    Raises:
        StanceError: it cannot be read, or is none.
    """
    return read_yaml(path, TypeAdapter(RelationRecipe))

"""Issues in other words: what says the same as an issue's proposition, and what says the opposite."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from labels.errors import StanceError
from labels.taxonomy import Taxonomy
from labels.yaml_file import read_yaml

DEFAULT_WORDINGS = Path(__file__).parent / "propositions.yaml"
FURTHER = Path(__file__).parent / "further_propositions.yaml"

_Words = Annotated[str, Field(min_length=1, max_length=300, pattern=r"\S")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Both(_Frozen):
    same: tuple[_Words, ...] = ()
    negated: tuple[_Words, ...] = ()


class _Issue(_Both):
    testing: _Both = _Both()


class _File(_Frozen):
    propositions: dict[str, _Issue]


class Further(_Frozen):
    """A proposition beyond the taxonomy, with sentences written for this project."""

    proposition: _Words
    favor: tuple[_Words, ...]
    against: tuple[_Words, ...]
    neutral: tuple[_Words, ...]


def further_propositions() -> list[Further]:
    """All of `labels/further_propositions.yaml`."""
    return read_yaml(FURTHER, TypeAdapter(list[Further]))


@dataclass(frozen=True)
class Wordings:
    """One issue in natural words.

    Attributes:
        proposition: as the taxonomy has it.
        same: other words for it, to learn from.
        negated: what a sentence in favor of the issue is against, to learn from.
        testing_same: other words that are never learnt from.
        testing_negated: opposites that are never learnt from.
    """

    proposition: str
    same: tuple[str, ...] = ()
    negated: tuple[str, ...] = ()
    testing_same: tuple[str, ...] = ()
    testing_negated: tuple[str, ...] = ()


def read_wordings(path: Path | None, taxonomy: Taxonomy) -> dict[str, Wordings]:
    """The wordings of all issues of a taxonomy, by target; a target that reads the sentence as a whole is none.

    Args:
        path: file as described in `labels/propositions.yaml`; where None, and of issues that it leaves out, there is
            only the taxonomy's own proposition.
        taxonomy: the targets.

    Raises:
        StanceError: the file is not as described, names something that is no issue, or has the same words twice.
    """
    given = read_yaml(path, TypeAdapter(_File)).propositions if path else {}
    issues = {target.id: target for target in taxonomy if target.scope == "issue"}
    for name in given:
        if name not in issues:
            raise StanceError(
                f"no such issue in the taxonomy (it has {', '.join(issues)})", path=path, field=f"propositions.{name}"
            )
    found: dict[str, Wordings] = {}
    for name, target in issues.items():
        issue = given.get(name, _Issue())
        testing = issue.testing
        found[name] = Wordings(target.proposition, issue.same, issue.negated, testing.same, testing.negated)
        words = [*issue.same, *issue.negated, *testing.same, *testing.negated]
        if twice := next((each for each in words if words.count(each) > 1), None):
            raise StanceError(f"'{twice}' stands there twice", path=path, field=f"propositions.{name}")
    return found

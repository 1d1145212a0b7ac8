"""The codebook's rules, what its classes mean, and its worked examples with the rule that decides each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from labels.records import Labels
from labels.taxonomy import DEFAULT_TARGETS

CODEBOOK_FILE = DEFAULT_TARGETS.parent / "codebook.md"

_SECTION = re.compile(r"### `([^`]+)`")
_RULE = re.compile(r"(\d+)\. +(.*)")
_TOPIC = re.compile(r"\*([^*]+)\*")
_MARKS = re.compile(r"\*+|`")
_EXAMPLE_CELLS = 5


@dataclass(frozen=True)
class Rule:
    """A numbered rule.

    Attributes:
        number: it never changes, and is never used again for another.
        text: without marks of emphasis.
        topic: the heading that it stands under, in small letters: a target, or another subject; "" where none.
    """

    number: int
    text: str
    topic: str


@dataclass(frozen=True)
class WorkedExample:
    """A sentence that was written for the codebook, as it is to be labelled.

    Attributes:
        text: the sentence.
        section: the target that it stands under.
        labels: of every target of the codebook; None where it is not touched.
        rules: numbers of the rules that decide, in the order of the codebook; none where the table of classes does.
    """

    text: str
    section: str
    labels: Labels
    rules: tuple[int, ...]


@dataclass(frozen=True)
class Codebook:
    """What the codebook says, as far as a program can use it.

    Attributes:
        rules: by number.
        meanings: target id → class → when a sentence has it.
        examples: in their order.
    """

    rules: Mapping[int, Rule]
    meanings: Mapping[str, Mapping[str, str]]
    examples: tuple[WorkedExample, ...]

    def rule_for(self, example: WorkedExample, target_id: str) -> Rule | None:
        """The rule that decides an example for a target; None where the codebook does not say that one does.

        A rule under the heading of a target is for that target. Any other is for the target whose section the example
        stands in.
        """
        rules = [self.rules[number] for number in example.rules if number in self.rules]
        own = [rule for rule in rules if rule.topic == target_id]
        common = [rule for rule in rules if rule.topic not in self.meanings] if example.section == target_id else []
        return next(iter([*own, *common]), None)


@cache
def read_codebook(path: Path = CODEBOOK_FILE) -> Codebook:
    """Read a codebook in the form of `labels/codebook.md`; one that is not there says nothing."""
    if not path.is_file():
        return Codebook({}, {}, ())
    lines = path.read_text(encoding="utf8").splitlines()
    meanings: dict[str, dict[str, str]] = {}
    codes: dict[str, tuple[str, str]] = {}
    rows: list[tuple[str, list[str]]] = []
    section = ""
    for line in lines:
        if line.startswith("#"):
            found = _SECTION.fullmatch(line)
            section = found[1] if found else ""
        elif section and line.startswith("| "):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if named := re.fullmatch(r"`([^`]+)`", cells[0]):
                meanings.setdefault(section, {})[named[1]] = cells[-1]
                codes[cells[1]] = (section, named[1])
            elif len(cells) == _EXAMPLE_CELLS and cells[0] != "sentence":
                rows.append((section, cells))
    return Codebook(_rules(lines), meanings, tuple(_example(of, cells, codes, meanings) for of, cells in rows))


def _example(
    section: str, cells: list[str], codes: Mapping[str, tuple[str, str]], targets: Mapping[str, object]
) -> WorkedExample:
    text, overall, issues, _, decided = cells
    given = dict(codes[code] for code in [overall, *issues.split()] if code in codes)
    rules = tuple(map(int, re.findall(r"\d+", decided)))
    return WorkedExample(text, section, {target_id: given.get(target_id) for target_id in targets}, rules)


def _rules(lines: list[str]) -> dict[int, Rule]:
    found: dict[int, Rule] = {}
    inside, topic, current = False, "", 0
    for line in lines:
        if line.startswith("## "):
            inside = line == "## Rules"
        elif not inside:
            continue
        elif line.startswith("#"):
            topic, current = "", 0
        elif named := _TOPIC.fullmatch(line):
            topic, current = named[1].lower(), 0
        elif begun := _RULE.fullmatch(line):
            current = int(begun[1])
            found[current] = Rule(current, _MARKS.sub("", begun[2]), topic)
        elif current and line.startswith("   "):
            rule = found[current]
            found[current] = Rule(current, f"{rule.text} {_MARKS.sub('', line.strip())}", topic)
    return found

"""Pairs of a proposition and a sentence, drawn from labelled sentences to learn what the one says of the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from labels.exchange.benchmarks import Benchmark
from labels.taxonomy import Target, Taxonomy
from labels.wordings import Further, Wordings
from training.dataset import outcome_matrix, texts_of, units_of
from training.outcomes import NOT_READ, Outcomes
from training.relation import RELATION, Pair, pair_of, swapped

_RELATED_OF_ANOTHER = 0.5
"""Share of the unrelated pairs whose sentence touches another issue: there it is hard to see."""
_CROSSED = 0.1
"""Share of the unrelated pairs between issues and arguments: where words come from must not give it away."""


@dataclass(frozen=True)
class PairLesson:
    """What is to be learnt.

    Attributes:
        texts: the pairs.
        aims: shape (pairs, 1, outcomes of RELATION): the probabilities that should come out.
    """

    texts: Sequence[Pair]
    aims: NDArray[np.float32]

    @classmethod
    def of(cls, drawn: Sequence[tuple[Pair, int]]) -> Self:
        """Of pairs and their outcomes."""
        outcomes = np.array([outcome for _, outcome in drawn], np.intp)
        return cls([pair for pair, _ in drawn], np.eye(len(RELATION.outcomes), dtype=np.float32)[outcomes][:, None])


@dataclass(frozen=True)
class IssueSentences:
    """Labelled sentences, and what each says of the issues.

    Attributes:
        texts: the sentences.
        units: the group of each.
        issues: ids.
        outcomes: shape (sentences, issues): outcome of RELATION, or NOT_READ.
    """

    texts: Sequence[str]
    units: Sequence[str]
    issues: Sequence[str]
    outcomes: Outcomes

    @classmethod
    def of(cls, data: Dataset, taxonomy: Taxonomy) -> Self:
        """Of a dataset, see `training.dataset`; the poles of an issue are for and against, whatever they are called."""
        outcomes = relations(outcome_matrix(data, taxonomy), taxonomy)
        return cls(texts_of(data), units_of(data), issues_of(taxonomy), outcomes)

    def rows(self, rows: NDArray[np.intp]) -> IssueSentences:
        """Some of the sentences."""
        chosen = rows.tolist()
        texts, units = [self.texts[i] for i in chosen], [self.units[i] for i in chosen]
        return IssueSentences(texts, units, self.issues, self.outcomes[rows])

    def without(self, issue: str | None) -> IssueSentences:
        """The same sentences as if nobody had read them for one issue."""
        kept = [k for k, each in enumerate(self.issues) if each != issue]
        return IssueSentences(self.texts, self.units, [self.issues[k] for k in kept], self.outcomes[:, kept])


def issues_of(taxonomy: Taxonomy) -> list[str]:
    """Ids of the targets that are issues, in their order."""
    return [target.id for target in taxonomy if target.scope == "issue"]


def relations(outcomes: Outcomes, taxonomy: Taxonomy) -> Outcomes:
    """Outcomes of targets as those of RELATION, for issues: (sentences, targets) becomes (sentences, issues)."""
    chosen = [(taxonomy.ids.index(issue), taxonomy[issue]) for issue in issues_of(taxonomy)]
    columns = [_as_relation(outcomes[:, t], target) for t, target in chosen]
    return np.stack(columns, axis=1) if columns else np.zeros((len(outcomes), 0), np.int8)


def _as_relation(column: NDArray[np.int8], target: Target) -> NDArray[np.int8]:
    poles = {target.conciliatory: RELATION.conciliatory, target.other: RELATION.other}
    middle = next(each for each in RELATION.classes if each not in poles.values())
    numbers = [0, *(RELATION.outcome(poles.get(each, middle)) for each in target.classes)]
    return np.array([*numbers, NOT_READ], np.int8)[column]


def issue_pairs(
    sentences: IssueSentences,
    wordings: Mapping[str, Wordings],
    passes: int,
    most_of_issue: int,
    random: np.random.Generator,
) -> list[tuple[Pair, int]]:
    """Sentences that touch an issue with words for or against it, and as many pairs that have nothing in common.

    Each pass draws other words, the opposite of a proposition as often as the same; and of an issue that more
    sentences touch than `most_of_issue`, other sentences.
    """
    drawn: list[tuple[Pair, int]] = []
    every = np.argwhere(sentences.outcomes > 0)
    touches = np.any(sentences.outcomes > 0, axis=1)
    nothing = np.asarray(sentences.outcomes == 0)
    hard, easy = np.argwhere(nothing & touches[:, None]), np.argwhere(nothing & ~touches[:, None])
    for _ in range(passes):
        order = every[random.permutation(len(every))]
        related = np.concatenate([order[order[:, 1] == k][:most_of_issue] for k in range(len(sentences.issues))])
        chosen = [related]
        for places, share in ((hard, _RELATED_OF_ANOTHER), (easy, 1 - _RELATED_OF_ANOTHER)):
            if len(places):
                count = min(len(places), round(len(related) * share))
                chosen.append(places[random.choice(len(places), count, replace=False)])
        for row, k in np.concatenate(chosen).tolist():
            words, negated = _words(wordings[sentences.issues[k]], random)
            outcome = int(sentences.outcomes[row, k])
            drawn.append((pair_of(sentences.texts[row], words), swapped(outcome) if negated else outcome))
    return drawn


def _words(wordings: Wordings, random: np.random.Generator) -> tuple[str, bool]:
    negated = bool(wordings.negated) and random.random() < 0.5
    given = wordings.negated if negated else (wordings.proposition, *wordings.same)
    return given[int(random.integers(len(given)))], negated


@dataclass(frozen=True)
class Arguments:
    """Texts for and against many propositions.

    Attributes:
        texts: arguments, or sentences.
        propositions: what each is about.
        outcomes: of RELATION.
    """

    texts: Sequence[str]
    propositions: Sequence[str]
    outcomes: Sequence[int]

    @classmethod
    def of(cls, benchmark: Benchmark) -> Self:
        """See `labels.exchange.benchmarks.read_arguments`; arguments without a side are left out."""
        found = [
            (str(record.text).removeprefix(f"{record.group}: "), str(record.group), RELATION.outcome(label))
            for record in benchmark.records
            if (label := next(iter(record.labels.values())))
        ]
        return cls._of(found)

    @classmethod
    def further(cls, propositions: Sequence[Further]) -> Self:
        """Of propositions with sentences, see `labels.wordings.further_propositions`."""
        return cls._of(
            [
                (sentence, each.proposition, RELATION.outcome(label))
                for each in propositions
                for label in RELATION.classes
                for sentence in getattr(each, label)
            ]
        )

    @classmethod
    def _of(cls, found: Sequence[tuple[str, str, int]]) -> Self:
        return cls(*(list(column) for column in zip(*found, strict=True))) if found else cls([], [], [])


def argument_pairs(
    arguments: Arguments, count: int, random: np.random.Generator, *, unrelated: float = 1 / 3
) -> list[tuple[Pair, int]]:
    """Arguments with their proposition, with its opposite, or with another proposition.

    Args:
        arguments: to draw from; again from all where `count` is more than there are.
        count: pairs.
        random: of the drawing.
        unrelated: share of the pairs with another proposition.
    """
    if not arguments.texts or not count:
        return []
    known = sorted(set(arguments.propositions))
    order = np.concatenate([random.permutation(len(arguments.texts)) for _ in range(-(-count // len(arguments.texts)))])
    drawn: list[tuple[Pair, int]] = []
    for i in order[:count].tolist():
        proposition, outcome = arguments.propositions[i], arguments.outcomes[i]
        if len(known) > 1 and random.random() < unrelated:
            others = [each for each in known if each != proposition]
            proposition, outcome = others[int(random.integers(len(others)))], 0
        words, negated = reworded(proposition, random)
        drawn.append((pair_of(arguments.texts[i], words), swapped(outcome) if negated else outcome))
    return drawn


def crossed_pairs(
    sentences: IssueSentences,
    wordings: Mapping[str, Wordings],
    arguments: Arguments,
    count: int,
    random: np.random.Generator,
) -> list[tuple[Pair, int]]:
    """Sentences with propositions of arguments, and arguments with issues: none has to do with the other."""
    if not arguments.texts or not sentences.issues:
        return []
    drawn: list[tuple[Pair, int]] = []
    for _ in range(count):
        sentence, argument = int(random.integers(len(sentences.texts))), int(random.integers(len(arguments.texts)))
        if random.random() < 0.5:
            words = reworded(arguments.propositions[argument], random)[0]
            drawn.append((pair_of(sentences.texts[sentence], words), 0))
        else:
            issue = sentences.issues[int(random.integers(len(sentences.issues)))]
            drawn.append((pair_of(arguments.texts[argument], _words(wordings[issue], random)[0]), 0))
    return drawn


_SHOULD = " should "
_WE = "We should "


def reworded(proposition: str, random: np.random.Generator) -> tuple[str, bool]:
    """A proposition about what should be, in other words or negated (then True); any other as it is."""
    if _SHOULD not in proposition:
        return proposition, False
    subject, _, rest = proposition.partition(_SHOULD)
    same, negated = [proposition, f"{subject} ought to {rest}"], [f"{subject} should not {rest}"]
    if proposition.startswith(_WE):
        same.append(f"It would be right to {rest}")
        negated.append(f"It would be wrong to {rest}")
    given = negated if (is_negated := random.random() < 0.5) else same
    return given[int(random.integers(len(given)))], is_negated


def lesson_of_issues(
    sentences: IssueSentences,
    wordings: Mapping[str, Wordings],
    arguments: Arguments,
    further: Arguments,
    *,
    passes: int,
    most_of_issue: int,
    argument_share: float,
    further_share: float,
    seed: int,
) -> PairLesson:
    """Pairs of issues, with pairs of other propositions among them: issues are few, and not all that will be asked.

    Args:
        sentences: of the issues that are learnt.
        wordings: of these issues.
        arguments: none, or some.
        further: see `labels.wordings.further_propositions`.
        passes: see `issue_pairs`.
        most_of_issue: likewise.
        argument_share: how many pairs of arguments for each pair of an issue.
        further_share: how many pairs of further propositions, likewise.
        seed: of the drawing.
    """
    random = np.random.default_rng(seed)
    drawn = issue_pairs(sentences, wordings, passes, most_of_issue, random)
    more = argument_pairs(arguments, round(len(drawn) * argument_share), random)
    more += argument_pairs(further, round(len(drawn) * further_share), random)
    crossed = crossed_pairs(sentences, wordings, arguments, round(len(drawn) * _CROSSED / 2), random)
    return PairLesson.of([*drawn, *more, *crossed])

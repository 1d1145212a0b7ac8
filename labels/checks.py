"""All that is wrong with label files, found in one go: `read_records` stops at the first thing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from labels.corpus import Document, Sentence, find_text, sha256_of
from labels.errors import StanceError
from labels.near_duplicates import SIMILAR, NearDuplicates
from labels.records import Line, Record, scan_records
from labels.taxonomy import UNRELATED, Target, Taxonomy

FEWEST_SENTENCES = 20
FEWEST_GROUPS = 5
"""Below this many training sentences or groups a class gets a warning.

Cross-validation deals the groups into five folds: with fewer groups some fold holds none of the class, and with fewer
than four sentences a fold its figures are chance.
"""

Level = Literal["error", "warning"]


@dataclass(frozen=True)
class Place:
    """Where a record stands; `line` and `id` are None where a file as a whole is meant or there is no record."""

    path: Path
    line: int | None
    id: str | None

    def __str__(self) -> str:
        where = str(self.path) if self.line is None else f"{self.path}:{self.line}"
        return where if self.id is None else f"{where} ('{self.id}')"


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, or may be.

    Attributes:
        level: "error" where training would fail or figures would be wrong, "warning" for what may be as it should.
        kind: one word for programs, see docs/label-quality.md.
        message: a sentence.
        places: the record, and those that it clashes with, the nearest first.
        field: of the record, dotted where nested.
        hint: what to do.
    """

    level: Level
    kind: str
    message: str
    places: tuple[Place, ...] = ()
    field: str | None = None
    hint: str | None = None


@dataclass(frozen=True)
class Checked:
    """What came of a check.

    Attributes:
        records: how many lines hold a record.
        findings: errors first, then in the order in which they were found.
        sentences: the records whose text is at hand.
    """

    records: int
    findings: tuple[Finding, ...]
    sentences: tuple[Sentence, ...]

    def count(self, level: Level) -> int:
        return sum(finding.level == level for finding in self.findings)


@dataclass(frozen=True)
class _Placed:
    record: Record
    place: Place


def check_labels(paths: Iterable[Path], taxonomy: Taxonomy, documents: Mapping[str, Document] | None) -> Checked:
    """Look for everything that can be wrong with label files without a model.

    Args:
        paths: JSONL files; a group that stands in two of them must be in one part all the same.
        taxonomy: what the labels must be in.
        documents: where stand-off records find their text; None where there is no corpus.
    """
    findings: list[Finding] = []
    placed: list[_Placed] = []
    for line in scan_records(paths, taxonomy):
        findings += _wrong_lines(line)
        if line.record:
            placed.append(_Placed(line.record, Place(line.path, line.number, line.record.id)))
    found, located = _texts(placed, documents)
    findings += found
    findings += _same_text(placed)
    findings += _near_duplicates(located)
    findings += _thin_classes([p.record for p in placed], taxonomy)
    findings.sort(key=lambda finding: finding.level)
    return Checked(len(placed), tuple(findings), tuple(sentence for _, sentence in located))


def _wrong_lines(line: Line) -> list[Finding]:
    place = Place(line.path, line.number, line.record.id if line.record else None)
    return [
        Finding("error", problem.kind, problem.error.message, (place,), problem.error.field, problem.error.hint)
        for problem in line.problems
    ]


def _texts(
    placed: Sequence[_Placed], documents: Mapping[str, Document] | None
) -> tuple[list[Finding], list[tuple[Place, Sentence]]]:
    """References that do not resolve, and the sentences whose text is at hand."""
    findings: list[Finding] = []
    located: list[tuple[Place, Sentence]] = []
    missing: defaultdict[str, list[Place]] = defaultdict(list)
    for each in placed:
        try:
            text = find_text(each.record, documents or {})
        except StanceError as error:
            findings.append(Finding("error", "other-text", error.message, (each.place,), "ref.sha256", error.hint))
            continue
        if text is not None:
            located.append((each.place, Sentence(each.record, text)))
        elif each.record.ref:
            missing[each.record.ref.doc].append(each.place)
    if missing and documents is None:
        count = sum(map(len, missing.values()))
        message = f"no corpus was named, so the texts of {count} records in {len(missing)} documents were not looked at"
        return [*findings, Finding("warning", "no-corpus", message, hint="Name its folder with --corpus.")], located
    for doc, places in missing.items():
        message = f"document '{doc}' is not in the corpus; records that point into it: {len(places)}"
        findings.append(Finding("warning", "missing-document", message, tuple(places[:1]), "ref.doc"))
    return findings, located


def _same_text(placed: Sequence[_Placed]) -> list[Finding]:
    """Records of one and the same text; for stand-off records its hash tells, so no corpus is needed."""
    findings: list[Finding] = []
    firsts: dict[str, _Placed] = {}
    for each in placed:
        record = each.record
        key = record.ref.sha256 if record.ref else sha256_of(record.text or "")
        first = firsts.setdefault(key, each)
        if first is each:
            continue
        places = (each.place, first.place)
        if differences := _differences(record, first.record):
            message = f"the same text as {first.place}, with other labels: {'; '.join(differences)}"
            findings.append(Finding("error", "conflict", message, places, "labels", "Decide which label holds."))
        elif record.part == first.record.part:
            message = f"the same text as {first.place}: it counts twice in training and figures"
            findings.append(Finding("warning", "duplicate", message, places, "text", "Keep one of the records."))
        # One unit in two parts was found already.
        if record.part != first.record.part and record.unit != first.record.unit:
            message = f"the same text as {first.place}, which is in '{first.record.part}', this in '{record.part}'"
            findings.append(Finding("error", "leak", message, places, "split", _LEAK))
    return findings


_LEAK = "Put both into one part or leave one out; otherwise figures flatter."


def _differences(record: Record, other: Record) -> list[str]:
    return [
        f"{target_id} is {label or UNRELATED}, there {other.labels[target_id] or UNRELATED}"
        for target_id, label in record.labels.items()
        if target_id in other.labels and other.labels[target_id] != label
    ]


def _near_duplicates(located: Sequence[tuple[Place, Sentence]]) -> list[Finding]:
    """Versions of one text in two parts of the data."""
    if len({sentence.record.part for _, sentence in located}) < 2:
        return []
    findings: list[Finding] = []
    known = NearDuplicates()
    for place, sentence in located:
        elsewhere = [
            likeness
            for likeness in known.like(sentence.text)
            if located[likeness.number][1].record.part != sentence.record.part
            and located[likeness.number][1].text != sentence.text
        ]
        if elsewhere:
            elsewhere.sort(key=lambda likeness: -likeness.similarity)
            nearest, other = located[elsewhere[0].number]
            more = f", and of {len(elsewhere) - 1} more" if len(elsewhere) > 1 else ""
            message = (
                f"nearly the text of {nearest}{more}, which is in '{other.record.part}', this in "
                f"'{sentence.record.part}': {elsewhere[0].similarity:.2f} of their word triples are common "
                f"(limit {SIMILAR})"
            )
            places = (place, *(located[likeness.number][0] for likeness in elsewhere))
            findings.append(Finding("error", "near-leak", message, places, "split", _LEAK))
        known.add(sentence.text)
    return findings


def _thin_classes(records: Sequence[Record], taxonomy: Taxonomy) -> list[Finding]:
    training = [record for record in records if record.part == "train"]
    if not training:
        message = "no record is in the part 'train', so nothing can be trained on these files"
        return [Finding("warning", "class-count", message)] if records else []
    return [finding for target in taxonomy for finding in _thin_classes_of(target, training)]


def _thin_classes_of(target: Target, training: Sequence[Record]) -> list[Finding]:
    read = [record for record in training if target.id in record.labels]
    if not read:
        message = f"no training sentence was read for '{target.id}', so it cannot be trained"
        return [Finding("warning", "class-count", message, field=f"labels.{target.id}")]
    sentences = Counter(record.labels[target.id] or UNRELATED for record in read)
    groups = Counter(label for label, _ in {(record.labels[target.id] or UNRELATED, record.unit) for record in read})
    return [
        Finding(
            "warning",
            "class-count",
            f"'{outcome}' of {target.id} has {sentences[outcome]} training sentences of {groups[outcome]} groups; "
            f"fewer than {FEWEST_SENTENCES} sentences or {FEWEST_GROUPS} groups are too few to learn and to measure it",
            field=f"labels.{target.id}",
            hint="`stance labels next` finds sentences that may be of rare classes.",
        )
        for outcome in target.outcomes
        if sentences[outcome] < FEWEST_SENTENCES or groups[outcome] < FEWEST_GROUPS
    ]

"""The project's own label files, and the two documents that describe them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

import pytest

from labels.corpus import Sentence, load_corpus, resolve
from labels.records import DEFAULT_LABELS, Record, read_records
from labels.taxonomy import Target, load_taxonomy
from tests.conftest import PROJECT

TAXONOMY = load_taxonomy()
NAMES = ("authored", "contrast", "news", "news-more", "seeds")
CODEBOOK = (PROJECT / "labels" / "codebook.md").read_text(encoding="utf8")


@pytest.fixture(scope="module")
def files() -> dict[str, list[Record]]:
    return {name: read_records([DEFAULT_LABELS / f"{name}.jsonl"], TAXONOMY) for name in NAMES}


@pytest.fixture(scope="module")
def standoff(files: dict[str, list[Record]], shared_corpus: Path) -> tuple[Sentence, ...]:
    resolution = resolve(files["news"] + files["news-more"] + files["seeds"], load_corpus(shared_corpus))
    assert not resolution.missing
    return resolution.sentences


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def _normal(text: str | None) -> str:
    return " ".join(_words(text or ""))


def test_ids_are_distinct_and_groups_whole_over_all_files(files: dict[str, list[Record]]) -> None:
    together = read_records([DEFAULT_LABELS / f"{name}.jsonl" for name in NAMES], TAXONOMY)
    assert len({record.id for record in together}) == sum(map(len, files.values()))


def test_every_sentence_was_read_for_every_target(files: dict[str, list[Record]]) -> None:
    for record in (record for records in files.values() for record in records):
        for labels in (record.labels, *(annotation.labels for annotation in record.annotations)):
            assert set(labels) == set(TAXONOMY.ids), record.id


def test_no_class_is_rare_among_the_authored_sentences(files: dict[str, list[Record]]) -> None:
    assert len(files["authored"]) >= 1500
    for target in TAXONOMY:
        counts = Counter(record.labels[target.id] for record in files["authored"])
        assert {label: count for label in (*target.classes, None) if (count := counts[label]) < 30} == {}, target.id


def test_written_sentences_were_read_twice(files: dict[str, list[Record]]) -> None:
    for record in files["authored"] + files["contrast"]:
        assert len({annotation.annotator for annotation in record.annotations}) == 2, record.id


def test_a_decision_departs_from_the_passes_only_where_they_differ(files: dict[str, list[Record]]) -> None:
    for record in files["authored"] + files["contrast"]:
        passes = [annotation.labels for annotation in record.annotations]
        assert record.decided == ("agreed" if passes[0] == passes[1] else "adjudicated"), record.id
        for target_id in TAXONOMY.ids:
            said = {labels[target_id] for labels in passes}
            assert len(said) > 1 or record.labels[target_id] in said, (record.id, target_id)


def test_an_unrelated_sentence_touches_nothing(files: dict[str, list[Record]]) -> None:
    overall = [target.id for target in TAXONOMY if target.scope == "overall"]
    for record in files["authored"] + files["contrast"]:
        if all(record.labels[target_id] is None for target_id in overall):
            assert not any(record.labels.values()), record.id


def test_no_written_sentence_stands_twice_or_nearly_in_training_and_contrast(files: dict[str, list[Record]]) -> None:
    texts = Counter(_normal(record.text) for record in files["authored"] + files["contrast"])
    assert [text for text, count in texts.items() if count > 1] == []
    authored, contrast = ([(record.id, set(_words(record.text or ""))) for record in files[n]] for n in NAMES[:2])
    near = [(one, other) for one, a in authored for other, b in contrast if len(a & b) > 0.7 * len(a | b)]
    assert near == []


def test_contrast_sets_are_whole_and_contrast(files: dict[str, list[Record]]) -> None:
    sets: defaultdict[str, list[Record]] = defaultdict(list)
    for record in files["contrast"]:
        assert record.split == "test", record.id
        sets[record.unit].append(record)
    assert len(sets) >= 200
    for name, members in sets.items():
        assert len(members) in (2, 3), name
        assert [member.note for member in members].count("original") == 1, name
        for one, other in combinations(members, 2):
            same_allowed = {one.note, other.note} <= {"original", "holder"}
            assert same_allowed or one.labels != other.labels, (one.id, other.id)


def test_contrast_shares_no_text_with_training(files: dict[str, list[Record]], standoff: tuple[Sentence, ...]) -> None:
    trained = {_normal(record.text) for record in files["authored"]}
    trained |= {_normal(sentence.text) for sentence in standoff if sentence.record.part == "train"}
    assert [record.id for record in files["contrast"] if _normal(record.text) in trained] == []


def _windows(words: Sequence[str], size: int) -> Iterator[tuple[int, tuple[str, ...]]]:
    return ((i, tuple(words[i : i + size])) for i in range(len(words) - size + 1))


def test_no_sentence_of_the_corpus_is_tracked(standoff: tuple[Sentence, ...]) -> None:
    if not (PROJECT / ".git").exists():
        pytest.skip("needs the git repository")
    beginnings: defaultdict[tuple[str, ...], list[list[str]]] = defaultdict(list)
    for sentence in standoff:
        if len(sentence.text) >= 60:
            words = _words(sentence.text)
            beginnings[tuple(words[:5])].append(words)
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    found: list[str] = []
    for name in filter(None, listed.split("\0")):
        try:
            text = (PROJECT / name).read_text(encoding="utf8")
        except (UnicodeDecodeError, FileNotFoundError):
            continue
        # Notebooks and JSON escape line ends and quotation marks, which would stick to the next word.
        words = _words(re.sub(r"\\(n|u[0-9a-fA-F]{4})", " ", text))
        for size in {len(beginning) for beginning in beginnings}:
            for start, window in _windows(words, size):
                if any(words[start : start + len(whole)] == whole for whole in beginnings.get(window, ())):
                    found.append(f"{name}: {' '.join(window)} …")
    assert found == []


def _section(target: Target) -> str:
    parts = CODEBOOK.split(f"\n### `{target.id}`\n")
    assert len(parts) == 2, f"the codebook needs one section '### `{target.id}`'"
    return re.split(r"\n##", parts[1])[0]


def _codes(section: str) -> dict[str, str]:
    return dict(re.findall(r"^\| `(\w+)` \| (\S+) \|", section, re.MULTILINE))


def _examples(section: str) -> list[list[str]]:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    return [row for row in rows if len(row) == 5 and row[0] != "sentence" and set(row[0]) != {"-"}]


@pytest.mark.parametrize("target", list(TAXONOMY), ids=lambda target: target.id)
def test_the_codebook_shows_every_class_of_a_target(target: Target) -> None:
    section = _section(target)
    assert f"> {target.proposition}\n" in section
    assert set(_codes(section)) == set(target.classes)
    examples = _examples(section)
    assert len(examples) >= 5
    given = {code for _, posture, issues, *_ in examples for code in (posture, *issues.split())}
    assert set(_codes(section).values()) <= given


def test_examples_of_the_codebook_are_annotation_lines_by_its_own_rules(files: dict[str, list[Record]]) -> None:
    rules = [int(number) for number in re.findall(r"^(\d+)\. \*\*", CODEBOOK, re.MULTILINE)]
    assert rules == list(range(1, len(rules) + 1))
    codes = {code for target in TAXONOMY for code in _codes(_section(target)).values()}
    written = {_normal(record.text) for record in files["authored"] + files["contrast"]}
    for sentence, posture, issues, holder, decided in (row for t in TAXONOMY for row in _examples(_section(t))):
        assert posture in codes | {"U"}, sentence
        assert issues == "-" or set(issues.split()) <= codes, sentence
        assert holder in ("author", "several", "-") or holder in sentence, sentence
        assert decided == "table" or {int(number) for number in decided.split(", ")} <= set(rules), sentence
        assert _normal(sentence) not in written


def test_the_data_card_shows_what_its_commands_print() -> None:
    card = (PROJECT / "labels" / "README.md").read_text(encoding="utf8")
    commands = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", card, re.DOTALL)
    assert len(commands) == card.count("```python")
    for command, shown in commands:
        done = subprocess.run(
            [sys.executable, "-c", command], cwd=PROJECT, capture_output=True, text=True, encoding="utf8", check=False
        )
        assert done.stdout == shown, done.stderr

"""`stance labels check`: everything that is wrong with label files, in one go."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labels.checks import check_labels
from labels.errors import StanceError
from labels.near_duplicates import SIMILAR, NearDuplicates
from labels.records import read_records
from labels.taxonomy import load_taxonomy
from tests.conftest import meals_records, run_stance, write_lines

Row = dict[str, Any]
REF = {"doc": "minutes", "start": 0, "end": 4, "sha256": hashlib.sha256(b"Soup").hexdigest()}


def _row(name: str, text: str, labels: Mapping[str, str | None], **more: Any) -> Row:
    return {"id": name, "text": text, "labels": labels, **more}


def _check(folder: Path, *files: Path, code: int, more: Sequence[str | Path] = ()) -> dict[str, Any]:
    arguments = ["labels", "check", *files, "--targets", folder / "targets.yaml", "--json", *more]
    done = run_stance(*arguments, STANCE_CORPUS="")  # whoever runs the tests may have set it
    assert done.returncode == code, done.stdout + done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _found(answer: Mapping[str, Any]) -> set[tuple[str, str, int | None]]:
    return {(f["level"], f["kind"], f["places"][0]["line"] if f["places"] else None) for f in answer["findings"]}


def test_every_problem_is_found_at_once(meals: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.jsonl"
    rows: list[Row | str] = [
        _row("a", "The canteen shall cost nothing.", {"free_meals": "yes"}, group="g1"),
        "{not json",
        {"id": "", "labels": {}, "colour": "red"},
        _row("b", "Lunch is at noon.", {"dessert": "yes", "free_meals": "maybe"}, group="g2"),
        _row("a", "The bell rings at eight.", {"later_start": "contra"}, group="g3"),
        _row("c", "The canteen shall cost nothing.", {"free_meals": "no"}, group="g4"),
        _row("d", "The canteen shall cost nothing.", {"free_meals": "yes"}, group="g5"),
        _row("e", "Pupils should sleep longer on Mondays.", {"later_start": "pro"}, group="g3", split="test"),
        _row("f", "The canteen shall cost nothing.", {"later_start": None}, group="g6", split="dev"),
    ]
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    labels.write_bytes(b"\xff\n" + "\n".join(lines).encode())
    answer = _check(meals, labels, tmp_path / "absent.jsonl", code=1)
    assert {found for found in _found(answer) if found[1] != "class-count"} == {
        ("error", "json", 1),
        ("error", "json", 3),
        ("error", "schema", 4),
        ("error", "target", 5),
        ("error", "class", 5),
        ("error", "duplicate-id", 6),
        ("error", "conflict", 7),
        ("warning", "duplicate", 8),
        ("error", "group-in-two-parts", 9),
        ("error", "leak", 10),
        ("error", "file", None),
    }
    assert {f["field"] for f in answer["findings"] if f["kind"] == "schema"} == {"id", "colour"}
    assert answer["errors"] == sum(f["level"] == "error" for f in answer["findings"])


def test_a_sound_file_has_warnings_only(meals: Path, tmp_path: Path) -> None:
    rows = [row for row in meals_records() if row["split"] == "train"]
    labels = write_lines(tmp_path / "labels.jsonl", rows)
    done = run_stance("labels", "check", labels, "--targets", meals / "targets.yaml")
    assert done.returncode == 0, done.stdout
    *findings, summary = done.stdout.splitlines()
    assert "'yes' of free_meals has 12 training sentences of 6 groups" in findings[0]
    assert all(line.startswith("warning: field 'labels.") for line in findings)
    assert summary == f"{len(rows)} records: 0 errors, {len(findings)} warnings."


def test_too_few_groups_are_said_where_sentences_are_enough(meals: Path, tmp_path: Path) -> None:
    rows = [
        _row(f"{label}{i}", f"The {label} of pupil number {i}.", {"later_start": label}, group=f"g{i % groups}")
        for label, groups in (("pro", 5), ("contra", 4), (None, 5))
        for i in range(20)
    ]
    for row in rows:
        row["labels"]["free_meals"] = None
    answer = _check(meals, write_lines(tmp_path / "l.jsonl", rows), code=0)
    said = [f["message"] for f in answer["findings"] if f["field"] == "labels.later_start"]
    assert len(said) == 1
    assert "'contra' of later_start has 20 training sentences of 4 groups" in said[0]


def test_references_are_followed(meals: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "minutes.txt").write_text("Soup is served at noon.")
    rows = [
        {"id": "right", "ref": REF, "labels": {"free_meals": None}},
        {"id": "moved", "ref": {**REF, "start": 1, "end": 5}, "labels": {"free_meals": None}},
        {"id": "gone", "ref": {**REF, "doc": "lost"}, "labels": {"free_meals": None}, "group": "x"},
    ]
    labels = write_lines(tmp_path / "labels.jsonl", rows)
    found = _found(_check(meals, labels, code=1, more=["--corpus", corpus]))
    assert ("error", "other-text", 2) in found
    assert ("warning", "missing-document", 3) in found
    assert ("warning", "no-corpus", None) in _found(_check(meals, labels, code=0))


def test_versions_of_a_text_in_two_parts_are_a_leak(meals: Path, tmp_path: Path) -> None:
    text = "The mayor said on Monday that lunch at every school of the town should cost nothing at all."
    version = text.replace("on Monday", "this week").upper().replace(".", "!")
    other = "The mayor said on Tuesday that the roof of the gym has been repaired by the cook."
    rows = [
        _row("t", text, {"free_meals": "yes"}, group="one"),
        _row("same part", f"{text} Really.", {"free_meals": "yes"}, group="two"),
        _row("v", version, {"free_meals": "yes"}, group="three", split="test"),
        _row("o", other, {"free_meals": None}, group="four", split="test"),
    ]
    answer = _check(meals, write_lines(tmp_path / "l.jsonl", rows), code=1)
    leaks = [[place["id"] for place in f["places"]] for f in answer["findings"] if f["kind"] == "near-leak"]
    assert leaks == [["v", "t", "same part"]]


WORDS = st.lists(st.sampled_from(["soup", "noon", "bell", "the", "a", "free", "late"]), max_size=9).map(" ".join)


def _triples(text: str) -> set[str]:
    words = text.split()
    return {" ".join(words[i : i + 3]) for i in range(max(1, len(words) - 2))} if words else set()


@given(st.lists(WORDS, min_size=2, max_size=12))
def test_no_near_duplicate_is_a_false_alarm(texts: list[str]) -> None:
    known = NearDuplicates()
    for text in texts:
        known.add(text)
    for text in texts:
        for likeness in known.like(text):
            one, two = _triples(text), _triples(texts[likeness.number])
            assert likeness.similarity == len(one & two) / len(one | two) >= SIMILAR


def test_near_duplicates_are_found_among_many() -> None:
    known = NearDuplicates()
    texts = [" ".join(f"word{(i * 31 + j * j) % 997}" for j in range(24)) for i in range(600)]
    for text in texts:
        known.add(text)
    for number, text in enumerate(texts):
        words = text.split()
        words[number % 24] = "another"  # three triples of 22 change: similarity 19 / 25 or more
        assert number in [likeness.number for likeness in known.like(" ".join(words))]


LINES = st.lists(
    st.one_of(
        st.builds(
            lambda name, label, part: _row(name, f"Text of {name}.", {"free_meals": label}, group=name, split=part),
            st.sampled_from("abcd"),
            st.sampled_from(["yes", "no", None, "perhaps"]),
            st.sampled_from(["train", "test", "never"]),
        ).map(json.dumps),
        st.sampled_from(["", "{", "[]", "1e999", '"\\ud800"', '{"id": "z"}', "9" * 5000]),
    ),
    max_size=6,
)


@given(lines=LINES)
def test_reading_stops_at_the_first_problem_that_the_check_finds(
    lines: list[str], tmp_path_factory: pytest.TempPathFactory, meals: Path
) -> None:
    path = tmp_path_factory.getbasetemp() / "lines.jsonl"
    path.write_text("\n".join(lines))
    taxonomy = load_taxonomy(meals / "targets.yaml")
    checked = check_labels([path], taxonomy, None)
    problems = [f for f in checked.findings if f.kind not in ("class-count", "conflict", "duplicate", "leak")]
    if not problems:
        assert len(read_records([path], taxonomy)) == checked.records == sum(bool(line) for line in lines)
        return
    with pytest.raises(StanceError) as raised:
        read_records([path], taxonomy)
    first = problems[0]
    assert (raised.value.message, raised.value.line, raised.value.field) == (
        first.message,
        first.places[0].line,
        first.field,
    )


def _with_mistakes() -> tuple[list[Row], set[str]]:
    """Sentences that leave no doubt, and a few of them with the wrong label."""
    said = {"yes": "{} wants free meals for {}.", "no": "{} rejects gifts to {}.", None: "{} met {} in town."}
    names = ["Ada", "Ben", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hal", "Ida", "Jo"]
    rows = [
        _row(f"{label}-{i}", text.format(names[i % 10], names[i // 10 + 3]), {"free_meals": label, "later_start": None})
        | {"group": f"g{i % 7}"}
        for label, text in said.items()
        for i in range(40)
    ]
    wrong = {"yes-3": "no", "no-17": "yes", "None-29": "yes"}
    for row in rows:
        row["labels"]["free_meals"] = wrong.get(row["id"], row["labels"]["free_meals"])
    return rows, set(wrong)


def test_wrong_labels_are_suspected_first(meals: Path, tmp_path: Path) -> None:
    rows, wrong = _with_mistakes()
    labels = write_lines(tmp_path / "labels.jsonl", rows)
    answer = _check(meals, labels, code=0, more=["--label-errors"])
    suspects = answer["suspects"]
    assert {suspect["id"] for suspect in suspects[:3]} == wrong
    by_id = {suspect["id"]: suspect for suspect in suspects}
    assert (by_id["yes-3"]["given"], by_id["yes-3"]["suggested"]) == ("no", "yes")
    assert by_id["None-29"]["suggested"] == "unrelated"
    assert all(suspect["probability"] > suspect["given_probability"] for suspect in suspects)
    # What is kept for testing is not looked at: neither suspected nor learnt from.
    test = [{**row, "id": f"t{row['id']}", "text": f"So {row['text']}", "group": f"t{row['group']}"} for row in rows]
    for row in test:
        row |= {"split": "test", "labels": {"free_meals": "yes", "later_start": "pro"}}
    both = write_lines(tmp_path / "both.jsonl", [*rows, *test])
    done = run_stance("labels", "check", both, "--targets", meals / "targets.yaml", "--label-errors")
    table = done.stdout[done.stdout.index("labels that may be wrong") :].splitlines()
    assert table[1].split() == ["id", "target", "label", "given", "label", "suggested", "probability"]
    assert [line.split()[:5] for line in table[2:]] == [
        [s["id"], s["target"], s["given"], s["suggested"], f"{s['probability']:.2f}"] for s in suspects[:20]
    ]


def test_label_errors_need_something_to_hold_out(meals: Path, tmp_path: Path) -> None:
    rows = [{**row, "group": "all"} for row in _with_mistakes()[0]]
    labels = write_lines(tmp_path / "labels.jsonl", rows)
    done = run_stance("labels", "check", labels, "--targets", meals / "targets.yaml", "--label-errors")
    assert done.returncode == 1
    assert "at least two groups" in done.stderr


@pytest.mark.corpus
def test_of_the_projects_own_labels_only_versions_of_a_story_are_wrong(shared_corpus: Path) -> None:
    done = run_stance("labels", "check", "--corpus", shared_corpus, "--json")
    kinds = {finding["kind"] for finding in json.loads(done.stdout)["findings"]}
    assert kinds <= {"near-leak"}

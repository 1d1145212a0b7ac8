"""Deciding what annotators differ on: through a real terminal, and by a file that is filled in."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pexpect
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from labels.adjudication import Adjudication, Decision, disagreements, read_rows
from labels.codebook import codebook_sections
from labels.decisions import export_disagreements, read_decisions
from labels.errors import StanceError
from labels.taxonomy import load_taxonomy, parse_taxonomy
from tests.conftest import MEALS_TARGETS, PROJECT, run_stance, write_lines

CODEBOOK = """\
# Codebook

What `free_meals` means is said below.

### `free_meals`

Yes where somebody wants lunch to cost nothing.

#### Examples

Soup counts.

### `later_start`

Pro where somebody wants to sleep.

## Rules

Read slowly.
"""


def _row(name: str, text: str, left: Mapping[str, str | None], right: Mapping[str, str | None]) -> dict[str, Any]:
    annotations = [
        {"annotator": "left", "labels": dict(left)},
        {"annotator": "right", "labels": dict(right), "note": "hm"},
    ]
    return {"id": name, "note": "old", "labels": {}, "text": text, "annotations": annotations, "group": f"g-{name}"}


ROWS = [
    _row("r1", "The mayor wants lunch to be free.", {"free_meals": "yes"}, {"free_meals": "unsure"}),
    _row("r2", "Lunch is at noon.", {"free_meals": None, "later_start": None}, {"free_meals": None}),
    _row(
        "r3",
        "The cook\x1b[2J refused\nand the bus was late.",
        {"free_meals": "no", "later_start": None},
        {"free_meals": "yes", "later_start": "contra"},
    ),
    {"id": "r4", "text": "Rain.", "labels": {"free_meals": None}, "decided": "single"},
    {
        **_row("r5", "Soup for all.", {"free_meals": "yes"}, {"free_meals": None}),
        "labels": {"free_meals": "yes"},
        "decided": "adjudicated",
    },
    _row("r6", "Let them sleep.", {"later_start": "pro"}, {"later_start": None, "free_meals": None}),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a taxonomy, its codebook and labels of two annotators, of which r1, r3 and r6 wait."""
    (tmp_path / "targets.yaml").write_text(MEALS_TARGETS)
    (tmp_path / "codebook.md").write_text(CODEBOOK)
    write_lines(tmp_path / "labels.jsonl", ROWS)
    return tmp_path


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf8").splitlines()


def _records(path: Path) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in map(json.loads, _lines(path))}


class Sitting:
    """The command in a pseudo-terminal of its own."""

    def __init__(self, folder: Path) -> None:
        command = ["-m", "serving.cli", "labels", "adjudicate", "labels.jsonl", "--out", "out.jsonl"]
        self.child = pexpect.spawn(
            sys.executable,
            [*command, "--targets", "targets.yaml"],
            cwd=str(folder),
            env={**os.environ, "PYTHONPATH": str(PROJECT), "TERM": "dumb", "NO_COLOR": "1"},
            encoding="utf8",
            timeout=120,
            dimensions=(50, 120),
        )

    def answer(self, typed: str, question: str = r"q quit\]: ") -> str:
        """What the terminal shows up to the next question, which is answered."""
        self.child.expect(question)
        self.child.sendline(typed)
        return str(self.child.before)

    def end(self) -> str:
        self.child.expect(pexpect.EOF)
        self.child.close()
        assert self.child.exitstatus == 0
        return str(self.child.before)


@contextmanager
def _sitting(folder: Path) -> Iterator[Sitting]:
    sitting = Sitting(folder)
    try:
        yield sitting
    finally:
        sitting.child.close(force=True)


def test_a_sitting_in_a_terminal(folder: Path) -> None:
    before = _lines(folder / "labels.jsonl")
    with _sitting(folder) as sitting:
        shown = sitting.answer("maybe")
        assert "The mayor wants lunch to be free." in shown
        assert "Yes where somebody wants lunch to cost nothing." in shown
        assert re.search(r"1 yes +\(left\)\s+2 unsure +\(right\)\s+3 no\s", shown)
        assert "'maybe' is neither" in sitting.answer("n")
        sitting.answer("ask the board", "note: ")
        shown = sitting.answer("2")
        assert "cost nothing" not in shown  # the codebook is shown once, and when asked for
        shown = sitting.answer("?")
        assert "Pro where somebody" in shown
        assert "The cook�[2J refused and the bus was late." in shown
        shown = sitting.answer("no")
        assert "Soup counts." in shown
        assert shown.index("Soup counts.") < shown.index("The cook�[2J refused")  # the sentence stays in sight
        assert "Later start: " in sitting.answer("u")  # within the sentence: back to the first question
        sitting.answer("1")
        sitting.answer("unrelated")
        assert "Let them sleep." in sitting.answer("u")
        assert "taken back: r3" in sitting.answer("yes")
        sitting.answer("contra")
        assert "Let them sleep." in sitting.answer("s")
        assert "out.jsonl: 2 of 3 disagreements decided" in sitting.end()
    out = _records(folder / "out.jsonl")
    assert out["r1"]["labels"] == {"free_meals": "unsure"}
    assert out["r1"]["note"] == "old / ask the board"
    assert out["r3"]["labels"] == {"free_meals": "yes", "later_start": "contra"}
    for name in ("r1", "r3"):
        original = next(row for row in ROWS if row["id"] == name)
        assert out[name]["decided"] == "adjudicated"
        assert {**out[name], "labels": 0, "note": 0} == {**original, "labels": 0, "note": 0, "decided": "adjudicated"}
        assert list(out[name])[:-1] == list(original)
    after = _lines(folder / "out.jsonl")
    assert [after[i] for i in (1, 3, 4, 5)] == [before[i] for i in (1, 3, 4, 5)]
    assert _lines(folder / "labels.jsonl") == before


def test_what_was_recorded_outlives_the_process_and_is_gone_on_from(folder: Path) -> None:
    with _sitting(folder) as sitting:
        sitting.answer("no")
        sitting.child.expect("recorded")
        sitting.child.kill(signal.SIGKILL)
        sitting.child.expect(pexpect.EOF)
    assert _records(folder / "out.jsonl")["r1"]["labels"] == {"free_meals": "no"}
    with _sitting(folder) as sitting:
        assert "The cook" in sitting.answer("1")
        sitting.answer("q")
        ended = sitting.end()
        assert "not recorded" in ended
        assert "1 of 3" in ended
    with _sitting(folder) as sitting:
        assert "The cook" in sitting.answer("u")
        shown = sitting.answer("")  # an earlier sitting's decision is taken back
        assert "taken back: r1" in shown
        assert "The mayor" in shown
        assert _lines(folder / "out.jsonl") == _lines(folder / "labels.jsonl")
        sitting.child.expect(r"q quit\]: ")
        sitting.child.sendeof()
        assert "0 of 3" in sitting.end()


def test_without_a_terminal_nothing_is_written(folder: Path) -> None:
    arguments = [folder / "labels.jsonl", "--out", folder / "out.jsonl", "--targets", folder / "targets.yaml"]
    done = run_stance("labels", "adjudicate", *arguments, stdin="1\n1\n1\n")
    assert done.returncode == 1
    assert "--export" in done.stderr
    assert not (folder / "out.jsonl").exists()


def test_by_a_file_that_is_filled_in(folder: Path) -> None:
    """Two annotators' own files; what is left open in the first round is exported again from its outcome."""
    for who in (0, 1):
        rows = [
            {"id": f"{who}{row['id']}", "text": row["text"], "labels": row["annotations"][who]["labels"]}
            for row in ROWS
            if row.get("annotations")
        ]
        write_lines(folder / f"{'ab'[who]}.jsonl", rows)
    targets = ["--targets", folder / "targets.yaml"]
    form, out = folder / "form.jsonl", folder / "out.jsonl"
    done = run_stance("labels", "adjudicate", folder / "a.jsonl", folder / "b.jsonl", "--export", form, *targets)
    assert done.returncode == 0, done.stderr
    rows = list(_records(form).values())
    assert [row["id"] for row in rows] == ["0r1", "0r3", "0r5", "0r6"]
    assert rows[1]["decision"] == {"free_meals": "", "later_start": ""}
    assert rows[1]["text"] == ROWS[2]["text"]
    rows[0] |= {"decision": {"free_meals": "no"}, "note": "both missed it"}
    rows[1]["decision"] = {"free_meals": None, "later_start": "unrelated"}
    write_lines(form, rows)
    command = ["labels", "adjudicate", folder / "a.jsonl", folder / "b.jsonl", "--out", out, *targets]
    done = run_stance(*command, "--decisions", form)
    assert done.returncode == 0, done.stderr
    assert "2 of 4" in done.stdout
    records = _records(out)
    assert (records["0r1"]["labels"], records["0r1"]["note"]) == ({"free_meals": "no"}, "both missed it")
    assert records["0r3"]["labels"] == {"free_meals": None, "later_start": None}
    assert [a["annotator"] for a in records["0r3"]["annotations"]] == ["a", "b"]
    # What is not decided is not read; what was never in dispute stands.
    assert (records["0r6"]["labels"], records["0r2"]["decided"]) == ({"free_meals": None}, "agreed")
    done = run_stance("labels", "adjudicate", out, "--export", folder / "rest.jsonl", *targets)
    assert list(_records(folder / "rest.jsonl")) == ["0r5", "0r6"]


def _r3(**change: Any) -> dict[str, Any]:
    return {"id": "r3", "decision": {"free_meals": "no", "later_start": None}, **change}


@pytest.mark.parametrize(
    ("line", "field", "says"),
    [
        ("{", "", "is not JSON"),
        ({"id": "r3"}, "decision", "required"),
        (_r3(label="no"), "label", ""),
        (_r3(id="r9"), "id", "'r9' is not among"),
        (_r3(id="r4"), "id", "'r4' is not among"),
        (_r3(id="r5"), "id", "'r5' is not among"),
        ({"id": "r1", "decision": {"free_meals": "no"}}, "id", "also at line 1"),
        (_r3(decision={"free_meals": "no", "later_start": ""}), "decision.later_start", "is not decided"),
        (_r3(decision={"free_meals": "no"}), "decision.later_start", "is not decided"),
        (_r3(decision={"free_meals": "nope", "later_start": None}), "decision.free_meals", "'nope'"),
        (_r3(decision={"free_meals": 1, "later_start": None}), "decision.free_meals", "string"),
        (_r3(decision={"free_meals": "no", "taxes": "no"}), "decision.taxes", "not a target they differ on"),
        (_r3(annotations=[{"annotator": "left", "labels": {}}]), "annotations", "exported from other labels"),
    ],
)
def test_decisions_are_applied_all_or_none(line: Any, field: str, says: str, folder: Path) -> None:
    taxonomy = load_taxonomy(folder / "targets.yaml")
    rows, _ = read_rows([folder / "labels.jsonl"], taxonomy)
    filled = write_lines(folder / "filled.jsonl", [{"id": "r1", "decision": {"free_meals": "no"}}])
    with filled.open("a") as stream:
        stream.write(line if isinstance(line, str) else json.dumps(line))
    with pytest.raises(StanceError) as caught:
        read_decisions(filled, disagreements((row.record for row in rows), taxonomy), taxonomy)
    assert str(caught.value).startswith(f"{filled}:2" + (f", field '{field}': " if field else ""))
    assert says in str(caught.value)


def test_wrong_decisions_leave_no_file(folder: Path) -> None:
    filled = write_lines(folder / "filled.jsonl", [_r3(), {"id": "r1", "decision": {"free_meals": "perhaps"}}])
    arguments = [folder / "labels.jsonl", "--out", folder / "out.jsonl", "--targets", folder / "targets.yaml"]
    done = run_stance("labels", "adjudicate", *arguments, "--decisions", filled)
    assert done.returncode == 1
    assert f"{filled}:2, field 'decision.free_meals'" in done.stderr
    assert not (folder / "out.jsonl").exists()


def _adjudication(folder: Path, out: str = "out.jsonl") -> Adjudication:
    taxonomy = load_taxonomy(folder / "targets.yaml")
    return Adjudication(read_rows([folder / "labels.jsonl"], taxonomy)[0], taxonomy, folder / out)


def test_a_decision_can_be_made_again(folder: Path) -> None:
    adjudication = _adjudication(folder)
    adjudication.decide([Decision("r1", {"free_meals": "no"}, "first"), Decision("r6", {"later_start": None})])
    adjudication.decide([Decision("r1", {"free_meals": None}, "second")])
    now = _records(folder / "out.jsonl")["r1"]
    assert (now["labels"], now["note"]) == ({"free_meals": None}, "old / second")
    undone = [adjudication.undo(), adjudication.undo(), adjudication.undo()]
    assert [d and d.record.id for d in undone] == ["r1", "r6", None]
    assert _lines(folder / "out.jsonl") == _lines(folder / "labels.jsonl")


def test_another_file_is_not_taken_for_an_adjudication(folder: Path) -> None:
    changed = json.loads(json.dumps(ROWS))
    changed[0]["annotations"][0]["labels"] = {"free_meals": "no"}
    for name, rows in (("other.jsonl", changed), ("more.jsonl", [*ROWS, {"id": "x", "text": "X.", "labels": {}}])):
        before = write_lines(folder / name, rows).read_bytes()
        with pytest.raises(StanceError, match="not the adjudication of these records"):
            _adjudication(folder, name)
        assert (folder / name).read_bytes() == before


def test_two_sittings_at_once_do_not_undo_each_other(folder: Path) -> None:
    first, second = _adjudication(folder), _adjudication(folder)
    first.decide([Decision("r1", {"free_meals": "no"})])
    with pytest.raises(StanceError, match="changed by somebody else"):
        second.decide([Decision("r6", {"later_start": "pro"})])
    assert [d.record.id for d in _adjudication(folder).open] == ["r3", "r6"]


def test_in_place(folder: Path) -> None:
    _adjudication(folder, "labels.jsonl").decide([Decision("r1", {"free_meals": "no"})])
    assert _records(folder / "labels.jsonl")["r1"]["labels"] == {"free_meals": "no"}
    assert [d.record.id for d in _adjudication(folder, "labels.jsonl").disagreements] == ["r3", "r6"]


def test_a_filled_in_form_is_not_written_over(folder: Path) -> None:
    form = folder / "form.jsonl"
    form.write_text("a day's work\n")
    with pytest.raises(StanceError, match="is there already"):
        export_disagreements(_adjudication(folder).disagreements, {}, form)
    assert form.read_text() == "a day's work\n"


def test_sections_of_the_codebook(folder: Path) -> None:
    sections = codebook_sections(folder / "targets.yaml", ["free_meals", "later_start", "taxes"])
    assert sections == {
        "free_meals": "Yes where somebody wants lunch to cost nothing.\n\n#### Examples\n\nSoup counts.",
        "later_start": "Pro where somebody wants to sleep.",
    }
    (folder / "codebook.md").unlink()
    assert codebook_sections(folder / "targets.yaml", ["free_meals"]) == {}


_LABELS = st.fixed_dictionaries(
    {},
    optional={
        "free_meals": st.sampled_from(["yes", "unsure", "no", None]),
        "later_start": st.sampled_from(["pro", "contra", None]),
    },
)


@settings(max_examples=60)
@given(
    said=st.lists(st.tuples(_LABELS, _LABELS, _LABELS), min_size=1, max_size=5),
    random=st.randoms(use_true_random=False),
)
def test_every_disagreement_can_be_decided(
    said: list[tuple[dict[str, str | None], ...]], random: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, taxonomy = tmp_path_factory.mktemp("any"), parse_taxonomy(yaml.safe_load(MEALS_TARGETS))
    rows = [
        {"id": f"r{i}", "text": f"Text {i}.", "labels": {}, "annotations": [
            {"annotator": name, "labels": labels} for name, labels in zip("abc", three, strict=True)]}
        for i, three in enumerate(said)
    ]  # fmt: skip
    labels, form, out = write_lines(folder / "labels.jsonl", rows), folder / "form.jsonl", folder / "out.jsonl"
    read, _ = read_rows([labels], taxonomy)
    waiting = disagreements((row.record for row in read), taxonomy)
    assert export_disagreements(waiting, {}, form) == len(waiting)
    filled = list(_records(form).values())
    for line in filled:
        line["decision"] = {t: random.choice(taxonomy[t].outcomes) for t in line["decision"]}
    decisions = read_decisions(write_lines(form, filled), waiting, taxonomy)
    Adjudication(read, taxonomy, out).decide(decisions)

    assert not Adjudication(read, taxonomy, out).open
    chosen = {line["id"]: line["decision"] for line in filled}
    for row, before, three in zip(_records(out).values(), rows, said, strict=True):
        assert row["annotations"] == before["annotations"]
        for target_id in taxonomy.ids:
            read_as = {labels[target_id] for labels in three if target_id in labels}
            if len(read_as) > 1:
                assert (row["labels"][target_id] or "unrelated") == chosen[row["id"]][target_id]
            elif row["id"] in chosen:
                assert [row["labels"][t] for t in [target_id] if t in row["labels"]] == list(read_as)

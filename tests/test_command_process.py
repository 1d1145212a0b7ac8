"""A command in a fork does what it does in a process from nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import run_stance, write_lines


@pytest.mark.parametrize(
    ("arguments", "stdin", "returncode"),
    [
        (("labels", "resolve", "--labels", "here.jsonl"), None, 0),
        (("labels", "resolve", "--labels", "nowhere.jsonl"), None, 1),
        (("labels", "adjudicate", "here.jsonl"), "x\r\nq\n", None),
        (("score", "--file", "here.jsonl", "--json", "Ωμέγα «nein» 🕊"), None, 2),
        (("nothing-of-the-kind",), None, 2),
        ((), None, None),
    ],
)
def test_a_fork_does_as_a_process_from_nothing(
    tmp_path: Path, arguments: tuple[str, ...], stdin: str | None, returncode: int | None
) -> None:
    write_lines(tmp_path / "here.jsonl", [{"id": "a", "text": "Ωμέγα «nein» 🕊.", "labels": {}}])
    done = [
        run_stance(*arguments, stdin=stdin, cwd=tmp_path, STANCE_HOME=str(tmp_path / "home"), **variables)
        for variables in ({}, {"PYTHONHASHSEED": "1"})
    ]
    outcomes = [(each.returncode, each.stdout, each.stderr) for each in done]
    assert outcomes[0] == outcomes[1]
    assert returncode in (None, done[0].returncode), done[0].stderr
    assert done[0].stdout or done[0].stderr

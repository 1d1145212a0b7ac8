"""`stance score`: lines in, lines out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from tokenizers import Encoding

from serving.scoring import score_texts
from tests.conftest import run_stance, write_lines
from training.encoder import SentenceEncoder
from training.model_folder import load_model


def test_a_line_out_for_each_line_in(meals_model: Path, tmp_path: Path) -> None:
    rows = [{"id": n, "text": f"Lunch number {n} is free."} for n in (3, 1, 2)] + [{"text": "No id."}]
    path = write_lines(tmp_path / "in.jsonl", rows)
    done = run_stance("score", "--model", meals_model, "--file", path, "--json")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer.get("id") for answer in answers] == [3, 1, 2, None]
    assert "id" not in answers[3]
    for answer in answers:
        assert list(answer["targets"]) == ["free_meals", "later_start"]
        assert set(answer["targets"]["free_meals"]) == {"label", "abstained", "score", "probabilities"}


def test_each_text_is_tokenised_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    tokenize = SentenceEncoder.tokenize

    def counted(encoder: SentenceEncoder, texts: Sequence[str]) -> list[Encoding]:
        read.extend(texts)
        return tokenize(encoder, texts)

    monkeypatch.setattr(SentenceEncoder, "tokenize", counted)
    texts = ["Talks will resume in May.", "word " * 400, "No."]
    answers = score_texts(load_model(), texts)
    assert sorted(read) == sorted(texts)
    assert [answer["truncated"] for answer in answers] == [False, True, False]


def test_plain_lines_and_standard_input(meals_model: Path, tmp_path: Path) -> None:
    lines = "The cook wants the canteen to cost nothing.\n\nThe choir of the council sang on Monday.\n"
    (tmp_path / "lines.txt").write_text(lines)
    from_file = run_stance("score", "--model", meals_model, "--file", tmp_path / "lines.txt")
    from_stream = run_stance("score", "--model", meals_model, "-", stdin=lines)
    assert from_file.stdout == from_stream.stdout
    assert from_file.returncode == from_stream.returncode == 0
    assert "free_meals" in from_file.stdout
    assert "yes" in from_file.stdout


def test_brackets_in_a_text_are_text(meals_model: Path) -> None:
    done = run_stance("score", "--model", meals_model, "Lunch [red]is[/red] free [sic].")
    assert done.stdout.startswith("Lunch [red]is[/red] free [sic].\n")


@pytest.mark.parametrize(
    ("content", "line", "says"),
    [
        ('{"text": "a"}\n{"text": ""}\n', 2, "'text'"),
        ('{"text": "a"}\n\n{"txt": "b"}\n', 3, "'text'"),
        ('{"text": "a"}\nb\n', 2, "not JSON"),
        ('{"text": "a"}\n["b"]\n', 2, "object"),
        ('{"text": "\\ud800"}\n', 1, "surrogate"),
        ("\n \n", None, "holds no text"),
    ],
)
def test_bad_lines_are_named_and_nothing_is_scored(
    content: str, line: int | None, says: str, meals_model: Path, tmp_path: Path
) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(content)
    done = run_stance("score", "--model", meals_model, "--file", path, "--json")
    assert done.returncode == 1
    assert done.stdout == ""
    assert f"{path}:{line}" in done.stderr if line else str(path) in done.stderr
    assert says in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [[], ["a text", "--file", "x.jsonl"], ["a text", "--target", "weather"]],
)
def test_wrong_usage_exits_with_2(arguments: list[str], meals_model: Path) -> None:
    assert run_stance("score", "--model", meals_model, *arguments).returncode == 2

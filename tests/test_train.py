"""Training through the command line, on another taxonomy than the project's own."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PROJECT, meals_records, run_stance, write_lines


def _train(folder: Path, labels: Path, out: Path, **environment: str) -> None:
    arguments = ["--labels", labels, "--targets", folder / "targets.yaml", "--recipe", "floor", "--out", out]
    done = run_stance("train", *arguments, **environment)
    assert done.returncode == 0, done.stderr


def _contents(folder: Path) -> dict[str, Any]:
    """What a model folder holds, but for how long its training took."""
    contents: dict[str, Any] = {path.name: path.read_bytes() for path in folder.iterdir()}
    about = json.loads(contents["model.json"])
    assert about["data"].pop("training")["seconds"] >= 0
    return {**contents, "model.json": about}


def test_another_taxonomy_gives_another_classifier(meals_model: Path) -> None:
    texts = "The cook wants the canteen to cost nothing.\nThe bus of the cook was late.\n"
    done = run_stance("score", "--model", meals_model, "--json", "-", stdin=texts)
    meals, bus = (json.loads(line)["targets"] for line in done.stdout.splitlines())
    assert list(meals) == ["free_meals", "later_start"]
    assert meals["free_meals"]["label"] == "yes"
    assert meals["free_meals"]["score"] > 0.2
    assert bus["later_start"]["label"] == "unrelated"
    assert set(bus["later_start"]["probabilities"]) == {"unrelated", "pro", "contra"}


def test_the_same_input_gives_the_same_model(meals: Path, meals_model: Path, tmp_path: Path) -> None:
    shuffled = write_lines(tmp_path / "labels.jsonl", meals_records())
    _train(meals, shuffled, tmp_path / "model", PYTHONHASHSEED="1")
    assert _contents(tmp_path / "model") == _contents(meals_model)


def test_the_test_part_is_not_learnt_from(meals: Path, meals_model: Path, tmp_path: Path) -> None:
    rows = meals_records()
    for row in rows:
        if row["split"] == "test":
            row["labels"] = {"free_meals": "no", "later_start": "contra"}
    _train(meals, write_lines(tmp_path / "labels.jsonl", rows), tmp_path / "model", PYTHONHASHSEED="2")
    for name in ("weights.safetensors", "estimator.json", "decision.json", "metrics.json"):
        assert (tmp_path / "model" / name).read_bytes() == (meals_model / name).read_bytes()


def test_a_target_that_was_not_read_is_not_learnt_as_untouched(meals: Path, tmp_path: Path) -> None:
    rows = meals_records()
    _train(meals, write_lines(tmp_path / "missing.jsonl", rows), tmp_path / "missing")
    for row in rows:
        row["labels"] = {"later_start": None, **row["labels"]}
    _train(meals, write_lines(tmp_path / "null.jsonl", rows), tmp_path / "null")
    counts = [
        json.loads((tmp_path / name / "model.json").read_text())["data"]["classes"]["later_start"]
        for name in ("missing", "null")
    ]
    assert counts[0]["not read"] > 0
    assert counts[1]["not read"] == 0
    assert counts[1]["unrelated"] == counts[0]["unrelated"] + counts[0]["not read"]
    weights = [(tmp_path / name / "weights.safetensors").read_bytes() for name in ("missing", "null")]
    assert weights[0] != weights[1]


def test_nothing_to_train_on_is_said(meals: Path, tmp_path: Path) -> None:
    record = {
        "id": "r",
        "ref": {"doc": "gone", "start": 0, "end": 4, "sha256": "0" * 64},
        "labels": {"free_meals": "yes", "later_start": None},
    }
    labels = write_lines(tmp_path / "labels.jsonl", [record])
    done = run_stance("train", "--labels", labels, "--targets", meals / "targets.yaml", "--out", tmp_path / "model")
    assert done.returncode == 1
    assert "no training sentence is at hand (1 records point into 1 documents that are not)" in done.stderr
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(("part", "command"), [("test", "train"), ("train", "evaluate")])
def test_a_part_without_records_is_named(
    meals_model: Path, meals: Path, tmp_path: Path, part: str, command: str
) -> None:
    """Nothing is said of a corpus where no record points into one."""
    labels = write_lines(tmp_path / "labels.jsonl", [row | {"split": part} for row in meals_records()])
    given = ("--targets", meals / "targets.yaml") if command == "train" else ("--model", meals_model)
    done = run_stance(command, "--labels", labels, *given, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "is in the label files" in done.stderr
    assert "split" in done.stderr
    assert "corpus" not in done.stderr


def test_labels_of_targets_that_the_taxonomy_lacks_can_be_left_out(meals: Path, tmp_path: Path) -> None:
    rows = [row | {"labels": row["labels"] | {"longer_breaks": "pro"}} for row in meals_records()]
    labels = write_lines(tmp_path / "labels.jsonl", rows)
    given = (
        "train",
        "--labels",
        labels,
        "--targets",
        meals / "targets.yaml",
        "--recipe",
        "floor",
        "--out",
        tmp_path / "m",
    )
    refused = run_stance(*given)
    assert refused.returncode == 1
    assert "longer_breaks" in refused.stderr
    assert "--skip-unknown-targets" in refused.stderr
    done = run_stance(*given, "--skip-unknown-targets", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["data"]["sentences"] == sum(row["split"] == "train" for row in rows)


def test_a_target_without_labels_is_named(meals: Path, tmp_path: Path) -> None:
    rows = [row for row in meals_records() if "later_start" not in row["labels"]]
    labels = write_lines(tmp_path / "labels.jsonl", rows)
    done = run_stance(
        "train", "--labels", labels, "--targets", meals / "targets.yaml", "--recipe", "floor", "--out", tmp_path / "m"
    )
    assert done.returncode == 1
    assert "'later_start'" in done.stderr
    assert not (tmp_path / "m").exists()


def test_out_does_not_overwrite_what_is_not_a_model(meals: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    labels = ["--labels", meals / "labels.jsonl", "--targets", meals / "targets.yaml"]
    done = run_stance("train", *labels, "--recipe", "floor", "--out", tmp_path)
    assert done.returncode == 1
    assert "is not a model" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_unknown_recipe(tmp_path: Path) -> None:
    done = run_stance("train", "--recipe", "magic", "--out", tmp_path / "model")
    assert done.returncode == 1
    assert "no recipe 'magic'" in done.stderr
    assert "frozen-encoder" in done.stderr


def test_what_serving_lacks_is_named(meals: Path, tmp_path: Path) -> None:
    (tmp_path / "datasets.py").write_text("raise ModuleNotFoundError('no datasets', name='datasets')")
    labels = ["--labels", meals / "labels.jsonl", "--targets", meals / "targets.yaml"]
    path = f"{tmp_path}{os.pathsep}{PROJECT}"
    done = run_stance("train", *labels, "--recipe", "floor", "--out", tmp_path / "model", PYTHONPATH=path)
    assert done.returncode == 1
    assert "needs the package datasets" in done.stderr
    assert "[train]" in done.stderr


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("seed: many", "seed"),
        ("fold: 3", "fold"),
        ("encoder: minilm", "field 'encoder'"),
        ("heads: {c: [-1], balance: [0]}", "heads.c.0"),
        ("decision: {objective: precision}", "'precision'"),
        ("decision: {objective: f1, precision: 0.8}", "'precision'"),
        ("decision: {objective: precision, precision: 80}", "decision.precision"),
        ("decision: {objective: recall}", "decision.objective"),
        ("abstention: {error_rate: 0}", "abstention.error_rate"),
    ],
)
def test_a_recipe_is_checked_when_it_is_read(change: str, says: str, tmp_path: Path) -> None:
    recipe = tmp_path / "mine.yaml"
    base = {"name": "mine", "title": "Mine", "family": "tfidf", "heads": "{c: [1], balance: [0]}"}
    key, value = change.split(": ", 1)
    recipe.write_text("".join(f"{k}: {v}\n" for k, v in {**base, key: value}.items()))
    done = run_stance("train", "--recipe", recipe, "--out", tmp_path / "model")
    assert done.returncode == 1
    assert str(recipe) in done.stderr
    assert says in done.stderr

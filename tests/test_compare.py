"""`stance compare` and `stance recipes`, and the tests of significance against those of scipy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from tests.conftest import meals_records, run_stance, write_lines
from training.comparison import holm, mcnemar_p


@given(st.integers(0, 400), st.integers(0, 400))
def test_mcnemar_is_a_binomial_test_of_the_discordant_sentences(only_a: int, only_b: int) -> None:
    expected = binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1
    assert mcnemar_p(only_a, only_b) == pytest.approx(expected)


def test_mcnemar_of_very_many_sentences_is_a_number() -> None:
    assert 0 <= mcnemar_p(4000, 9000) < 1e-9
    assert mcnemar_p(6000, 6000) == 1


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_keeps_the_order_and_never_lowers(p: list[float]) -> None:
    corrected = holm(p)
    assert all(before <= after <= 1 for before, after in zip(p, corrected, strict=True))
    by_p = [after for _, after in sorted(zip(p, corrected, strict=True))]
    assert by_p == sorted(by_p)


@pytest.fixture(scope="module")
def mild(meals: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has hardly learnt anything, of the same taxonomy as `meals_model`."""
    folder = tmp_path_factory.mktemp("mild")
    recipe = folder / "mild.yaml"
    recipe.write_text("name: mild\ntitle: Mild\nfamily: tfidf\nfolds: 3\nheads: {c: [0.02], balance: [0]}\n")
    arguments = ["--labels", meals / "labels.jsonl", "--targets", meals / "targets.yaml", "--recipe", recipe]
    done = run_stance("train", *arguments, "--out", folder / "model")
    assert done.returncode == 0, done.stderr
    return folder / "model"


def test_two_models_on_the_same_sentences(meals: Path, meals_model: Path, mild: Path, tmp_path: Path) -> None:
    labels = ["--labels", meals / "labels.jsonl"]
    done = run_stance("compare", meals_model, mild, *labels, "--out", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    compared = json.loads(done.stdout)
    assert json.loads((tmp_path / "out" / "comparison.json").read_text()) == compared
    tested = [row for row in meals_records() if row["split"] == "test"]
    assert compared["sentences"] == len(tested)
    assert compared["groups"] == 2
    gain = compared["a_minus_b"]["overall"]["mean_macro_f1"]
    assert gain["value"] == pytest.approx(
        compared["a"]["overall"]["mean_macro_f1"]["value"] - compared["b"]["overall"]["mean_macro_f1"]["value"],
        abs=2e-4,
    )
    assert gain["low"] > 0
    for target_id, test in compared["mcnemar"].items():
        assert test["only_a"] > test["only_b"]
        assert test["p"] <= test["p_holm"] <= 1
        right = [
            sum(row[i] for i, row in enumerate(compared[name]["targets"][target_id]["confusion"])) for name in "ab"
        ]
        assert test["only_a"] - test["only_b"] == right[0] - right[1]
    poles = {"free_meals": {"yes", "no"}, "later_start": {"pro", "contra"}}
    assert compared["changed_sides"]
    for changed in compared["changed_sides"]:
        assert {changed["a"], changed["b"]} == poles[changed["target"]]
        assert "text" not in changed
    page = (tmp_path / "out" / "comparison.html").read_text(encoding="utf8")
    assert compared["models"]["a"]["version"] in page
    assert not any(row["text"] in page for row in tested)


def test_for_people_it_says_the_same(meals: Path, meals_model: Path, mild: Path, tmp_path: Path) -> None:
    asked = ["compare", meals_model, mild, "--labels", meals / "labels.jsonl"]
    compared = json.loads(run_stance(*asked, "--json").stdout)
    done = run_stance(*asked, "--out", tmp_path / "out", COLUMNS="200")
    assert done.returncode == 0, done.stderr
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert lines[0] == f"wrote {tmp_path / 'out' / 'comparison.html'}"
    rows = {line.split("  ")[0]: line for line in lines}
    for target_id, minus in compared["a_minus_b"]["targets"].items():
        assert f"{minus['macro_f1']['value']:.2f} [{minus['macro_f1']['low']:.2f}, " in rows[target_id]
        assert rows[target_id].endswith(f"{compared['mcnemar'][target_id]['p_holm']:.3f}")
    assert f"{compared['a']['overall']['issue_side_f1']['value']:.2f} [" in rows["(issue, side) micro-F1"]
    assert lines[-1] == f"on opposite sides: {len(compared['changed_sides'])} answers"


def test_what_either_was_trained_on_is_left_out(meals: Path, meals_model: Path, mild: Path, tmp_path: Path) -> None:
    rows = meals_records()
    tested = sum(row["split"] == "test" for row in rows)
    seen = {**next(row for row in rows if row["split"] == "train"), "id": "seen", "group": "minutes-6", "split": "test"}
    labels = write_lines(tmp_path / "labels.jsonl", [row for row in rows if row["split"] == "test"] + [seen])
    done = run_stance("compare", meals_model, mild, "--labels", labels, "--json")
    assert done.returncode == 0, done.stderr
    compared = json.loads(done.stdout)
    assert (compared["sentences"], compared["left_out_as_trained_on"]) == (tested, 1)
    only = write_lines(tmp_path / "only.jsonl", [seen])
    done = run_stance("compare", meals_model, mild, "--labels", only, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "was trained on all" in done.stderr
    assert not (tmp_path / "out").exists()


def test_models_of_different_targets_cannot_be_compared(meals: Path, meals_model: Path) -> None:
    done = run_stance("compare", meals_model, "training/default_model", "--labels", meals / "labels.jsonl")
    assert done.returncode == 1
    assert "different targets" in done.stderr


def test_recipes_side_by_side(meals_model: Path, mild: Path) -> None:
    models = ["--models", meals_model, mild]
    done = run_stance("recipes", *models, "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [row["recipe"] for row in rows] == ["floor", "mild"]
    for row, folder in zip(rows, (meals_model, mild), strict=True):
        metrics = json.loads((folder / "metrics.json").read_text())
        assert row["mean_macro_f1"] == metrics["overall"]["mean_macro_f1"]
        assert row["overall_scope"] == {}
    done = run_stance("recipes", *models, "--markdown")
    head, line, *table = done.stdout.splitlines()
    assert head.startswith("| model | recipe | sentences |")
    assert {text.count("|") for text in (head, line, *table)} == {head.count("|")}
    assert len(table) == 2
    assert f"{rows[1]['mean_macro_f1']['value']:.2f} [" in table[1]
    assert "different sentences" not in done.stderr


def test_the_reading_of_the_whole_sentence_has_its_column(meals_model: Path) -> None:
    done = run_stance("recipes", "--models", meals_model, "training/default_model")
    assert done.returncode == 0, done.stderr
    assert "posture macro-F1" in done.stdout
    assert "–" in next(line for line in done.stdout.splitlines() if "floor" in line)
    assert "different sentences" in done.stderr

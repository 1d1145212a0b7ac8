"""Learning curves: on held-out groups, resumed from the cache, with a peer and a known model beside."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labels.taxonomy import Target, load_taxonomy
from tests.conftest import PROJECT, meals_records, run_stance
from training import setfit_peer
from training.dataset import outcome_matrix, texts_of
from training.outcomes import NOT_READ
from training.remaining_errors import kinds_of_error
from training.train import read_labelled


def test_a_learning_curve_rises_and_goes_on_where_it_was(meals: Path, tmp_path: Path) -> None:
    arguments = ["--labels", meals / "labels.jsonl", "--targets", meals / "targets.yaml", "--recipe", "floor"]
    arguments += ["--sizes", "12", "500", "--samples", "2"]
    cache = {"STANCE_CACHE": str(tmp_path / "cache")}
    done = run_stance("learning-curve", *arguments, "--out", tmp_path / "curve.json", **cache)
    assert done.returncode == 0, done.stderr
    points = json.loads((tmp_path / "curve.json").read_text())
    trained = sum(row["split"] == "train" for row in meals_records())
    assert [point["sentences"] < trained for point in points] == [True, True]
    assert points[0]["sentences"] == 12 < points[1]["sentences"]
    assert points[0]["figure"] < points[1]["figure"]
    assert all(0 <= point["low"] <= point["figure"] <= point["high"] <= 1 for point in points)
    # Two samples of twelve and one of all: what was scored is not scored again.
    kept = sorted((tmp_path / "cache" / "learning-curves").iterdir())
    assert len(kept) == 3
    before = [path.stat().st_mtime_ns for path in kept]
    done = run_stance("learning-curve", *arguments, "--out", tmp_path / "more.json", **cache)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "more.json").read_text()) == points
    assert [path.stat().st_mtime_ns for path in kept] == before


def curve(meals: Path, out: Path, *options: str | Path, **environment: str) -> str:
    """What it wrote to stderr, or the points where it ended well."""
    labels = ["--labels", meals / "labels.jsonl", "--targets", meals / "targets.yaml"]
    done = run_stance("learning-curve", *labels, "--out", out, *options, **environment)
    assert (done.returncode == 0) == out.exists()
    return out.read_text() if done.returncode == 0 else done.stderr


def test_a_model_that_held_out_other_sentences_stands_for_no_curve(
    meals: Path, meals_model: Path, other_model: Path, tmp_path: Path
) -> None:
    # The floor holds out every fold, and a curve is scored on one.
    options = ["--recipe", "floor", "--sizes", "500", "--model"]
    assert "held out other sentences" in curve(meals, tmp_path / "a.json", *options, meals_model)
    assert "are not the sentences that" in curve(meals, tmp_path / "b.json", *options, other_model)


def test_a_model_of_no_recipe_and_an_unknown_peer_are_refused(meals: Path, meals_model: Path, tmp_path: Path) -> None:
    for options, says in (
        (["--recipe", "frozen-encoder", "--model", meals_model], "of none of the recipes: floor"),
        (["--recipe", "floor", "--peer", "magic"], "only the peer setfit"),
    ):
        assert says in curve(meals, tmp_path / "curve.json", "--sizes", "12", *options)


def test_a_peer_that_is_not_installed_is_named_with_its_extra(meals: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['setfit'] = None\n")
    path = os.pathsep.join([str(tmp_path), str(PROJECT)])
    options = ["--recipe", "floor", "--sizes", "12", "--peer", "setfit"]
    assert "[train,setfit]" in curve(meals, tmp_path / "curve.json", *options, PYTHONPATH=path)


@pytest.mark.slow
def test_setfit_learns_from_few_sentences(meals: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("setfit")
    monkeypatch.setattr(setfit_peer, "STEPS", 4)
    data = read_labelled([meals / "labels.jsonl"], load_taxonomy(meals / "targets.yaml"), None)
    test = data.part("test")
    answered = setfit_peer.setfit_peer().answers(data, texts_of(test), None)
    gold = outcome_matrix(test, data.taxonomy)
    read = gold != NOT_READ
    assert answered.shape == gold.shape
    assert (answered[read] == gold[read]).mean() > 0.6  # three or four classes: chance is about a quarter


@given(data=st.data(), size=st.integers(0, 30))
def test_every_error_is_of_one_kind(data: st.DataObject, size: int) -> None:
    target: Target = load_taxonomy().targets[0]
    labels = st.lists(st.integers(0, len(target.outcomes) - 1), min_size=size, max_size=size)
    gold, answered = (np.array(data.draw(labels), np.int8) for _ in range(2))
    kinds = kinds_of_error(gold, answered, target)
    assert kinds.pop("labelled as touched") == (gold != target.outcome(None)).sum()
    assert sum(kinds.values()) == (gold != answered).sum()

"""Fine-tuning: what it learns, how it goes on after a kill, and that predicting needs no torch."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save_file

from labels.taxonomy import load_taxonomy
from tests.conftest import PROJECT, meals_records, run_stance, write_lines
from training.encoder import FIRST, MEAN, SentenceEncoder
from training.encoder_packages import MINILM
from training.held_out import folds_of
from training.low_rank import Adapted
from training.model_folder import DEFAULT_MODEL, load_model

pytest.importorskip("peft")

RECIPE = {
    "name": "tiny",
    "title": "A few steps",
    "family": "fine-tuned",
    "encoder": "minilm",
    "folds": 3,
    "held_out_folds": 1,
    "train_only": ["invented"],
    "tuning": {"rank": 4, "epochs": 3, "batch": 8, "learning_rate": 0.003, "head_rate": 2},
}


def written(folder: Path, **changes: Any) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump({**RECIPE, **changes}), encoding="utf8")
    return path


def arguments(meals: Path, recipe: Path, out: Path) -> list[str | Path]:
    labels = ["--labels", meals / "labels.jsonl", "--targets", meals / "targets.yaml"]
    return ["train", *labels, "--recipe", recipe, "--out", out]


@pytest.fixture(scope="module")
def tuned(meals: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tuned")
    done = run_stance(*arguments(meals, written(folder), folder / "model"), with_torch=True)
    assert done.returncode == 0, done.stderr
    return folder / "model"


@pytest.fixture(scope="module")
def holding_out(meals: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What held a fold out is what answers, so that it never learnt it."""
    folder = tmp_path_factory.mktemp("holding-out")
    done = run_stance(*arguments(meals, written(folder, refit=False), folder / "model"), with_torch=True)
    assert done.returncode == 0, done.stderr
    return folder / "model"


@pytest.mark.slow
def test_it_learns_and_predicts_without_torch(tuned: Path, tmp_path: Path) -> None:
    for name in ("torch", "transformers", "peft"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('what serves must not import this')")
    test = [row for row in meals_records() if row["split"] == "test" and row["labels"]["free_meals"]]
    source = write_lines(tmp_path / "texts.jsonl", [{"text": row["text"]} for row in test])
    path = os.pathsep.join([str(tmp_path), str(PROJECT)])
    done = run_stance("score", "--model", tuned, "--file", source, "--json", PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    right = [
        a["targets"]["free_meals"]["label"] == row["labels"]["free_meals"] for a, row in zip(answers, test, strict=True)
    ]
    assert sum(right) / len(right) > 0.7  # three classes and "unrelated": chance is about a quarter


@pytest.mark.slow
def test_a_training_that_was_killed_goes_on_and_ends_the_same(tuned: Path, meals: Path, tmp_path: Path) -> None:
    cache, recipe = tmp_path / "cache", written(tmp_path)
    command = [sys.executable, "-m", "serving.cli", *map(str, arguments(meals, recipe, tmp_path / "model"))]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "STANCE_CACHE": str(cache)}
    with subprocess.Popen(command, cwd=PROJECT, env=environment, stderr=subprocess.DEVNULL) as process:
        # As soon as the first epoch of the second of its trainings is on disk.
        while process.poll() is None and not list(cache.rglob("all.safetensors")):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert not (tmp_path / "model").exists()
    (first,) = cache.rglob("fold-0.safetensors")
    with safe_open(first, framework="numpy") as kept:
        done = json.loads(kept.metadata()["done"])
        assert done["seconds"] > 0
        save_file(
            {name: kept.get_tensor(name) for name in kept.keys()},  # noqa: SIM118
            first,
            {**kept.metadata(), "done": json.dumps({**done, "seconds": 5000})},
        )
    done = run_stance(*arguments(meals, recipe, tmp_path / "model"), with_torch=True, STANCE_CACHE=str(cache))
    assert done.returncode == 0, done.stderr
    model = load_model(tmp_path / "model")
    assert model.version == load_model(tuned).version
    assert model.data["training"]["seconds"] > 5000, "what the killed run had spent counts"
    assert not list(cache.rglob("*.safetensors")), "checkpoints of a finished training are forgotten"


@pytest.mark.slow
def test_a_second_training_begins_with_the_first(tuned: Path, meals: Path, tmp_path: Path) -> None:
    small = {**RECIPE["tuning"], "epochs": 1, "learning_rate": 1e-9}
    recipe = written(tmp_path, tuning=small)
    done = run_stance(*arguments(meals, recipe, tmp_path / "m"), "--start", tuned, with_torch=True)
    assert done.returncode == 0, done.stderr
    texts = ["Lunch is free, the mayor said."]
    learnt = [Adapted.restored(load_model(folder).estimator.tensors()) for folder in (tuned, tmp_path / "m")]
    first, second = (SentenceEncoder(MINILM, (MEAN, FIRST), adapters=each.adapters).embed(texts) for each in learnt)
    np.testing.assert_allclose(first, second, atol=1e-3)
    untouched = SentenceEncoder(MINILM, (MEAN, FIRST)).embed(texts)
    assert np.abs(first - untouched).max() > 0.01


@pytest.mark.slow
def test_without_a_refit_what_held_sentences_out_is_what_answers(tuned: Path, holding_out: Path) -> None:
    texts = [row["text"] for row in meals_records() if row["split"] == "train"]

    def apart(folder: Path) -> Any:
        """How far what it said of each held-out sentence is from whatever it says now."""
        model = load_model(folder)
        now = model.estimator.predict(texts).probabilities[None]
        assert len(model.held_out.probabilities)
        return np.abs(model.held_out.probabilities[:, None] - now).max(axis=(2, 3)).min(axis=1)

    assert apart(holding_out).max() < 1e-5
    assert np.median(apart(tuned)) > 1e-3
    done = run_stance("recipes", "--models", tuned, "--models", holding_out, "--json")
    learnt = [row["sentences"] for row in json.loads(done.stdout)]
    assert learnt == [len(texts), len(texts) - len(load_model(holding_out).held_out.outcomes)]


@pytest.mark.slow
@pytest.mark.parametrize("variants", [0, 1])
def test_a_student_follows_its_teacher(
    variants: int, tuned: Path, holding_out: Path, meals: Path, tmp_path: Path
) -> None:
    # A student that is shown no label at all can only know what the teacher says.
    recipe = written(tmp_path, distillation={"label_share": 0.0, "unlabelled": bool(variants), "variants": variants})
    named = holding_out if variants else tuned
    done = run_stance(*arguments(meals, recipe, tmp_path / "m"), "--teacher", named, with_torch=True)
    assert done.returncode == 0, done.stderr
    student, teacher = load_model(tmp_path / "m"), load_model(named)
    assert student.estimator.settings()["teachers"] == [teacher.version]
    # Held-out figures flatter where the teacher had learnt what the student holds out, and they say so.
    assert (f"may have learnt these sentences ({teacher.version})" in student.metrics["method"]) == (named is tuned)
    texts = [row["text"] for row in meals_records() if row["split"] == "train"]
    both = [model.estimator.predict(texts).probabilities.argmax(axis=2) for model in (student, teacher)]
    assert (both[0] == both[1]).mean() > 0.7


@pytest.mark.slow
def test_its_held_out_sentences_stand_for_all_in_a_learning_curve(tuned: Path, meals: Path, tmp_path: Path) -> None:
    labels = ["--labels", meals / "labels.jsonl", "--targets", meals / "targets.yaml"]
    options = ["--recipe", written(tmp_path), "--model", tuned, "--sizes", "5000", "--out", tmp_path / "curve.json"]
    done = run_stance("learning-curve", *labels, *options)
    assert done.returncode == 0, done.stderr
    (point,) = json.loads((tmp_path / "curve.json").read_text())
    overall = json.loads((tuned / "metrics.json").read_text())["overall"]["mean_macro_f1"]
    assert point["figure"] == overall["value"]


@pytest.mark.parametrize(
    ("changes", "options", "says"),
    [
        ({"distillation": {"label_share": 0.5}}, [], "no teacher was named"),
        ({}, ["--teacher", "MODEL"], "has no use for teachers"),
        ({"distillation": {"label_share": 0.5}}, ["--teacher", "SHIPPED"], "trained on other targets"),
        ({"distillation": {"label_share": 0.5, "unlabelled": False, "variants": 2}}, [], "variants are not learnt"),
        ({}, ["--start", "MODEL"], "is not a fine-tuned model"),
        ({"encoder": "bigger"}, [], "no encoder 'bigger'"),
        ({"tuning": {**RECIPE["tuning"], "rank": 0}}, [], "tuning.rank"),  # type: ignore[dict-item]
        ({"tuning": {**RECIPE["tuning"], "speed": 1}}, [], "tuning.speed"),  # type: ignore[dict-item]
        ({"family": "floor"}, [], "family"),
    ],
)
def test_what_cannot_be_trained_says_why(
    changes: dict[str, Any], options: list[str], says: str, meals: Path, meals_model: Path, tmp_path: Path
) -> None:
    folders = {"MODEL": str(meals_model), "SHIPPED": str(DEFAULT_MODEL)}
    named = [folders.get(option, option) for option in options]
    done = run_stance(*arguments(meals, written(tmp_path, **changes), tmp_path / "m"), *named)
    assert done.returncode == 1
    assert says in done.stderr
    assert not (tmp_path / "m").exists()


def test_without_torch_it_says_what_to_install(meals: Path, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')")
    path = os.pathsep.join([str(tmp_path), str(PROJECT)])
    done = run_stance(*arguments(meals, written(tmp_path), tmp_path / "m"), PYTHONPATH=path)
    assert done.returncode == 1
    assert "fine-tuning needs the package torch" in done.stderr


@given(
    units=st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=40),
    folds=st.integers(2, 6),
    seed=st.integers(0, 9),
    data=st.data(),
)
def test_every_eligible_sentence_is_held_out_once_with_its_group(
    units: list[str], folds: int, seed: int, data: st.DataObject
) -> None:
    eligible = np.array(data.draw(st.lists(st.booleans(), min_size=len(units), max_size=len(units))))
    dealt = folds_of(units, eligible, folds, seed)
    if len({unit for unit, may in zip(units, eligible.tolist(), strict=True) if may}) < 2:
        assert dealt == []
        return
    held = np.concatenate([test for _, test in dealt])
    assert sorted(held.tolist()) == np.flatnonzero(eligible).tolist()
    for train, test in dealt:
        assert {units[i] for i in train.tolist()}.isdisjoint({units[i] for i in test.tolist()})


def test_a_lesson_asks_nothing_about_targets_that_were_not_read(meals: Path) -> None:
    from training.lessons import lesson_of
    from training.recipes import TunedRecipe
    from training.train import read_labelled

    taxonomy = load_taxonomy(meals / "targets.yaml")
    part = read_labelled([meals / "labels.jsonl"], taxonomy, None).part("train")
    asked = np.array(part["outcomes"]) >= 0
    assert not asked.all()
    for changes in ({}, {"balance": 0.5}, {"smoothing": 0.2}, {"balance": 1.0, "smoothing": 0.1}):
        recipe = TunedRecipe.model_validate({**RECIPE, "tuning": {**RECIPE["tuning"], **changes}})  # type: ignore[dict-item]
        aims = lesson_of(part, taxonomy, recipe, None).aims
        assert ((aims.sum(axis=2) > 0) == asked).all()
        # However classes are weighted, a target counts as many sentences as were read for it.
        np.testing.assert_allclose(aims.sum(axis=(0, 2)), asked.sum(axis=0), rtol=1e-4)
        assert (aims[:, 1, 3:] == 0).all()  # later_start has two classes and "unrelated"


@pytest.mark.slow
def test_what_serves_answers_as_what_was_trained(tuned: Path) -> None:
    torch = pytest.importorskip("torch")
    from training.encoder import padded
    from training.fine_tuning import _Network
    from training.recipes import TuningSettings

    model = load_model(tuned)
    learnt = model.estimator.tensors()
    settings = TuningSettings.model_validate(RECIPE["tuning"])
    possible = np.isfinite(learnt["bias"])
    network = _Network(MINILM, settings, possible, learnt).eval()
    with torch.no_grad():
        network.heads.weight.copy_(torch.from_numpy(learnt["weights"].reshape(learnt["bias"].size, -1)))
        network.heads.bias.copy_(torch.from_numpy(np.where(possible, learnt["bias"], 0).ravel()))
    texts = ["Lunch must cost nothing, the mayor said, and that is that.", "No."]
    ids = [each.ids for each in SentenceEncoder(MINILM, (MEAN,)).tokenize(texts)]
    with torch.no_grad():
        expected = network(*map(torch.from_numpy, padded(ids, MINILM.padding))).softmax(-1).numpy()
    assert not possible[1, 3], "later_start has two classes and 'unrelated'"
    np.testing.assert_allclose(model.estimator.predict(texts).probabilities, expected, atol=1e-4)

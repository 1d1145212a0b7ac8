"""Model folders: what is written is what is read, and nothing else is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from labels.records import default_label_files, read_records
from labels.taxonomy import Taxonomy, load_taxonomy
from tests.conftest import PROJECT, meals_records, run_stance
from training.dataset import fingerprint
from training.evaluation import evaluate
from training.marks import marks
from training.model_folder import DEFAULT_MODEL, load_model, save_model
from training.recipes import load_recipe
from training.train import read_labelled, train


def test_what_was_trained_is_what_is_loaded(meals: Path, tmp_path: Path) -> None:
    data = read_labelled([meals / "labels.jsonl"], load_taxonomy(meals / "targets.yaml"), None)
    trained = save_model(train(data, load_recipe("floor")), tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    texts = [row["text"] for row in meals_records()]
    np.testing.assert_allclose(
        loaded.estimator.predict(texts).probabilities, trained.estimator.predict(texts).probabilities, atol=1e-6
    )
    assert loaded.rules == trained.rules
    np.testing.assert_array_equal(loaded.answers(texts).outcomes, trained.answers(texts).outcomes)
    assert loaded.version == trained.version
    assert loaded.taxonomy == trained.taxonomy


def test_probabilities_sum_to_one_over_the_outcomes_of_each_target(meals_model: Path) -> None:
    model = load_model(meals_model)
    given = model.answers(["Lunch is free.", "x", "Ωμέγα"]).probabilities
    assert given.shape == (3, 2, 4)
    np.testing.assert_allclose(given.sum(axis=2), 1)
    assert (given[:, 1, 3] == 0).all()


def test_a_class_that_never_stood_in_training_is_never_answered(meals: Path, tmp_path: Path) -> None:
    rows = [row for row in meals_records() if row["labels"].get("free_meals") != "unsure"]
    labels = tmp_path / "labels.jsonl"
    labels.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = run_stance(
        "train", "--labels", labels, "--targets", meals / "targets.yaml", "--recipe", "floor", "--out", tmp_path / "m"
    )
    assert "free_meals: no training sentence is unsure" in done.stderr
    given = load_model(tmp_path / "m").answers(["She has not made up her mind about the canteen."]).probabilities
    assert given[0, 0, 2] == 0


NAMES = ["weights.safetensors", "estimator.json", "decision.json", "metrics.json", "trained_on.safetensors"]


@pytest.mark.parametrize("name", NAMES)
def test_a_changed_file_is_refused(name: str, meals_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(meals_model, folder)
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    done = run_stance("score", "--model", folder, "Lunch is free.")
    assert done.returncode == 1
    assert f"{name}: was changed" in done.stderr
    (folder / name).unlink()
    assert f"{name}: cannot be read" in run_stance("score", "--model", folder, "Lunch is free.").stderr


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "is not a model folder"),
        ("{", "cannot be read"),
        ("[]", "format"),
        ('{"format": 1}', "is of format 1; this version reads format 2. Train it again."),
    ],
)
def test_a_folder_that_is_no_model(content: str | None, says: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "model.json").write_text(content)
    done = run_stance("serve", "--model", tmp_path)
    assert done.returncode == 1
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_nothing_is_pickled(meals_model: Path) -> None:
    for folder in (meals_model, DEFAULT_MODEL):
        for path in folder.iterdir():
            if path.suffix == ".json":
                json.loads(path.read_text(encoding="utf8"))
            else:
                assert load_file(path), path


def test_the_shipped_model_is_small() -> None:
    sizes = {path.name: path.stat().st_size for path in DEFAULT_MODEL.iterdir()}
    assert sum(sizes.values()) < 7_000_000
    beside = {"fast_path.json", "fast_path.safetensors", "examples.safetensors"}
    assert sum(size for name, size in sizes.items() if name not in beside) < 5_000_000


@pytest.mark.corpus
def test_the_shipped_model_was_trained_on_the_labels_that_are_here(shared_corpus: Path) -> None:
    data = read_labelled(default_label_files(), load_taxonomy(), shared_corpus)
    assert load_model(DEFAULT_MODEL).data["fingerprint"] == fingerprint(data.part("train"))


def shown_report() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((PROJECT / "docs/report/metrics.json").read_text(encoding="utf8"))
    return found


@pytest.mark.slow
@pytest.mark.corpus
def test_the_report_can_be_made_again(shared_corpus: Path, tmp_path: Path) -> None:
    # Without the training part there is no floor, which would take minutes to train whole; see the next test.
    lines = [line for path in default_label_files() for line in path.read_text(encoding="utf8").splitlines()]
    tested = [line for line in lines if json.loads(line).get("split") == "test"]
    labels = tmp_path / "labels.jsonl"
    labels.write_text("\n".join(tested) + "\n", encoding="utf8")
    done = run_stance("evaluate", "--corpus", shared_corpus, "--labels", labels, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    again, shown = json.loads((tmp_path / "metrics.json").read_text(encoding="utf8")), shown_report()
    for what in ("fingerprint", "left_out_as_trained_on", "missing", "classes"):
        assert again["data"][what] == shown["data"][what]
    for name, given in shown["sets"].items():
        for system in given.keys() & {"model", "agreement"}:
            for figure, value in given[system]["overall"].items():
                # Another processor rounds otherwise, which may turn a few answers.
                found = again["sets"][name][system]["overall"][figure]["value"]
                assert found == pytest.approx(value["value"], abs=0.02), (name, system, figure)


@pytest.mark.slow
@pytest.mark.corpus
def test_the_floor_of_the_report_can_be_made_again(shared_corpus: Path) -> None:
    # The quickest of its targets: the words are the same for all, and each has a classifier of its own.
    only = Taxonomy(tuple(target for target in load_taxonomy() if target.id == "troop_withdrawal"))
    data = read_labelled(default_label_files(), only, shared_corpus, skip_unknown_targets=True)
    floor = train(data, load_recipe("floor"))
    (found,) = evaluate(floor, data)["sets"]["all"]["model"]["targets"].values()
    shown = shown_report()["sets"]["all"]["floor"]["targets"][only.ids[0]]
    assert found["read"] == shown["read"] == len(data.part("test"))
    for figure in ("macro_f1", "pole_f1"):
        assert found[figure]["value"] == pytest.approx(shown[figure]["value"], abs=0.02), figure


def test_labels_of_the_test_part_stay_out_of_the_shipped_model() -> None:

    shipped = load_model(DEFAULT_MODEL)
    records = read_records(
        sorted((Path(__file__).parents[1] / "labels" / "data").glob("[acns]*.jsonl")), load_taxonomy()
    )
    for part, expected in (("test", set()), ("train", None)):
        groups = set(marks([record.unit for record in records if record.part == part]).tolist())
        seen = groups & set(shipped.trained_on["groups"].tolist())
        assert seen == (groups if expected is None else expected)

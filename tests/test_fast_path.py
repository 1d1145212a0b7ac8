"""The fast path: trained by a command, tied to its model, and no other answers than it says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labels.errors import StanceError
from labels.taxonomy import load_taxonomy
from serving.scoring import score_texts
from tests.conftest import in_minutes, run_stance, write_lines
from training.answers import Answers
from training.fast_path import Gate
from training.model_folder import load_model
from training.static_student import StaticStudent, in_whole_numbers
from training.train import read_labelled

TARGETS = """\
targets:
  free_meals:
    title: Free meals
    proposition: Schools should serve free meals.
    classes: ["yes", unsure, "no"]
    poles: {conciliatory: "yes", other: "no"}
"""
SAID = {
    "yes": ["Free lunches for every pupil are right, {} said on {}.", "{} wants the canteen to cost nothing from {}."],
    "no": ["Parents ought to pay for lunch, {} said on {}.", "{} rejected free canteen food as waste on {}."],
    "unsure": [
        "{} has not made up her mind about the canteen by {}.",
        "Whether lunch stays free is open until {}, {}.",
    ],
    None: [
        "{} repaired the roof of the gym on {}.",
        "The choir of {} sang on {}.",
        "{} painted the fence on {}.",
        "The bus of {} was late on {}.",
    ],
}
WHO = ["the mayor", "the teachers' union", "a headmistress", "the ministry", "the cook", "a parent", "the council"]
DAYS = ["Monday", "Tuesday", "Friday", "Sunday"]


def _records() -> list[dict[str, Any]]:
    rows = [
        {"text": sentence.format(who, day), "labels": {"free_meals": label}}
        for label, sentences in SAID.items()
        for sentence in sentences
        for who in WHO
        for day in DAYS
    ]
    return in_minutes(rows, documents=20, for_testing=3)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with labels, a corpus of two documents, a model with an encoder, and the same with a fast path."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("town")
    (folder / "targets.yaml").write_text(TARGETS)
    write_lines(folder / "labels.jsonl", _records())
    (folder / "corpus").mkdir()
    (folder / "corpus" / "minutes-40.txt").write_text("The clerk counted the chairs on Monday. A gate was mended.")
    (folder / "recipe.yaml").write_text(
        "name: town\ntitle: Town\nseed: 1\nfolds: 4\ntrain_only: []\nfamily: frozen-encoder\nencoder: minilm\n"
        "layers: [6]\nheads: {c: [10.0], balance: [0.0]}\n"
    )
    arguments = ["--labels", folder / "labels.jsonl"]
    done = run_stance(
        *("train", *arguments, "--targets", folder / "targets.yaml", "--recipe", folder / "recipe.yaml"),
        *("--out", folder / "plain"),
    )
    assert done.returncode == 0, done.stderr
    done = run_stance(
        *("fast-path", "train", *arguments, "--corpus", folder / "corpus", "--model", folder / "plain"),
        *("--out", folder / "fast", "--json"),
    )
    assert done.returncode == 0, done.stderr
    (folder / "trained.json").write_text(done.stdout)
    return folder


def _texts() -> list[str]:
    return [row["text"] for row in _records()]


def test_it_changes_nothing_of_the_model(town: Path) -> None:
    plain, fast = load_model(town / "plain"), load_model(town / "fast")
    assert fast.version == plain.version
    texts = _texts()[::9]
    assert score_texts(fast, texts) == score_texts(plain, texts)
    for path in (town / "plain").iterdir():
        if path.name != "model.json":
            assert (town / "fast" / path.name).read_bytes() == path.read_bytes()


def test_the_answer_says_what_answered(town: Path, tmp_path: Path) -> None:
    long = "Whether the canteen repaired the fence is waste, the bus said. " * 40
    rows = write_lines(tmp_path / "in.jsonl", [{"text": text} for text in [long, *_texts()[::5]]])
    done = run_stance("score", "--model", town / "fast", "--file", rows, "--json", "--fast")
    fast = [json.loads(line) for line in done.stdout.splitlines()]
    plain = score_texts(load_model(town / "fast"), [long, *_texts()[::5]])
    paths = [answer.pop("path") for answer in fast]
    assert set(paths) == {"fast", "encoder"}
    assert not any("path" in answer for answer in plain)
    for path, own, other in zip(paths, fast, plain, strict=True):
        if path == "encoder":
            assert own["targets"]["free_meals"]["label"] == other["targets"]["free_meals"]["label"]
            given = own["targets"]["free_meals"]["probabilities"]
            assert given == pytest.approx(other["targets"]["free_meals"]["probabilities"], abs=1e-4)
    for answer in fast:
        assert sum(answer["targets"]["free_meals"]["probabilities"].values()) == pytest.approx(1, abs=1e-5)


def test_the_gate_opened_no_further_than_held_out_sentences_allow(town: Path) -> None:
    said = json.loads((town / "trained.json").read_text())
    opened = [row for row in said["curve"] if row["opened"]]
    assert opened == said["curve"][: len(opened)]
    assert all(row["bound"] <= said["most_lost"] for row in opened)
    assert all(row["lost"]["low"] <= row["lost"]["value"] <= row["lost"]["high"] for row in said["curve"])
    assert said["held_out"]["fast"]["value"] >= opened[-1]["share"] - 0.01


def test_what_is_long_or_strange_goes_to_the_encoder_or_is_answered_at_all(town: Path) -> None:
    model = load_model(town / "fast")
    texts = ["word " * 600, "x", "Ωμέγα 🕊", "ب " * 3000, "."]
    answers = score_texts(model, texts, fast=True)
    assert [answer["path"] for answer in answers if answer["truncated"]] == ["encoder"] * 2
    assert answers[0]["truncated"]
    assert score_texts(model, [], fast=True) == []


def test_a_model_without_one_says_so(town: Path) -> None:
    done = run_stance("score", "--fast", "--model", town / "plain", "The bus was late.")
    assert done.returncode == 1
    assert "has no fast path. `stance fast-path train" in done.stderr
    assert run_stance("score", "--fast", "--url", "http://127.0.0.1:9", "The bus was late.").returncode == 2


def test_another_models_fast_path_is_never_used(town: Path, tmp_path: Path) -> None:
    done = run_stance("decide", "--model", town / "fast", "--error-rate", "0.3", "--out", tmp_path / "decided")
    assert done.returncode == 0, done.stderr
    assert not list((tmp_path / "decided").glob("fast_path*"))
    about = json.loads((tmp_path / "decided" / "model.json").read_text())
    theirs = json.loads((town / "fast" / "model.json").read_text())
    for name in ("fast_path.json", "fast_path.safetensors"):
        shutil.copyfile(town / "fast" / name, tmp_path / "decided" / name)
        about["files"][name] = theirs["files"][name]
    (tmp_path / "decided" / "model.json").write_text(json.dumps(about))
    with pytest.raises(StanceError, match=f"is the fast path of {theirs['version']}"):
        load_model(tmp_path / "decided")


@pytest.mark.parametrize("name", ["fast_path.json", "fast_path.safetensors"])
def test_a_changed_file_is_refused(name: str, town: Path, tmp_path: Path) -> None:
    shutil.copytree(town / "fast", tmp_path / "model")
    content = bytearray((tmp_path / "model" / name).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "model" / name).write_bytes(content)
    with pytest.raises(StanceError, match=f"{name}: was changed"):
        load_model(tmp_path / "model")


def test_other_labels_than_those_of_the_model_are_refused(town: Path, tmp_path: Path) -> None:
    labels = write_lines(tmp_path / "labels.jsonl", _records()[1:])
    arguments = ["--labels", labels, "--model", town / "plain", "--out", tmp_path / "out"]
    done = run_stance("fast-path", "train", *arguments)
    assert done.returncode == 1
    assert "these are not the sentences" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_model_without_an_encoder_gets_none(meals: Path, meals_model: Path) -> None:
    pytest.importorskip("torch")
    from training.fast_path_training import train_fast_path

    model = load_model(meals_model)
    data = read_labelled([meals / "labels.jsonl"], model.taxonomy, None)
    with pytest.raises(StanceError, match="has no encoder"):
        train_fast_path(model, data.part("train"), {})


def test_figures_are_of_the_test_part(town: Path) -> None:
    done = run_stance("fast-path", "evaluate", "--model", town / "fast", "--labels", town / "labels.jsonl", "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["sentences"] == sum(row["split"] == "test" for row in _records())
    assert figures["groups"] == 3
    lost = figures["macro_f1"]["model"] - figures["macro_f1"]["with_fast_path"]
    assert figures["lost"]["value"] == pytest.approx(lost, abs=2e-4)
    assert 0 < figures["fast"]["value"] <= 1
    done = run_stance("fast-path", "evaluate", "--model", town / "fast", "--labels", town / "labels.jsonl")
    assert done.returncode == 0, done.stderr
    title, *rows = done.stdout.splitlines()
    assert title == f"Sentences of the part 'test': {figures['sentences']} of 3 groups"
    fast = next(row for row in rows if "answered by the fast path, %" in row)
    assert f" {100 * figures['fast']['value']:.2f} [" in fast


_RANDOM = np.random.default_rng(0)
_TABLE, _SCALES = in_whole_numbers(_RANDOM.normal(size=(6, 4)).astype(np.float32))
_STUDENT = StaticStudent(
    tokens=np.array([3, 5, 8, 13, 21], np.int32),
    table=_TABLE,
    scales=_SCALES,
    filters=_RANDOM.normal(size=(12, 5)).astype(np.float16),
    filters_bias=_RANDOM.normal(size=5).astype(np.float16),
    heads=_RANDOM.normal(size=(14, 6)).astype(np.float16),
    heads_bias=np.array([[0, 0.5, -np.inf], [0, 1, 2]], np.float32),
)


@given(st.lists(st.lists(st.integers(0, 30), max_size=9), min_size=1, max_size=300))
def test_a_text_does_not_depend_on_its_neighbours(texts: list[list[int]]) -> None:
    together = _STUDENT.predict_proba(texts)
    np.testing.assert_allclose(together.sum(axis=2), 1)
    assert (together[:, 0, 2] == 0).all()
    np.testing.assert_allclose(together[-1:], _STUDENT.predict_proba(texts[-1:]), atol=1e-5)


@given(st.floats(0.5, 0.98), st.floats(0.001, 0.02))
def test_a_rare_class_that_may_be_missed_costs_more_than_a_frequent_one(sure: float, more: float) -> None:
    taxonomy = load_taxonomy()
    width, targets = taxonomy.width, len(taxonomy)
    counts = np.tile(np.array([1000, 500, 200, 5])[:width], (targets, 1))

    def cost(p: float, other: int) -> float:
        probabilities = np.zeros((1, targets, width))
        probabilities[:, :, 0], probabilities[:, :, other] = p, 1 - p
        outcomes = np.zeros((1, targets), np.int64)
        given = Answers(probabilities, outcomes, probabilities.max(axis=2), outcomes > 0)
        return float(Gate(counts, 0.0).costs(given, taxonomy)[0])

    assert cost(sure, 3) > cost(sure, 1)
    assert cost(sure + more, 3) < cost(sure, 3)

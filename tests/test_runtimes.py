"""Fine-tuned models on CTranslate2: the same answers, whatever the neighbours; who stays on ONNX Runtime says so."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labels.taxonomy import load_taxonomy
from tests.conftest import PROJECT, meals_records, run_stance
from training.encoder import FIRST, MEAN, SentenceEncoder, layer_output
from training.encoder_packages import MINILM, MPNET
from training.fine_tuned import FineTunedClassifier
from training.low_rank import Adapted
from training.marks import marks, word_marks
from training.model_folder import load_model, save_model
from training.recipes import TunedRecipe, parse_recipe

installed = pytest.mark.skipif(
    importlib.util.find_spec("ctranslate2") is None, reason="ctranslate2 is not installed (extra `ctranslate2`)"
)

TEXTS = [
    "Talks will resume in May.",
    "No.",
    ".",
    " ",
    "​",
    "\x00",
    "🕊",
    "The ministry said that it would neither confirm nor deny that the inspectors had been turned away at the gate, "
    "though two officials, who asked not to be named, said that the convoy had left the site before noon.",
    "«Никогда», сказал посол — never, said the ambassador.",
    "word " * 400,
    "x" * 3000,
]


@pytest.fixture(scope="module")
def onnx() -> SentenceEncoder:
    """With the changes that the shipped model has learnt."""
    encoder = load_model().estimator.encoder()
    assert encoder
    return encoder


@pytest.fixture(scope="module", params=["ctranslate2", "ctranslate2-float32"])
def other(onnx: SentenceEncoder, request: pytest.FixtureRequest) -> SentenceEncoder:
    pytest.importorskip("ctranslate2")
    return onnx.on(request.param)


@installed
def test_in_float32_it_gives_what_serves(onnx: SentenceEncoder) -> None:
    other = onnx.on("ctranslate2-float32")
    np.testing.assert_allclose(other.embed(TEXTS), onnx.embed(TEXTS), atol=1e-5)
    assert other.read(TEXTS).truncated.tolist() == onnx.read(TEXTS).truncated.tolist()


@installed
def test_in_8_bits_it_gives_nearly_what_serves(onnx: SentenceEncoder) -> None:
    given_, expected = onnx.on("ctranslate2").embed(TEXTS), onnx.embed(TEXTS)
    assert np.abs(given_ - expected).max() > 1e-4, "it does not run in 8 bits"
    cosine = (given_ * expected).sum(1) / np.linalg.norm(given_, axis=1) / np.linalg.norm(expected, axis=1)
    assert cosine.min() > 0.9


@settings(max_examples=8)
@given(
    st.lists(st.one_of(st.sampled_from(TEXTS), st.text(max_size=200)), min_size=1, max_size=12),
    st.sampled_from([64, 256, 1024]),
)
def test_an_answer_does_not_depend_on_its_neighbours(other: SentenceEncoder, texts: list[str], tokens: int) -> None:
    alone = np.concatenate([other.embed([text]) for text in texts])
    together = other.on(other.runtime)
    together.batch_tokens, together.__dict__["_ctranslate2"] = tokens, other._ctranslate2
    np.testing.assert_allclose(together.embed(texts), alone, atol=1e-5)
    # All in one, padded to the longest, as no other batch is.
    encodings = other.tokenize(texts)
    np.testing.assert_allclose(other.forward(other._batch([*range(len(texts))], encodings)), alone, atol=1e-5)


@installed
def test_models_that_read_other_layers_stay_where_they_are(caplog: pytest.LogCaptureFixture) -> None:
    encoder = SentenceEncoder(MINILM, [layer_output(0), layer_output(6)], runtime="ctranslate2")
    assert encoder.runtime == "onnx"
    assert "runs on ONNX Runtime, not on ctranslate2" in caplog.text
    assert encoder.embed(TEXTS).shape == (len(TEXTS), 768)


def test_encoders_of_another_architecture_stay_where_they_are(caplog: pytest.LogCaptureFixture) -> None:
    if importlib.util.find_spec(MPNET.modules[0]) is None:
        pytest.skip("the encoder is not installed")
    assert SentenceEncoder(MPNET, (MEAN, FIRST), runtime="ctranslate2").runtime == "onnx"
    assert "architecture" in caplog.text


@installed
def test_torch_is_not_imported() -> None:
    program = (
        "import sys; from training.model_folder import load_model; model = load_model(); model.estimator.load();"
        "model.answers(['Talks.']); print(model.estimator.encoder().runtime);"
        "print([m for m in ('torch', 'transformers') if m in sys.modules], 'ctranslate2' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "STANCE_RUNTIME": "ctranslate2"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False)
    assert done.stdout.splitlines() == ["ctranslate2", "[] True"], done.stderr


@installed
def test_the_variable_says_what_scores() -> None:
    def probabilities(**environment: str) -> list[float]:
        done = run_stance("score", TEXTS[7], "--json", **environment)
        assert done.returncode == 0, done.stderr
        return [p for t in json.loads(done.stdout)["targets"].values() for p in t["probabilities"].values()]

    onnx, int8 = probabilities(), probabilities(STANCE_RUNTIME="ctranslate2")
    assert 0 < np.abs(np.array(onnx) - int8).max() < 0.2
    float32 = probabilities(STANCE_RUNTIME="ctranslate2-float32", STANCE_THREADS="1")
    np.testing.assert_allclose(float32, onnx, atol=1e-5)


def test_a_wrong_or_a_missing_runtime_is_one_clear_line(tmp_path: Path) -> None:
    done = run_stance("score", "Talks.", STANCE_RUNTIME="fast")
    assert done.returncode == 1
    assert "STANCE_RUNTIME" in done.stderr
    assert "ctranslate2-float32" in done.stderr
    (tmp_path / "ctranslate2.py").write_text("raise ModuleNotFoundError('no', name='ctranslate2')\n")
    done = run_stance("score", "Talks.", STANCE_RUNTIME="ctranslate2", PYTHONPATH=f"{tmp_path}:{PROJECT}")
    assert done.returncode == 1
    assert "-e '.[ctranslate2]'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def half_trained(meals: Path, meals_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fine-tuned model, of adapters drawn by chance, that says that it was trained on half of the groups."""
    recipe = parse_recipe({"name": "tiny", "title": "-", "family": "fine-tuned", "encoder": "minilm", **_LITTLE})
    assert isinstance(recipe, TunedRecipe)
    random = np.random.default_rng(0)
    name = "encoder.layer.0.intermediate.dense.weight"
    adapters = {
        f"{name}.up": (0.01 * random.standard_normal((1536, 4))).astype(np.float16),
        f"{name}.down": (0.01 * random.standard_normal((4, 384))).astype(np.float16),
    }
    taxonomy = load_taxonomy(meals / "targets.yaml")
    heads = random.standard_normal((len(taxonomy), taxonomy.width, 768)).astype(np.float32)
    adapted = Adapted(adapters, heads, np.zeros(heads.shape[:2], np.float32))
    groups = sorted({row["group"] for row in meals_records()})[::2]
    trained = {"groups": marks(groups), "sentences": marks([]), "words": word_marks([])}
    model = replace(
        load_model(meals_model),
        estimator=FineTunedClassifier(taxonomy, recipe)._taken(adapted),
        recipe=recipe,
        trained_on=trained,
    )
    folder = tmp_path_factory.mktemp("half") / "model"
    save_model(model, folder)
    return folder


_LITTLE: Mapping[str, Any] = {"folds": 2, "tuning": {"rank": 4, "epochs": 1, "batch": 8, "learning_rate": 0.001}}


@installed
@pytest.mark.slow
def test_what_each_runtime_loses_is_measured_on_what_the_model_has_not_seen(half_trained: Path, meals: Path) -> None:
    pytest.importorskip("torch")
    labels = ["--labels", meals / "labels.jsonl"]
    done = run_stance("bench", "runtimes", "--model", half_trained, *labels, "--rounds", "1", "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    found = json.loads(done.stdout)
    groups = sorted({row["group"] for row in meals_records()})[::2]
    train = [row for row in meals_records() if row["split"] == "train"]
    assert 0 < found["texts"] == len({row["text"] for row in train if row["group"] not in groups})
    for name in ("ONNX Runtime float32", "CTranslate2 float32"):
        row = found["runtimes"][name]
        assert row["differing"] == 0
        assert row["lost"]["mean macro-F1"] == {"value": 0, "low": 0, "high": 0}
        assert row["processor_of_ours"]["low"] > 0
    assert set(found["runtimes"]["CTranslate2 int8"]["lost"]) > {"mean macro-F1", "free_meals", "later_start"}


def test_a_runtime_that_fails_is_left_out_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "openvino.py").write_text("raise RuntimeError('no such\\n processor')\n")
    for name in ("ctranslate2", "torch"):
        (tmp_path / f"{name}.py").write_text(f"raise ModuleNotFoundError('no {name}', name='{name}')\n")
    feed = tmp_path / "feed.txt"
    feed.write_text("Talks will resume.\nThe envoy left.\n")
    arguments = ["bench", "runtimes", "--texts", feed, "--rounds", "1", "--json"]
    done = run_stance(*arguments, PYTHONPATH=f"{tmp_path}:{PROJECT}")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    rows = json.loads(done.stdout)["runtimes"]
    assert rows["OpenVINO float32"] == {"skipped": "no such processor"}
    assert "skipped" in rows["CTranslate2 int8"]

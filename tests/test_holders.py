"""Whose stance a sentence voices: training, figures, what is on disk, and answers to any text."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labels.errors import StanceError
from tests.conftest import PROJECT, run_stance, write_lines
from training.encoder import MEAN, SentenceEncoder, token_output
from training.encoder_packages import MINILM
from training.holder_figures import figures, how_calibrated
from training.holder_labels import KINDS, Noted, noted
from training.holder_network import HolderNetwork, best_span
from training.holder_rules import by_rules, nearest_name
from training.holder_tagger import HOLDER_MODEL, HolderTagger, load_tagger
from training.holder_words import quoted
from training.resampling import Resampling

WHO = ["the mayor", "Ana Ruiz", "the harbour office", "he", "Tallinn", "Mr. Okoro", "a spokeswoman", "The council"]
NAMED = [
    "The bridge must stay shut, {} said.",
    "{} rejected the offer of talks on Monday.",
    "According to {}, the ferries will sail again.",
    '"We shall not yield," {} told reporters.',
]
NOBODY: dict[str | None, list[str]] = {
    "author": [
        "The bridge {} have been built.",
        "Nothing good {} come of such a deal.",
        "It {} be a mistake to yield.",
    ],
    None: ["The harbour {} four gates.", "Page 4 of 7 {} blank.", "The meeting {} place in June."],
    "several": ["Both sides {} that the other lied.", "Ana Ruiz and Mr. Okoro {} to meet again."],
}
FILLING = ["should never", "cannot", "would", "had", "was", "took", "said", "agreed"]


def harbour_records() -> list[dict[str, Any]]:
    """Sentences about an invented harbour, two of twelve documents for testing."""
    given = [(text.format(who), who) for text in NAMED for who in WHO]
    given += [(t.format(word), holder) for holder, texts in NOBODY.items() for t in texts for word in FILLING]
    given *= 3
    random.Random(1).shuffle(given)
    return [
        {
            "id": f"h{number}",
            "text": text,
            "labels": {"posture": None},
            "holder": holder,
            "group": f"day-{number % 12}",
            "split": "test" if number % 12 > 9 else "train",
        }
        for number, (text, holder) in enumerate(given)
    ]


@pytest.fixture(scope="module")
def harbour(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lines(tmp_path_factory.mktemp("harbour") / "labels.jsonl", harbour_records())


@pytest.fixture(scope="module")
def folder(harbour: Path) -> Path:
    """A tagger trained on the harbour."""
    pytest.importorskip("torch")
    out = harbour.parent / "tagger"
    done = run_stance("holders", "train", "--labels", harbour, "--out", out, with_torch=True)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def tagger(folder: Path) -> HolderTagger:
    return load_tagger(folder)


@pytest.fixture(scope="module")
def shipped() -> HolderTagger:
    return load_tagger()


def evaluated(*arguments: str | Path, **environment: str) -> dict[str, Any]:
    done = run_stance("holders", "evaluate", "--json", *arguments, **environment)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_it_learns_what_the_labels_say_and_needs_no_torch_to_say_it(
    folder: Path, harbour: Path, tmp_path: Path
) -> None:
    for name in ("torch", "transformers"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('what serves must not import this')")
    path = os.pathsep.join([str(tmp_path), str(PROJECT)])
    of = evaluated("--model", folder, "--labels", harbour, "--split", "test", PYTHONPATH=path)["all"]
    assert of["tagger"]["sentences"] == sum(row["split"] == "test" for row in harbour_records())
    assert of["tagger"]["exact_f1"]["value"] > 0.8
    assert of["tagger"]["all_right"]["value"] > of["floor"]["all_right"]["value"]
    held_out = evaluated("--model", folder)
    assert held_out["all"]["tagger"]["sentences"] == sum(row["split"] == "train" for row in harbour_records())
    assert held_out["all"]["tagger"]["exact_f1"]["value"] > 0.8


def test_the_same_sentences_give_the_same_tagger(folder: Path, harbour: Path, tmp_path: Path) -> None:
    done = run_stance("holders", "train", "--labels", harbour, "--out", tmp_path / "again", "--json", with_torch=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["version"] == json.loads((folder / "holder.json").read_text())["version"]


ANY = st.characters(exclude_categories=())  # halves of surrogate pairs too


@settings(max_examples=60)
@given(text=st.one_of(st.text(ANY, max_size=80), st.text("Aa .,“”\"'’the\n\u0301ß中", max_size=80)))
def test_any_text_has_a_holder_whose_offsets_slice_it(shipped: HolderTagger, text: str) -> None:
    (holder,) = shipped.tag([text])
    assert holder.kind in KINDS
    assert 0 <= holder.probability <= 1
    for answer in (holder, nearest_name(text), by_rules(text)):
        if answer.kind != "named":
            assert (answer.start, answer.end) == (None, None)
            continue
        assert answer.start is not None
        assert answer.end is not None
        assert 0 <= answer.start < answer.end <= len(text)
        assert text[answer.start : answer.end].strip()
        before, after = text[max(0, answer.start - 1) : answer.start + 1], text[answer.end - 1 : answer.end + 1]
        assert not (len(before) == 2 and before.isalnum()), "a name begins with a word"
        assert not (len(after) == 2 and after.isalnum()), "a name ends with a word"


def test_a_sentence_is_read_the_same_among_others(shipped: HolderTagger) -> None:
    texts = [row["text"] for row in harbour_records()[:90]] + ["", "word " * 400]
    together = shipped.tag(texts)
    assert len(together) == len(texts)
    for text, among in zip(texts[::15], together[::15], strict=True):
        (alone,) = shipped.tag([text])
        assert (alone.kind, alone.start, alone.end) == (among.kind, among.start, among.end)
        assert alone.probability == pytest.approx(among.probability, abs=1e-3)
    assert shipped.tag([]) == []


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (
            "The blockade will stay in place until the last boat has left, the harbour master said.",
            "the harbour master",
        ),
        ('"We will never accept such terms," said Foreign Minister Ana Ruiz.', "Ana Ruiz"),
        ("According to Tallinn, the sanctions should be lifted before any talks.", "Tallinn"),
        ("She warned that the missiles would be answered.", "She"),
    ],
)
def test_the_tagger_that_ships_finds_plain_cases(shipped: HolderTagger, text: str, name: str) -> None:
    (holder,) = shipped.tag([text])
    assert holder.kind == "named"
    assert text[holder.start : holder.end] == name


def test_the_tagger_that_ships_is_small_and_says_where_it_comes_from() -> None:
    assert sum(path.stat().st_size for path in HOLDER_MODEL.iterdir()) < 2_000_000
    card = json.loads((HOLDER_MODEL / "holder.json").read_text())["about"]["card"]
    assert "language model" in card["labels"]
    assert (card["licence"], card["encoder_licence"]) == ("MIT", "Apache-2.0")


@pytest.mark.parametrize("name", ["weights.safetensors", "metrics.json", "trained_on.safetensors"])
def test_a_changed_file_is_refused(name: str, folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    content = bytearray((copy / name).read_bytes())
    content[-2] ^= 1
    (copy / name).write_bytes(content)
    done = run_stance("holders", "evaluate", "--model", copy)
    assert done.returncode == 1
    assert "was changed: SHA-256" in done.stderr
    (copy / name).unlink()
    with pytest.raises(StanceError, match="cannot be read"):
        load_tagger(copy)


def test_another_encoder_or_format_is_refused(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    about = json.loads((copy / "holder.json").read_text())
    about["encoder"]["weights_sha256"] = "0" * 64
    (copy / "holder.json").write_text(json.dumps(about))
    with pytest.raises(StanceError, match="was trained on encoder weights 0000"):
        load_tagger(copy)
    (copy / "holder.json").write_text(json.dumps({**about, "format": 99}))
    with pytest.raises(StanceError, match="is of format 99"):
        load_tagger(copy)
    (copy / "holder.json").write_text(json.dumps({"format": 1}))
    with pytest.raises(StanceError, match="is damaged"):
        load_tagger(copy)
    with pytest.raises(StanceError, match="is not a holder tagger"):
        load_tagger(tmp_path)


def test_what_cannot_be_done_says_why(folder: Path, harbour: Path, tmp_path: Path) -> None:
    rows = harbour_records()
    unnamed = write_lines(tmp_path / "unnamed.jsonl", [{**row, "holder": None} for row in rows])
    done = run_stance("holders", "train", "--labels", unnamed, "--out", tmp_path / "t")
    assert done.returncode == 1
    assert "names a holder" in done.stderr
    assert not (tmp_path / "t").exists()
    known = write_lines(tmp_path / "known.jsonl", [{**row, "split": "test"} for row in rows if row["split"] == "train"])
    done = run_stance("holders", "evaluate", "--model", folder, "--labels", known, "--split", "test")
    assert done.returncode == 1
    assert "was trained on the groups" in done.stderr
    done = run_stance("holders", "evaluate", "--model", folder, "--labels", harbour, "--split", "train")
    assert done.returncode == 2
    assert "must be test or dev" in done.stderr


def test_what_serves_answers_as_what_was_trained(tagger: HolderTagger) -> None:
    torch = pytest.importorskip("torch")
    from training.holder_training import HolderSettings, _Network

    tensors = tagger.network.tensors
    inputs, hidden = tensors["inputs.weight"].shape[1], tensors["inputs.weight"].shape[0]
    pooled = tensors["kinds.weight"].shape[1] - 2 * hidden
    network = _Network(inputs, pooled, HolderSettings(hidden=hidden)).eval()
    network.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in tensors.items()})
    draw = np.random.default_rng(0)
    tokens, means = (
        draw.normal(size=(3, 9, inputs)).astype(np.float32),
        draw.normal(size=(3, pooled)).astype(np.float32),
    )
    mask = np.arange(9)[None, :] < np.array([9, 4, 1])[:, None]
    with torch.no_grad():
        expected = network(*map(torch.from_numpy, (tokens, means, mask)))
    given = HolderNetwork(tensors).forward(tokens, means, mask)
    for ours, theirs in zip(given, expected, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-3)


def test_token_states_are_those_that_the_mean_is_of() -> None:
    texts = ["The ferry is late.", "Nobody knows when, or whether, the second ferry will sail."]
    encoder = SentenceEncoder(MINILM, (MEAN, token_output(6)))
    for batch in encoder.batches(encoder.tokenize(texts)):
        mean, states = encoder.run(batch)
        weight = batch.mask[..., None]
        np.testing.assert_allclose((states * weight).sum(axis=1) / weight.sum(axis=1), mean, atol=1e-5)


@given(scores=st.lists(st.tuples(*[st.floats(-5, 5)] * 2, st.booleans(), st.booleans()), min_size=1, max_size=20))
def test_the_best_span_is_the_best_of_all(scores: Sequence[tuple[float, float, bool, bool]]) -> None:
    pointers = np.array([row[:2] for row in scores], np.float32)
    borders = np.array([row[2:] for row in scores], bool)
    every = {
        (i, j): float(pointers[i, 0]) + float(pointers[j, 1])
        for i in range(len(scores))
        for j in range(i, min(len(scores), i + 13))
        if borders[i, 0] and borders[j, 1]
    }
    span, probability = best_span(pointers, borders)
    if not every:
        assert (span, probability) == (None, 0.0)
        return
    assert span is not None
    assert every[span] == pytest.approx(max(every.values()), abs=1e-5)
    assert probability == pytest.approx(np.exp(every[span]) / np.exp(list(every.values())).sum(), rel=1e-4)


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ('"Never," she said.', '"Never,"'),
        ("“Never,” she said.", "“Never,”"),
        ("He called it “a ruse” and left.", "“a ruse”"),
        ('We go on," she said.', 'We go on,"'),
        ('She said: "We go on. We always have.', '"We go on. We always have.'),
        ("He said the ‘so-called treaty’ wasn’t worth it.", "‘so-called treaty’"),
        ("The council's answer isn't known.", ""),
    ],
)
def test_quotations_are_seen_also_where_a_mark_is_missing(text: str, inside: str) -> None:
    assert "".join(c for c, is_inside in zip(text, quoted(text).tolist(), strict=True) if is_inside) == inside


@given(st.text("ab .\"“”‘’'", max_size=30))
def test_quotation_marks_of_any_kind_are_read(text: str) -> None:
    assert quoted(text).shape == (len(text),)


@pytest.mark.parametrize(
    ("text", "floor", "rules"),
    [
        ("Last week Ana Ruiz met Tallinn, Okoro said.", "Okoro", "Okoro"),
        ('"It is over," said the old envoy.', None, "the old envoy"),
        ("Tallinn should yield.", "Tallinn", None),
        ("The talks went on, according to the mayor.", None, "the mayor"),
    ],
)
def test_floor_and_rules_do_as_they_say(text: str, floor: str | None, rules: str | None) -> None:
    for holder, name in ((nearest_name(text), floor), (by_rules(text), rules)):
        assert (text[holder.start : holder.end] if holder.kind == "named" else None) == name


def test_a_label_is_found_as_words_of_its_own() -> None:
    assert noted("There he said it is the council’s plan, he said.", "he").spans == ((6, 8), (40, 42))
    assert noted("It is the council’s plan.", "The council's plan").spans == ((6, 24),)
    assert noted("It rains.", "the mayor") == Noted("named")
    assert [noted("It rains.", holder).kind for holder in (None, "author", "several")] == ["none", "author", "several"]


def test_figures_of_answers_that_can_be_counted_by_hand() -> None:
    texts = ["The old mayor said so.", "Ana said no.", "It rains.", "It is wrong."]
    gold = [Noted("named", ((0, 13),)), Noted("named", ((0, 3),)), Noted("none"), Noted("author")]
    said = [Noted("named", ((4, 13),)), Noted("named", ((0, 3),)), Noted("named", ((0, 2),)), Noted("author")]
    of = figures(texts, said, gold, Resampling.of(["a", "b", "c", "d"]))
    assert of["kind_accuracy"]["value"] == 0.75
    assert of["exact_f1"]["value"] == 0.4  # one of three given, of two labelled
    assert of["overlap_f1"]["value"] == 0.75  # three words of four given and four labelled
    assert of["exact_where_both_name"]["value"] == 0.5
    assert of["all_right"]["value"] == 0.5
    assert of["kind_f1"]["named"]["value"] == 0.8
    assert of["exact_f1"]["low"] <= 0.4 <= of["exact_f1"]["high"]
    stated = how_calibrated([0.9, 0.9, 0.1, 0.1], [True, True, False, True])
    assert stated["brier"] == pytest.approx((0.01 * 3 + 0.81) / 4)

"""Explanations: on a model whose deciding words are known, on any text, over HTTP, and whether they are faithful."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file
from starlette.testclient import TestClient

import serving.explaining
import training.nearest
from labels.codebook_rules import CODEBOOK_FILE, read_codebook
from labels.errors import StanceError
from labels.taxonomy import load_taxonomy
from serving.cli import main
from serving.explaining import explain_texts
from serving.schema import MAX_CHARACTERS, MAX_EXPLAINED, TextExplanation
from serving.scoring import score_texts
from tests.conftest import in_minutes, run_stance, write_lines
from training.explanation import MOST_PIECES, Explanation, explain, without, words_in
from training.model_folder import DEFAULT_MODEL, Model, load_model, save_model
from training.nearest import CODEBOOK_SOURCE, Examples, index_examples, read_examples, with_vectors
from training.pages import interval

TARGETS = """\
targets:
  canteen:
    title: Canteen
    proposition: The canteen is good.
    classes: [good, bad]
    poles: {conciliatory: good, other: bad}
"""
DECIDES = {"good": ["lauded", "cherished"], "bad": ["condemned", "loathed"], None: ["painted", "measured"]}
WHO = ["The mayor", "A headmistress", "The cook", "My neighbour", "One parent"]
DAYS = ["Monday", "Tuesday", "Friday"]
TEXT = "The plumber {} the old canteen on Sunday."
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=120).filter(str.strip)
SENTENCE = "Sanctions must stay until the last warhead is gone, the senator said."


def _records() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [
        {"text": f"{who} {verb} the canteen on {day}.", "labels": {"canteen": label}}
        for label, verbs in DECIDES.items()
        for verb in verbs
        for who in WHO
        for day in DAYS
    ]
    return in_minutes(rows, documents=9, for_testing=1)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with labels in which one word of each sentence decides, and the model that was trained on them."""
    folder = tmp_path_factory.mktemp("known")
    (folder / "targets.yaml").write_text(TARGETS)
    write_lines(folder / "labels.jsonl", _records())
    arguments = ["--labels", folder / "labels.jsonl", "--targets", folder / "targets.yaml"]
    done = run_stance("train", *arguments, "--recipe", "floor", "--out", folder / "model")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def model(known: Path) -> Model:
    return load_model(known / "model")


@pytest.fixture(scope="module")
def shipped() -> Model:
    return load_model()


@pytest.fixture(scope="module")
def worked(shipped: Model) -> Examples:
    """The codebook's own sentences, as the model that ships sees them."""
    examples = [example for example in read_examples(shipped.taxonomy) if example.source == CODEBOOK_SOURCE]
    return index_examples(shipped, examples)


@pytest.fixture
def client(service: TestClient, worked: Examples, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """The service, with few examples: to embed all of them takes seconds."""
    monkeypatch.setattr(serving.explaining, "read_examples", lambda taxonomy: worked.examples)
    return service


def _explain(*arguments: str | Path) -> dict[str, Any]:
    done = run_stance("explain", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.mark.parametrize(("verb", "sign"), [("lauded", 1), ("loathed", -1)])
def test_the_word_that_decides_comes_first(known: Path, verb: str, sign: int) -> None:
    text = TEXT.format(verb)
    answer = _explain(text, "--model", known / "model")
    first, *others = answer["explanation"]["targets"]["canteen"]["words"]
    assert verb in first["text"].split()
    assert first["contribution"] * sign > 0.3
    assert all(abs(other["contribution"]) <= abs(first["contribution"]) for other in others)
    for word in (first, *others):
        assert text[word["start"] : word["end"]] == word["text"]


def test_for_people_it_says_the_same(known: Path) -> None:
    done = run_stance(
        "explain", TEXT.format("condemned"), "--model", known / "model", "--labels", known / "labels.jsonl"
    )
    said = done.stdout.splitlines()
    assert said[0] == TEXT.format("condemned")
    assert said[2].startswith("canteen: bad, score -")
    assert said[3].split()[0].startswith("-0.")
    assert "condemned" in said[3]
    near = said[said.index("nearest labelled sentences") + 1 :]
    assert "condemned the canteen" in near[0]
    assert near[1].split() == ["canteen", "bad"]


def test_for_people_the_model_that_ships_names_rule_and_definition(shipped: Model, worked: Examples) -> None:
    ruled = [example for example in worked.examples if "posture" in example.rules]
    given_ = score_texts(shipped, [example.text for example in ruled], ["posture"])
    labels = [result["targets"]["posture"]["label"] for result in given_]
    example, label = next(
        (each, label) for each, label in zip(ruled, labels, strict=True) if label == each.labels["posture"]
    )
    done = run_stance("explain", example.text, "--target", "posture")
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert f" posture: {label}, score " in said
    assert f" {label}: the sentence " in said
    rule = example.rules["posture"]
    assert f" rule {rule.number}: {rule.text} as in: {example.text}" in said
    long = "The choir sang on Monday and the baker sold bread. " * 40
    done = run_stance("explain", long, "--target", "troop_withdrawal")
    assert done.returncode == 0, done.stderr
    assert "words at a time were left out" in done.stdout
    assert "only its beginning was read" in done.stdout
    assert "no word by itself carries it" in run_stance("explain", "Snow.", "--target", "troop_withdrawal").stdout


def test_the_vectors_that_ship_can_be_made_again(
    shipped: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A hundred of them: all take ten seconds.
    some = read_examples(shipped.taxonomy)[:100]
    monkeypatch.setattr(training.nearest, "read_examples", lambda taxonomy: some)
    monkeypatch.setattr(sys, "argv", ["stance", "examples", "--out", str(tmp_path / "model")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    again, kept = (load_file(folder / "examples.safetensors") for folder in (tmp_path / "model", DEFAULT_MODEL))
    # Another processor rounds otherwise: by one of the 255 steps of a vector.
    for name, away in (("model", 0), ("texts", 0), ("scales", 1e-6), ("vectors", 1)):
        rows = len(again[name])
        assert rows == (1 if name == "model" else 100)
        np.testing.assert_allclose(again[name].astype(float), kept[name][:rows].astype(float), rtol=0, atol=away)


def test_a_contribution_is_the_score_with_it_less_the_score_without(model: Model) -> None:
    text = TEXT.format("cherished")
    (explanation,) = explain(model, [text])
    for each in explanation.carried(0):
        with_it, without_it = score_texts(model, [text, without(text, each.start, each.end)])
        moved = with_it["targets"]["canteen"]["score"] - without_it["targets"]["canteen"]["score"]
        assert each.contribution == pytest.approx(moved, abs=1e-5)


def _made(moved: dict[tuple[int, int], float]) -> list[tuple[int, int, float]]:
    """What is named where leaving out these words (numbers of first and last) moves the score so."""
    pieces = tuple((2 * n, 2 * n + 1) for n in range(1 + max(last for _, last in moved)))
    explanation = Explanation(1, pieces, tuple(moved), np.array(list(moved.values()))[:, None])
    return [(each.start // 2, each.end // 2, each.contribution) for each in explanation.carried(0)]


def test_words_that_cover_for_each_other_are_one_phrase() -> None:
    alone = {(0, 0): 0.0, (1, 1): 0.0, (2, 2): 0.3}
    assert _made({**alone, (0, 1): 0.8, (1, 2): 0.3, (0, 2): 0.85}) == [(0, 1, 0.8), (2, 2, 0.3)]


def test_words_of_which_each_is_needed_are_named_one_by_one() -> None:
    alone = {(0, 0): -0.8, (1, 1): -0.7}
    assert _made({**alone, (0, 1): -0.8}) == [(0, 0, -0.8), (1, 1, -0.7)]


@given(st.integers(1, 12), st.randoms(use_true_random=False))
def test_what_is_named_never_overlaps_and_is_in_order(words: int, random: Any) -> None:
    runs = [(first, first + more) for more in range(3) for first in range(words - more)]
    named = _made({run: round(random.uniform(-1, 1), 3) for run in runs})
    covered = [n for first, last, _ in named for n in range(first, last + 1)]
    assert len(covered) == len(set(covered))
    assert [abs(by) for *_, by in named] == sorted((abs(by) for *_, by in named), reverse=True)


@given(ANY_TEXT)
def test_without_a_word_the_others_are_left(text: str) -> None:
    words = words_in(text)
    said = [text[start:end] for start, end in words]
    for n, (start, end) in enumerate(words):
        rest = without(text, start, end)
        assert [rest[s:e] for s, e in words_in(rest)] == said[:n] + said[n + 1 :]
    for place in range(len(text) + 1):
        assert without(text, place, place) == text


def _is_sound(text: str, given_: dict[str, Any]) -> None:
    TextExplanation.model_validate(given_)
    for target in given_["targets"].values():
        for word in target["words"]:
            assert text[word["start"] : word["end"]] == word["text"] != ""
        spans = sorted((word["start"], word["end"]) for word in target["words"])
        assert all(end <= start for (_, end), (start, _) in pairwise(spans))


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ANY_TEXT, min_size=1, max_size=2))
def test_any_text_is_explained(client: TestClient, texts: list[str]) -> None:
    response = client.post("/v1/score", json={"texts": texts, "explain": True})
    assert response.status_code == 200, response.text
    for text, result in zip(texts, response.json()["results"], strict=True):
        _is_sound(text, result["explanation"])


@pytest.mark.parametrize("text", [".", "?! …", "e" + "\u0301" * 300, "👩\u200d👧🇰🇵 talks", "核" * MAX_CHARACTERS])
def test_a_text_of_few_or_strange_words_is_explained(client: TestClient, text: str) -> None:
    (result,) = client.post("/v1/score", json={"texts": [text], "explain": True}).json()["results"]
    _is_sound(text, result["explanation"])


def test_the_answer_is_the_same_with_its_explanation(client: TestClient) -> None:
    body = {"texts": [SENTENCE, "The bakery opens at nine."], "targets": [load_taxonomy().ids[1]]}
    plain = client.post("/v1/score", json=body).json()
    assert client.post("/v1/score", json={**body, "explain": False}).json() == plain
    asked = client.post("/v1/score", json={**body, "explain": True}).json()
    for text, result in zip(body["texts"], asked["results"], strict=True):
        explanation = result.pop("explanation")
        assert list(explanation["targets"]) == body["targets"]
        _is_sound(text, explanation)
    assert asked == plain
    touching, other = client.post("/v1/score", json={**body, "explain": True}).json()["results"]
    (target_id,) = body["targets"]
    named = [word["text"] for word in touching["explanation"]["targets"][target_id]["words"]]
    assert any("anctions" in text for text in named[:2])
    assert other["explanation"]["targets"][target_id]["words"] == []


def test_fewer_texts_are_explained_than_scored(client: TestClient) -> None:
    most = {"texts": ["No."] * MAX_EXPLAINED, "explain": True}
    assert client.post("/v1/score", json=most).status_code == 200
    refused = client.post("/v1/score", json={**most, "texts": ["No."] * (MAX_EXPLAINED + 1)})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "too_many_texts")
    assert str(MAX_EXPLAINED) in refused.json()["error"]["message"]
    wrong = client.post("/v1/score", json={"texts": ["No."], "explain": "yes"})
    assert (wrong.status_code, wrong.json()["error"]["field"]) == (400, "explain")


def test_a_long_text_costs_no_more_and_its_unread_end_is_not_named(shipped: Model) -> None:
    text = f"{SENTENCE} " * 40
    (explanation,) = explain(shipped, [text])
    assert explanation.words_in_piece > 1
    assert MOST_PIECES // 2 < len(explanation.pieces) == len(explanation.runs) <= MOST_PIECES
    end = explanation.pieces[-1][1]
    assert end < len(text) / 2
    read, _ = score_texts(shipped, [text, text[:end]])
    cut = score_texts(shipped, [text[:end]])[0]
    for target_id, given_ in read["targets"].items():
        assert given_["score"] == pytest.approx(cut["targets"][target_id]["score"], abs=0.02)


def test_rules_are_quoted_from_the_codebook_and_only_with_an_example_of_the_same_label(
    shipped: Model, worked: Examples
) -> None:
    chosen = worked.examples[::3]
    texts = [example.text for example in chosen]
    results = score_texts(shipped, texts)
    plain = " ".join(CODEBOOK_FILE.read_text(encoding="utf8").replace("*", "").replace("`", "").split())
    found = 0
    for example, result, why in zip(chosen, results, explain_texts(shipped, texts, results, worked), strict=True):
        for target_id, given_ in why["targets"].items():
            label = result["targets"][target_id]["label"]
            if rule := given_["rule"]:
                assert f"{rule['number']}. {rule['text']}" in plain
                other = next(other for other in worked.examples if other.text == rule["example"])
                assert (other.labels[target_id] or "unrelated") == label
            if target_id in example.rules and (example.labels[target_id] or "unrelated") == label:
                assert given_["rule"]["number"] == example.rules[target_id].number
                found += 1
            assert given_["definition"] is None or f"| {given_['definition']} |" in plain
    assert found > 8


def test_the_codebook_is_read_whole() -> None:
    codebook = read_codebook()
    assert sorted(codebook.rules) == list(range(1, 45))
    taxonomy = load_taxonomy()
    assert {id_: set(of) for id_, of in codebook.meanings.items()} == {of.id: set(of.classes) for of in taxonomy}
    decided = [codebook.rule_for(example, id_) for example in codebook.examples for id_ in example.labels]
    assert {rule.number for rule in decided if rule} > {1, 2, 3, 14, 26, 28, 40, 43}


def test_only_texts_that_may_be_shown_are_examples(known: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.jsonl").write_text((known / "labels.jsonl").read_text())
    ref = {"doc": "minutes", "start": 0, "end": 9, "sha256": "0" * 64}
    with (tmp_path / "labels.jsonl").open("a") as stream:
        stream.write(json.dumps({"id": "standoff", "ref": ref, "labels": {"canteen": "good"}}) + "\n")
    test = next(row for row in _records() if row["split"] == "test")
    answer = _explain(test["text"], "--model", known / "model", "--labels", tmp_path / "labels.jsonl")
    near = answer["explanation"]["examples"]
    assert len(near) == 5
    assert near == sorted(near, key=lambda each: -each["similarity"])
    kept = {row["id"]: row for row in _records() if row["split"] == "train"}
    for each in near:
        assert each["text"] == kept[each["id"]]["text"]
        assert each["labels"]["canteen"] == (kept[each["id"]]["labels"]["canteen"] or "unrelated")


def test_the_nearest_to_a_labelled_sentence_is_itself(known: Path) -> None:
    row = _records()[7]
    answer = _explain(row["text"], "--model", known / "model", "--labels", known / "labels.jsonl")
    first = answer["explanation"]["examples"][0]
    assert (first["id"], first["text"]) == (row["id"], row["text"])
    assert first["similarity"] == pytest.approx(1, abs=1e-5)
    assert _explain(row["text"], "--model", known / "model")["explanation"]["examples"] == []


def test_examples_need_no_place_to_be_kept(
    shipped: Model, worked: Examples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a-file").write_text("")
    monkeypatch.setenv("STANCE_CACHE", str(tmp_path / "a-file" / "cache"))
    again = index_examples(replace(shipped, examples=None), worked.examples[:3])
    np.testing.assert_allclose(again.vectors, worked.vectors[:3], atol=5e-3)


def test_vectors_in_the_folder_are_those_of_the_model_and_of_no_other(
    shipped: Model, worked: Examples, tmp_path: Path
) -> None:
    kept = with_vectors(replace(shipped, fast_path=None), worked.examples[:9])
    saved = save_model(kept, tmp_path / "kept")
    assert saved.version == shipped.version
    again = load_model(tmp_path / "kept")
    computed = index_examples(replace(shipped, examples=None), worked.examples[:9])
    cosines = (index_examples(again, worked.examples[:9]).vectors * computed.vectors).sum(axis=1)
    np.testing.assert_allclose(cosines, 1, atol=1e-3)
    about = json.loads((tmp_path / "kept" / "model.json").read_text())
    (tmp_path / "kept" / "model.json").write_text(json.dumps({**about, "version": "another-0123456789ab"}))
    with pytest.raises(StanceError, match=r"examples\.safetensors: is of another model"):
        load_model(tmp_path / "kept")


def test_the_model_that_ships_has_the_vectors_of_all_that_it_shows(shipped: Model) -> None:
    texts = [example.text for example in read_examples(shipped.taxonomy)]
    assert shipped.examples is not None
    assert list(shipped.examples.known(texts)) == texts


def test_faithfulness_of_a_model_whose_words_are_known(known: Path) -> None:
    arguments = ["--model", known / "model", "--labels", known / "labels.jsonl"]
    done = run_stance("faithfulness", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    overall = figures["overall"]
    assert figures["targets"]["canteen"] == overall
    assert overall["named_minus_random"]["low"] > 0.2
    assert overall["named"]["value"] > 0.5
    assert overall["scores"] + figures["nothing_named"] == figures["sentences"]
    # Measured again, for people: the same.
    table = run_stance("faithfulness", *arguments, COLUMNS="200").stdout
    (row,) = (line for line in table.splitlines() if line.strip().startswith("overall"))
    assert f"  {interval(overall['named'])}  " in row
    other = run_stance("faithfulness", *arguments, "--split", "dev")
    assert other.returncode == 1
    assert "no sentence of the part 'dev' is in the label files" in other.stderr


@pytest.mark.parametrize("arguments", [[" "], ["a text", "--target", "weather"]])
def test_wrong_usage_exits_with_2(arguments: list[str], known: Path) -> None:
    assert run_stance("explain", "--model", known / "model", *arguments).returncode == 2

"""Issues without labels: what is learnt from, training, the folder, answers on the command line and over HTTP."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from labels.errors import StanceError
from labels.exchange.benchmarks import read_arguments
from labels.taxonomy import load_taxonomy
from labels.wordings import DEFAULT_WORDINGS, Wordings, further_propositions, read_wordings
from serving.schema import MAX_PROPOSITION_CHARACTERS, MAX_PROPOSITIONS, MAX_TEXTS_WITH_PROPOSITIONS
from serving.turns import work_of
from tests.conftest import run_stance, write_lines
from tests.test_client import stubbed
from training.outcomes import NOT_READ
from training.pairs import Arguments, IssueSentences, argument_pairs, lesson_of_issues
from training.relation import RELATION, pair_of, swapped
from training.relation_model import RELATION_MODEL, load_relation_model
from training.relation_recipe import load_relation_recipe
from training.relation_training import train_relations
from training.train import read_labelled

LABELS = list(RELATION.outcomes)
PROPOSITIONS = ["Turkey should join the union.", "The ferry should run at night."]
TEXTS = ["Ankara belongs in the union, the minister said.", "The bakery opens at nine."]

TARGETS = """\
targets:
  ferry:
    title: Ferry
    proposition: The ferry should run at night.
    classes: ["yes", unsure, "no"]
    poles: {conciliatory: "yes", other: "no"}
  bridge:
    title: Bridge
    proposition: The bridge should be built.
    classes: [pro, contra]
    poles: {conciliatory: pro, other: contra}
  tolls:
    title: Tolls
    proposition: Tolls should be abolished.
    classes: [pro, contra]
    poles: {conciliatory: pro, other: contra}
"""
WORDINGS = """\
propositions:
  ferry:
    same: [Boats should cross at night.]
    negated: [The ferry should rest at night.]
    testing: {same: [There should be boats after dark.], negated: [No ship should sail at night.]}
  bridge:
    same: [A bridge is needed.]
    negated: [There should be no bridge.]
"""
RECIPE = """\
name: tiny
title: For a test
encoder: minilm
folds: 4
arguments: {pairs: 32, tuning: {rank: 2, epochs: 1, learning_rate: 0.001}}
issues:
  passes: 1
  most_of_issue: 9
  argument_share: 0.2
  further_share: 0.2
  tuning: {rank: 2, epochs: 1, learning_rate: 0.001}
abstention: {error_rate: 0.3}
"""
SAID = {
    ("ferry", "yes"): "{} wants boats all night.",
    ("ferry", "no"): "{} rejected sailing after dark.",
    ("ferry", "unsure"): "Whether the ferry sails at night is open, {} said.",
    ("bridge", "pro"): "{} called for the bridge.",
    ("bridge", "contra"): "{} dismissed the bridge as a waste.",
    ("tolls", "pro"): "{} wants the road to cost nothing.",
    ("tolls", "contra"): "Drivers ought to pay, {} insisted.",
    ("", ""): "{} repaired the roof of the station.",
}
WHO = ["the mayor", "Ana Ruiz", "the harbour office", "the council"]


def strait_records() -> list[dict[str, Any]]:
    """Sentences on three issues of an invented strait, one of eight documents for testing."""
    issues = ("ferry", "bridge", "tolls")
    given_ = [
        (text.format(who), {each: label if each == issue else None for each in issues})
        for (issue, label), text in SAID.items()
        for who in WHO
    ]
    return [
        {"id": f"s{n}", "text": text, "labels": labels, "group": f"day-{n % 8}", "split": ["train", "test"][n % 8 == 7]}
        for n, (text, labels) in enumerate(given_)
    ]


@pytest.fixture(scope="module")
def strait(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("strait")
    for name, content in (("targets.yaml", TARGETS), ("wordings.yaml", WORDINGS), ("recipe.yaml", RECIPE)):
        (folder / name).write_text(content)
    write_lines(folder / "labels.jsonl", strait_records())
    rows = [f"Swans are {n} times {'good' if n % 2 else 'bad'},We should keep {n % 3} swans,{n % 2}" for n in range(24)]
    named = [row.removesuffix("1") + "favor,1" if row.endswith("1") else row[:-1] + "against,1" for row in rows]
    (folder / "arguments.csv").write_text("\n".join(["text,proposition,label,confidence", *named]) + "\n")
    return folder


def _train(strait: Path, out: Path, *more: str | Path) -> Any:
    given_ = ["--labels", strait / "labels.jsonl", "--targets", strait / "targets.yaml"]
    given_ += ["--wordings", strait / "wordings.yaml", "--recipe", strait / "recipe.yaml", "--out", out, *more]
    return run_stance("propositions", "train", *given_, with_torch=True)


@pytest.fixture(scope="module")
def trained(strait: Path) -> dict[str, Any]:
    pytest.importorskip("torch")
    out = strait / "model"
    done = _train(strait, out, "--arguments", strait / "arguments.csv", "--score-test", "--json")
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.mark.slow
def test_each_issue_is_left_out_in_turn_and_judged_beside_others(trained: dict[str, Any], strait: Path) -> None:
    model = load_relation_model(strait / "model")
    assert model.version == trained["version"]
    assert model.about["data"]["issues"]["ferry"]["neutral"] > 0
    assert "CC BY-SA" in model.about["card"]["arguments"]
    for part, groups in (("held_out", {1, 2}), ("test", {1})):
        figures = trained["metrics"][part]
        assert figures["groups"] in groups
        # A model of another taxonomy has nothing to say of these issues.
        assert set(figures["systems"]) == {"zero_shot", "bi_encoder", "sentence_only", "majority"}
        for system in figures["systems"].values():
            assert list(system["targets"]) == ["ferry", "bridge", "tolls"]
        touching = [s for s in strait_records() if s["split"] == "test" and any(s["labels"].values())]
        if part == "test":
            behaviour = figures["behaviour"]
            assert behaviour["target_swap"]["of"] == 2 * len(touching)
            assert behaviour["paraphrase"]["of"] == sum(bool(s["labels"]["ferry"]) for s in touching)


@pytest.mark.slow
def test_a_network_that_learns_no_issue_is_of_arguments_alone(strait: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    taxonomy = load_taxonomy(strait / "targets.yaml")
    words = read_wordings(strait / "wordings.yaml", taxonomy)
    (tmp_path / "recipe.yaml").write_text(
        RECIPE.replace("issues:\n", "issues:\n  learn: false\n").replace("share: 0.2", "share: 0")
    )
    recipe = load_relation_recipe(tmp_path / "recipe.yaml")
    arguments = Arguments.of(read_arguments(strait / "arguments.csv"))
    # Whatever the labels say, it is the same network; what follows from its answers is not.
    opposite = {"yes": "no", "no": "yes", "pro": "contra", "contra": "pro"}
    models = []
    for others in ({}, opposite):
        rows = [
            {**row, "labels": {issue: others.get(label, label) for issue, label in row["labels"].items()}}
            for row in strait_records()
        ]
        data = read_labelled([write_lines(tmp_path / f"{len(others)}.jsonl", rows)], taxonomy, None)
        models.append(train_relations(data, words, arguments, recipe))
    first, second = (model.adapted.tensors() for model in models)
    assert first.keys() == second.keys()
    assert all(np.array_equal(tensor, second[key]) for key, tensor in first.items())
    assert models[0].rule.as_dict() != models[1].rule.as_dict()
    with pytest.raises(StanceError, match="arguments alone"):
        train_relations(data, words, Arguments([], [], []), recipe)


@pytest.mark.slow
def test_the_folder_answers_and_its_figures_can_be_read_again(trained: dict[str, Any], strait: Path) -> None:
    environment = {"STANCE_PROPOSITION_MODEL": str(strait / "model")}
    done = run_stance("score", TEXTS[0], "--proposition", PROPOSITIONS[0], "--json", **environment)
    assert done.returncode == 0, done.stderr
    (answer,) = json.loads(done.stdout)["propositions"]
    assert answer["version"] == trained["version"]
    shown = run_stance("propositions", "evaluate", "--model", strait / "model")
    assert "left out" in shown.stdout
    assert "target swap" in shown.stdout


@pytest.mark.slow
def test_a_model_is_scored_on_issues_that_it_was_not_taught(trained: dict[str, Any], strait: Path, meals: Path) -> None:
    given_ = ["--labels", meals / "labels.jsonl", "--targets", meals / "targets.yaml", "--split", "test", "--json"]
    done = run_stance("propositions", "evaluate", "--model", strait / "model", *given_)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)["scored"]
    assert list(figures["systems"]["zero_shot"]["targets"]) == ["free_meals", "later_start"]
    own = ["--labels", strait / "labels.jsonl", "--targets", strait / "targets.yaml", "--split", "train"]
    refused = run_stance("propositions", "evaluate", "--model", strait / "model", *own)
    assert refused.returncode == 1
    assert "trained on" in refused.stderr


@pytest.mark.slow
def test_a_changed_file_is_refused(trained: dict[str, Any], strait: Path, tmp_path: Path) -> None:
    for name in sorted(path.name for path in (strait / "model").iterdir()):
        copy = tmp_path / name
        shutil.copytree(strait / "model", copy)
        content = bytearray((copy / name).read_bytes())
        content[len(content) // 2] ^= 1
        if name == "propositions.json":
            content = bytearray(b"[]")
        (copy / name).write_bytes(content)
        with pytest.raises(StanceError, match=r"changed|format"):
            load_relation_model(copy)


def test_labels_that_touch_no_issue_cannot_be_learnt_from(strait: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    rows = [{**row, "labels": dict.fromkeys(row["labels"])} for row in strait_records()]
    labels = write_lines(tmp_path / "labels.jsonl", rows)
    done = run_stance(
        "propositions", "train", "--labels", labels, "--targets", strait / "targets.yaml", "--out", tmp_path / "out"
    )
    assert done.returncode == 1
    assert "touches an issue" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("propositions: {boats: {same: [a]}}", "propositions.boats"),
        ("propositions: {ferry: {same: [a], negated: [a]}}", "twice"),
        ("propositions: {ferry: {other: [a]}}", "propositions.ferry.other"),
        ("propositions: {ferry: {same: ['  ']}}", "propositions.ferry.same.0"),
        ("- a", "file.yaml"),
        ("{", "not YAML"),
    ],
)
def test_wrong_wordings_are_named(content: str, says: str, strait: Path, tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(content)
    with pytest.raises(StanceError) as raised:
        read_wordings(path, load_taxonomy(strait / "targets.yaml"))
    assert says in str(raised.value)
    assert str(path) in str(raised.value)


def test_the_projects_own_words() -> None:
    taxonomy = load_taxonomy()
    wordings = read_wordings(DEFAULT_WORDINGS, taxonomy)
    for found in wordings.values():
        assert len(found.same) >= 6
        assert len(found.negated) >= 3
        assert (len(found.testing_same), len(found.testing_negated)) == (2, 1)
    further = further_propositions()
    sentences = [s for each in further for s in (*each.favor, *each.against, *each.neutral)]
    assert len(set(sentences)) == len(sentences)
    # Its opposite is made of that word.
    assert all(" should " in each.proposition for each in further)


@given(
    outcomes=st.lists(
        st.lists(st.sampled_from([NOT_READ, 0, 1, 2, 3]), min_size=3, max_size=3), min_size=1, max_size=12
    ).filter(lambda rows: any(each > 0 for row in rows for each in row)),
    seed=st.integers(0, 2**32 - 1),
)
def test_what_is_drawn_says_what_the_labels_say(outcomes: list[list[int]], seed: int) -> None:
    issues = ["a", "b", "c"]
    words = {
        each: Wordings(f"{each} is", (f"{each} is so",), (f"{each} is not",), (f"{each} tested",), (f"{each} failed",))
        for each in issues
    }
    sentences = IssueSentences(
        [f"sentence {n}" for n in range(len(outcomes))], ["g"] * len(outcomes), issues, np.array(outcomes, np.int8)
    )
    nothing = Arguments([], [], [])
    lesson = lesson_of_issues(
        sentences, words, nothing, nothing, passes=2, most_of_issue=99, argument_share=0, further_share=0, seed=seed
    )
    related = 0
    for (proposition, text), aim in zip(lesson.texts, lesson.aims[:, 0], strict=True):
        issue, _, rest = proposition.partition(" ")
        assert rest in ("is", "is so", "is not")
        labelled = outcomes[int(text.split()[1])][issues.index(issue)]
        assert labelled != NOT_READ
        assert aim.argmax() == (swapped(labelled) if rest == "is not" else labelled)
        assert aim.sum() == 1
        related += labelled > 0
    assert related == 2 * sum(each > 0 for row in outcomes for each in row)
    assert len(lesson.texts) - related <= related + 2


def test_nothing_is_drawn_of_an_issue_that_is_left_out() -> None:
    outcomes = np.array([[1, 0], [0, 2], [3, 3]], np.int8)
    sentences = IssueSentences(["x", "y", "z"], ["g"] * 3, ["a", "b"], outcomes).without("a")
    words = {"a": Wordings("A"), "b": Wordings("B")}
    nothing = Arguments([], [], [])
    lesson = lesson_of_issues(
        sentences, words, nothing, nothing, passes=3, most_of_issue=99, argument_share=0, further_share=0, seed=1
    )
    assert {proposition for proposition, _ in lesson.texts} == {"B"}


def test_an_argument_against_a_proposition_is_for_its_opposite() -> None:
    arguments = Arguments(["It pays.", "It costs."], ["We should build it", "Roads should be mended"], [1, 3])
    drawn = argument_pairs(arguments, 400, np.random.default_rng(3), unrelated=0)
    found = {(words, outcome) for (words, _), outcome in drawn}
    assert found == {
        ("We should build it", 1),
        ("We ought to build it", 1),
        ("It would be right to build it", 1),
        ("We should not build it", 3),
        ("It would be wrong to build it", 3),
        ("Roads should be mended", 3),
        ("Roads ought to be mended", 3),
        ("Roads should not be mended", 1),
    }


@given(text=st.text(), proposition=st.text())
def test_any_pair_can_be_read(text: str, proposition: str) -> None:
    words, sentence = pair_of(text, proposition)
    assert pair_of(sentence, words)[1] == sentence
    f"{words}{sentence}".encode()
    if proposition.strip() and not proposition.strip().strip("."):
        assert words


@given(st.lists(st.text(min_size=1, max_size=50), min_size=1, max_size=5), st.lists(st.text(min_size=1), max_size=8))
def test_a_proposition_more_is_more_work(texts: list[str], propositions: list[str]) -> None:
    assert work_of(texts, propositions=[*propositions, "x"]) > work_of(texts, propositions=propositions)


# Over HTTP, with the model that ships.


@pytest.fixture(scope="module")
def client(service: TestClient) -> TestClient:
    return service


def _ask(client: TestClient, texts: list[str], propositions: list[str]) -> list[list[dict[str, Any]]]:
    response = client.post("/v1/score", json={"texts": texts, "propositions": propositions})
    assert response.status_code == 200, response.text
    found = [result["propositions"] for result in response.json()["results"]]
    for answers in found:
        assert [answer["proposition"] for answer in answers] == propositions
        for answer in answers:
            assert answer["zero_shot"] is True
            assert list(answer["probabilities"]) == LABELS
            assert answer["label"] in LABELS
            assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-5)
            expected = answer["probabilities"]["favor"] - answer["probabilities"]["against"]
            assert answer["score"] == pytest.approx(expected, abs=1e-5)
            assert answer["version"] == load_relation_model(RELATION_MODEL).version
    return found


def test_propositions_are_answered_beside_the_targets(client: TestClient) -> None:
    plain = client.post("/v1/score", json={"texts": TEXTS}).json()["results"]
    assert all("propositions" not in result for result in plain)
    body = {"texts": TEXTS, "propositions": PROPOSITIONS}
    for with_, without in zip(client.post("/v1/score", json=body).json()["results"], plain, strict=True):
        assert with_["targets"] == without["targets"]
    together = _ask(client, TEXTS, PROPOSITIONS)
    for n, text in enumerate(TEXTS):
        for p, proposition in enumerate(PROPOSITIONS):
            ((alone,),) = _ask(client, [text], [proposition])
            assert alone["score"] == pytest.approx(together[n][p]["score"], abs=1e-4)


def test_an_answer_depends_on_the_proposition_but_not_on_its_full_stop(client: TestClient) -> None:
    ((first, same, other),) = _ask(
        client, TEXTS[:1], [PROPOSITIONS[0], f"  {PROPOSITIONS[0].rstrip('.')} ", PROPOSITIONS[1]]
    )
    assert first["probabilities"] == pytest.approx(same["probabilities"], abs=1e-4)
    assert first["probabilities"] != pytest.approx(other["probabilities"], abs=1e-2)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip), min_size=1, max_size=3
    ),
    propositions=st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=MAX_PROPOSITION_CHARACTERS).filter(
            lambda text: text.strip()
        ),
        min_size=1,
        max_size=3,
    ),
)
def test_any_proposition_is_answered(client: TestClient, texts: list[str], propositions: list[str]) -> None:
    _ask(client, texts, propositions)


def test_a_text_that_is_too_long_with_its_proposition_is_said_to_be(client: TestClient) -> None:
    answers = _ask(client, ["word " * 250, "Short."], ["The ferry should run."])
    assert [answer["truncated"] for (answer,) in answers] == [True, False]


@pytest.mark.parametrize(
    ("texts", "propositions", "code", "field"),
    [
        (1, [], "invalid_request", "propositions"),
        (1, "Turkey should join.", "invalid_request", "propositions"),
        (1, ["a"] * (MAX_PROPOSITIONS + 1), "too_many_propositions", "propositions"),
        (1, ["a", "  \n"], "empty_proposition", "propositions.1"),
        (1, ["", "a"], "empty_proposition", "propositions.0"),
        (1, ["a", "b" * (MAX_PROPOSITION_CHARACTERS + 1)], "proposition_too_long", "propositions.1"),
        (MAX_TEXTS_WITH_PROPOSITIONS + 1, ["a"], "too_many_texts", "texts"),
    ],
)
def test_wrong_propositions_are_refused(
    client: TestClient, texts: int, propositions: Any, code: str, field: str
) -> None:
    response = client.post("/v1/score", json={"texts": ["No."] * texts, "propositions": propositions})
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["field"]) == (400, code, field)


def test_the_client_and_the_command_ask_the_service() -> None:
    with stubbed() as (stub, address):
        done = run_stance(
            "score", "--url", address, "A text.", "--proposition", "One.", "--proposition", "Two.", "--json"
        )
        assert done.returncode == 0, done.stderr
    assert stub.bodies == [{"texts": ["A text."], "propositions": ["One.", "Two."]}]


@pytest.mark.parametrize("words", ["", "  ", "a" * (MAX_PROPOSITION_CHARACTERS + 1)])
def test_a_proposition_that_is_none_is_a_usage_error(words: str) -> None:
    done = run_stance("score", "A text.", "--proposition", words)
    assert done.returncode == 2
    assert "--proposition" in done.stderr


def test_what_is_printed_for_people_says_that_nobody_labelled_it() -> None:
    done = run_stance("score", TEXTS[0], "--proposition", PROPOSITIONS[0])
    assert done.returncode == 0, done.stderr
    assert f"{PROPOSITIONS[0]} (zero-shot)" in done.stdout

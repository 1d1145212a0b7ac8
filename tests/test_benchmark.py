"""`stance benchmark`: public stance data as label records, and the figure that its results are published in."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from labels.records import read_records
from labels.taxonomy import load_taxonomy
from tests.conftest import run_stance, write_lines

TWEET_COLUMNS = ["text", "label", "target"]
ARGUMENT_COLUMNS = ["text", "proposition", "label", "confidence"]

_SAID = {
    "1": ["No more {} in this town, {}.", "{}? Never, {} says, it only costs."],
    "2": ["Give us {} now, {} says.", "{} is what {} always wanted."],
    "0": ["{}: who is {} again?", "The rain kept {} and {} indoors."],
}
_WHO = ["the baker", "the choir", "my aunt", "our mayor", "a rower", "the twins", "@someone"]
WORDS = {"bikes": "bike lanes", "noise": "quiet hours"}


def table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Path:
    with path.open("w", encoding="utf8", newline="") as stream:
        csv.writer(stream).writerows([columns, *rows])
    return path


def tweets(folder: Path) -> Path:
    """Files of two targets; the last of each person's sentences are for `val`."""
    folder.mkdir()
    for target, word in WORDS.items():
        rows = [
            (sentence.format(word, who), label, target)
            for label, said in _SAID.items()
            for sentence in said
            for who in _WHO
        ]
        table(folder / f"{target}-train.csv", TWEET_COLUMNS, [row for i, row in enumerate(rows) if i % 7 < 5])
        table(folder / f"{target}-val.csv", TWEET_COLUMNS, [row for i, row in enumerate(rows) if i % 7 >= 5])
    return folder


def prepared(source: Path, out: Path, kind: str = "tweeteval", *more: str) -> list[dict[str, Any]]:
    done = run_stance("benchmark", "prepare", kind, source, "--out", out, *more)
    assert done.returncode == 0, done.stderr
    records = read_records([out / "labels.jsonl"], load_taxonomy(out / "targets.yaml"))
    assert f"{len(records)} records" in done.stdout
    return [json.loads(line) for line in (out / "labels.jsonl").read_text(encoding="utf8").splitlines()]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepared tweets, and two models: `good`, and `contrary`, which learnt one pole as the other."""
    folder = tmp_path_factory.mktemp("bench")
    rows = prepared(tweets(folder / "tweets"), folder / "data")
    other = {"favor": "against", "against": "favor", None: None}
    turned = [{**row, "labels": {k: other[label] for k, label in row["labels"].items()}} for row in rows]
    files = {"good": folder / "data" / "labels.jsonl", "contrary": write_lines(folder / "turned.jsonl", turned)}
    targets = ["--targets", folder / "data" / "targets.yaml"]
    for name, labels in files.items():
        done = run_stance("train", "--labels", labels, *targets, "--recipe", "floor", "--out", folder / name)
        assert done.returncode == 0, done.stderr
    return folder


def test_a_tweet_is_read_for_its_own_target_only(tmp_path: Path) -> None:
    source = tweets(tmp_path / "tweets")
    rows = prepared(source, tmp_path / "out")
    assert len(rows) == 2 * 42
    assert {tuple(row["labels"]) for row in rows} == {("bikes",), ("noise",)}
    by_text = {row["text"]: row for row in rows}
    assert by_text["No more bike lanes in this town, the baker."]["labels"] == {"bikes": "against"}
    assert by_text["Give us quiet hours now, @someone says."]["labels"] == {"noise": "favor"}
    assert by_text["bike lanes: who is my aunt again?"]["labels"] == {"bikes": None}
    assert [row["split"] for row in rows].count("dev") == 2 * 12
    first = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    prepared(source, tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == first


def test_a_tweet_for_training_that_is_scored_too_is_left_out(tmp_path: Path) -> None:
    source = tmp_path / "tweets"
    source.mkdir()
    table(source / "bikes-train.csv", TWEET_COLUMNS, [("Lanes!", "2", "bikes"), ("Seen \n twice ", "1", "bikes")])
    table(source / "bikes-val.csv", TWEET_COLUMNS, [("Seen \n twice", "1", "bikes")])
    rows = prepared(source, tmp_path / "out")
    assert [(row["text"], row["split"]) for row in rows] == [("Lanes!", "train"), ("Seen \n twice", "dev")]
    done = run_stance("benchmark", "prepare", "tweeteval", source, "--out", tmp_path / "out")
    assert "1 rows are left out" in done.stderr


def test_an_argument_is_learnt_with_its_proposition(tmp_path: Path) -> None:
    rows = [
        ('Lanes save lives, "truly".', "We should build bike lanes", "favor", "1"),
        ("They cost\ntoo much.", "We should build bike lanes", "against", "0.6"),
        ("Some like it loud.", "Quiet hours are needed", "neutral", "0.95"),
    ]
    source = table(tmp_path / "arguments.csv", ARGUMENT_COLUMNS, rows)
    all_of_them = prepared(source, tmp_path / "out", "ibm")
    assert [row["labels"] for row in all_of_them] == [{"stance": "favor"}, {"stance": "against"}, {"stance": None}]
    assert all_of_them[0]["text"] == 'We should build bike lanes: Lanes save lives, "truly".'
    assert [row["group"] for row in all_of_them] == [row[1] for row in rows]
    sure = prepared(source, tmp_path / "out", "ibm", "--min-confidence", "0.9")
    assert sure == [all_of_them[0], all_of_them[2]]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([("Fine", "1", "bikes"), ("Two\nlines", "3", "bikes")], "bikes-train.csv:3, field 'label': '3' is not"),
        ([("Two\nlines", "1", "bikes"), ("", "1", "bikes")], "bikes-train.csv:4, field 'text'"),
        ([("Fine", "1", "noise")], "bikes-train.csv:2, field 'target': 'noise'"),
        ([("Fine", "1")], "bikes-train.csv:2: has 2 cells"),
    ],
)
def test_a_wrong_tweet_is_named_by_file_and_line(rows: list[tuple[str, ...]], says: str, tmp_path: Path) -> None:
    table(tmp_path / "bikes-train.csv", TWEET_COLUMNS, rows)
    table(tmp_path / "bikes-val.csv", TWEET_COLUMNS, [("Lanes!", "2", "bikes")])
    done = run_stance("benchmark", "prepare", "tweeteval", tmp_path, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert says in done.stderr
    assert not (tmp_path / "out").exists()


def test_files_that_are_missing_or_of_another_kind(tmp_path: Path) -> None:
    done = run_stance("benchmark", "prepare", "tweeteval", tmp_path, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "holds no file TARGET-train.csv" in done.stderr
    table(tmp_path / "bikes-train.csv", TWEET_COLUMNS, [("Lanes!", "2", "bikes")])
    done = run_stance("benchmark", "prepare", "tweeteval", tmp_path, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "bikes-val.csv: cannot be read" in done.stderr
    done = run_stance("benchmark", "prepare", "ibm", tmp_path / "bikes-train.csv", "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "bikes-train.csv:1, field 'proposition': is missing" in done.stderr
    unsure = table(tmp_path / "a.csv", ARGUMENT_COLUMNS, [("Lanes!", "Lanes are good", "favor", "nan")])
    done = run_stance("benchmark", "prepare", "ibm", unsure, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "a.csv:2, field 'confidence': 'nan' is not a number" in done.stderr
    assert not (tmp_path / "out").exists()


def pooled(rows: Sequence[Mapping[str, Any]], given: Sequence[str]) -> float:
    """F_avg by hand: rows of one target each, and the labels that a model gives them."""
    gold = [next(iter(row["labels"].values())) or "unrelated" for row in rows]
    f1 = []
    for pole in ("favor", "against"):
        hits = sum(g == a == pole for g, a in zip(gold, given, strict=True))
        f1.append(2 * hits / (gold.count(pole) + list(given).count(pole)))
    return sum(f1) / 2


def answers(model: Path, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    texts = "".join(row["text"] + "\n" for row in rows)
    done = run_stance("score", "--model", model, "--json", "-", stdin=texts)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return [line["targets"][next(iter(row["labels"]))]["label"] for line, row in zip(lines, rows, strict=True)]


def test_f_avg_is_pooled_over_the_targets(bench: Path) -> None:
    labels = bench / "data" / "labels.jsonl"
    done = run_stance(
        "benchmark", "score", "--models", bench / "contrary", bench / "good", "--labels", labels, "--json"
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    rows = [json.loads(line) for line in labels.read_text(encoding="utf8").splitlines()]
    scored = [row for row in rows if row["split"] == "dev"]
    assert (figures["sentences"], figures["groups"], figures["left_out_as_trained_on"]) == (24, 24, 0)
    contrary, good = figures["models"]
    for row, name in ((contrary, "contrary"), (good, "good")):
        assert row["folder"] == str(bench / name)
        by_hand = pooled(scored, answers(bench / name, scored))
        assert row["pooled_pole_f1"]["value"] == pytest.approx(by_hand, abs=1e-4)
        assert row["pooled_pole_f1"]["low"] <= row["pooled_pole_f1"]["value"] <= row["pooled_pole_f1"]["high"]
    assert "minus_first" not in contrary
    gain = good["pooled_pole_f1"]["value"] - contrary["pooled_pole_f1"]["value"]
    assert good["minus_first"]["value"] == pytest.approx(gain, abs=2e-4)
    assert good["minus_first"]["low"] > 0
    done = run_stance("benchmark", "score", "--models", bench / "contrary", bench / "good", "--labels", labels)
    assert f"{good['pooled_pole_f1']['value']:.3f} [" in done.stdout


def test_a_model_beside_itself_differs_by_nothing(bench: Path) -> None:
    labels = bench / "data" / "labels.jsonl"
    done = run_stance("benchmark", "score", "--models", bench / "good", bench / "good", "--labels", labels, "--json")
    assert json.loads(done.stdout)["models"][1]["minus_first"] == {"value": 0, "low": 0, "high": 0}


def test_what_was_trained_on_is_not_scored(bench: Path, meals_model: Path) -> None:
    labels = ["--labels", bench / "data" / "labels.jsonl"]
    done = run_stance("benchmark", "score", "--models", bench / "good", *labels, "--split", "train")
    assert done.returncode == 1
    assert "was trained on all" in done.stderr
    done = run_stance("benchmark", "score", "--models", bench / "good", meals_model, *labels)
    assert done.returncode == 1
    assert "different targets" in done.stderr


def test_recipes_on_sentences_that_were_held_out_in_turn(bench: Path, tmp_path: Path) -> None:
    mild = tmp_path / "mild.yaml"
    mild.write_text("name: mild\ntitle: Mild\nfamily: tfidf\nfolds: 3\nheads: {c: [0.02], balance: [0]}\n")
    data = ["--labels", bench / "data" / "labels.jsonl", "--targets", bench / "data" / "targets.yaml"]
    done = run_stance("benchmark", "cross-validate", "--recipe", "floor", "--recipe", mild, *data, "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert (figures["split"], figures["sentences"]) == ("train", 60)
    floor, other = figures["models"]
    # The same that a training by the recipe holds out: `unrelated`, favor, against are its outcomes.
    held_out = json.loads((bench / "good" / "metrics.json").read_text())["targets"].values()
    tables = [target["confusion"] for target in held_out]
    counts = [[sum(table[g][a] for table in tables) for a in range(3)] for g in range(3)]
    f1 = [2 * counts[k][k] / (sum(counts[k]) + sum(row[k] for row in counts)) for k in (1, 2)]
    assert floor["pooled_pole_f1"]["value"] == pytest.approx(sum(f1) / 2, abs=1e-4)
    change = other["pooled_pole_f1"]["value"] - floor["pooled_pole_f1"]["value"]
    assert other["minus_first"]["value"] == pytest.approx(change, abs=2e-4)
    assert "minus_first" not in floor

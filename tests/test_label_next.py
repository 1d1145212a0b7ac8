"""`stance labels next`: which sentences of a pool are picked, and what is written."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labels.records import read_records
from labels.taxonomy import Taxonomy, load_taxonomy
from tests.conftest import run_stance, write_lines
from training.selection import rarity, spread, surprisal, uncertainty

WHO = ["the gardener", "a grandmother", "the bus driver", "the dentist", "a poet", "the librarian", "the plumber"]
DONE = ["repaired the roof of the gym", "sang on Monday", "painted the fence", "was late", "met the choir"]
POOL = [
    *(f"{who} {done}." for who in WHO for done in DONE),
    "Should lunch cost nothing, or ought parents to pay for it themselves?",
    "The baker wants lessons to begin at nine and the canteen to stay as it is.",
    "Whether the bell rings at eight or nine has nothing to do with free food.",
]


def _next(model: Path, pool: str | Path, out: Path, *more: str | Path, **environment: str) -> str:
    """Five picks for the model, in `out`; what was printed."""
    labels = model.parent / "labels.jsonl"
    arguments = ["--pool", pool, "--model", model, "--labels", labels, "--n", "5", "--out", out, *more]
    done = run_stance("labels", "next", *arguments, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def picked(meals_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five of POOL, which lies beside it as `pool.jsonl`."""
    folder = tmp_path_factory.mktemp("picked")
    pool = write_lines(folder / "pool.jsonl", [{"text": text, "source": "letters"} for text in POOL])
    _next(meals_model, pool, folder / "next.jsonl")
    return folder / "next.jsonl"


def test_picks_are_records_to_label_with_a_reason(meals: Path, picked: Path) -> None:
    records = read_records([picked], load_taxonomy(meals / "targets.yaml"))
    assert len({record.text for record in records} & set(POOL)) == len(records) == 5
    assert all(record.labels == {} and record.source == "letters" for record in records)
    assert all(record.note and record.note.startswith("picked: unsure of ") for record in records)
    # What the model has seen a hundred times teaches less than what it has not.
    assert {record.text for record in records} & set(POOL[-3:])


def test_the_order_of_the_pool_does_not_matter(meals_model: Path, picked: Path, tmp_path: Path) -> None:
    rows = _rows(picked.parent / "pool.jsonl")
    shuffled = write_lines(tmp_path / "pool.jsonl", random.Random(7).sample(rows, len(rows)))
    picks = json.loads(_next(meals_model, shuffled, tmp_path / "next.jsonl", "--json", PYTHONHASHSEED="1"))
    assert (tmp_path / "next.jsonl").read_bytes() == picked.read_bytes()
    assert [pick["id"] for pick in picks] == [row["id"] for row in _rows(picked)]
    assert [pick["worth"] for pick in picks] == sorted((pick["worth"] for pick in picks), reverse=True)
    for pick in picks:
        assert pick["unsure_of"] in ("free_meals", "later_start")
        assert pick["first_probability"] >= pick["second_probability"] > 0
        assert 0 < pick["rare_share"] < 1


def test_what_was_picked_before_is_not_picked_again(meals_model: Path, picked: Path, tmp_path: Path) -> None:
    _next(meals_model, picked.parent / "pool.jsonl", tmp_path / "second.jsonl", "--labels", picked)
    assert not {row["id"] for row in _rows(picked)} & {row["id"] for row in _rows(tmp_path / "second.jsonl")}


def test_labelled_held_out_and_similar_sentences_are_left_out(meals: Path, meals_model: Path, tmp_path: Path) -> None:
    labelled = json.loads((meals / "labels.jsonl").read_text().splitlines()[0])
    story = "Nobody knows whether the canteen will be free after the ministry met the union on {} about lunch."
    days = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
    rows = [
        {"text": labelled["text"]},
        {"text": f"  {labelled['text'].upper()} "},
        {"text": "The council rejects every meal that parents do not pay for.", "group": "minutes-7"},
        {"text": "Parents are against the later bell, the nurse said.", "split": "dev"},
        *({"text": story.format(day)} for day in days),
        {"text": "The fence is green."},
    ]
    out = tmp_path / "next.jsonl"
    done = run_stance(
        *("labels", "next", "--pool", write_lines(tmp_path / "pool.jsonl", rows), "--model", meals_model),
        *("--labels", meals / "labels.jsonl", "--out", out),
    )
    assert done.returncode == 0, done.stderr
    texts = [row["text"] for row in _rows(out)]
    assert len(texts) == 2
    assert "The fence is green." in texts
    assert any(story.format(day) in texts for day in days)
    assert "no more than 2" in done.stderr


def test_a_folder_is_a_pool_of_documents(meals: Path, meals_model: Path, tmp_path: Path) -> None:
    letters = tmp_path / "letters"
    letters.mkdir()
    (letters / "spring.txt").write_text("\n".join(POOL[-3:]))
    (letters / "minutes-6.txt").write_text("Free lunches for every pupil cost too much, as the mayor now thinks.")
    _next(meals_model, letters, tmp_path / "next.jsonl")
    rows = _rows(tmp_path / "next.jsonl")
    assert {row["ref"]["doc"] for row in rows} == {"spring"}
    assert all("text" not in row for row in rows)
    done = run_stance(
        *("labels", "resolve", "--labels", tmp_path / "next.jsonl", "--targets", meals / "targets.yaml"),
        *("--corpus", letters, "--json"),
    )
    assert json.loads(done.stdout)["resolved"] == len(rows) == 3


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([{"id": "m1", "text": "The cook has gone."}], "'m1' is the id of another sentence"),
        ([{"text": "A PARENT painted the fence!"}], "every sentence of the pool is nearly one that is labelled"),
        (None, "cannot be read"),
    ],
)
def test_errors_leave_nothing_behind(
    rows: list[dict[str, Any]] | None, says: str, meals: Path, meals_model: Path, tmp_path: Path
) -> None:
    pool = tmp_path / "pool.jsonl"
    if rows:
        write_lines(pool, rows)
    out = tmp_path / "next.jsonl"
    done = run_stance(
        *("labels", "next", "--pool", pool, "--model", meals_model, "--labels", meals / "labels.jsonl"),
        *("--out", out),
    )
    assert done.returncode == 1
    assert says in done.stderr
    assert set(tmp_path.iterdir()) <= {pool}


def test_labels_that_were_written_are_not_overwritten(meals_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "next.jsonl"
    out.write_text("a morning's work")
    done = run_stance("labels", "next", "--pool", "corpus", "--model", meals_model, "--out", out)
    assert done.returncode == 1
    assert "may hold labels" in done.stderr
    assert out.read_text() == "a morning's work"


def _taxonomy(meals: Path) -> Taxonomy:
    return load_taxonomy(meals / "targets.yaml")


@given(weights=st.lists(st.floats(0, 1), min_size=4, max_size=4).filter(lambda w: sum(w) > 0.1))
def test_uncertainty_lies_between_certain_and_even(weights: list[float], meals: Path) -> None:
    taxonomy = _taxonomy(meals)
    four = np.array(weights) / sum(weights)
    given = np.array([[four, [1, 0, 0, 0]], [[0.25] * 4, [1 / 3, 1 / 3, 1 / 3, 0]]])
    unsure = uncertainty(given, taxonomy)
    assert unsure[0, 1] == 0
    assert unsure[1] == pytest.approx([1, 1])
    assert -1e-9 <= unsure[0, 0] <= 1 + 1e-9


def test_rarity_is_higher_where_a_rare_class_is_probable(meals: Path) -> None:
    taxonomy = _taxonomy(meals)
    counts = {
        "free_meals": {"unrelated": 900, "yes": 90, "unsure": 0, "no": 9},
        "later_start": {"unrelated": 10, "pro": 10, "contra": 10},
    }
    rare = surprisal(counts, taxonomy)
    assert list(np.argsort(rare[0])) == [0, 1, 3, 2]
    assert rare[1] == pytest.approx([np.log(3)] * 3 + [0])
    given = np.zeros((2, 2, 4))
    given[:, 1, 0] = 1
    given[0, 0], given[1, 0] = [0.8, 0.1, 0.1, 0], [0.8, 0.2, 0, 0]
    by_target = rarity(given, rare)
    assert by_target[0, 0] > by_target[1, 0]


@given(clusters=st.integers(2, 6), seed=st.integers(0, 50))
def test_spread_takes_the_best_of_each_cluster(clusters: int, seed: int) -> None:
    random_numbers = np.random.default_rng(seed)
    of = np.repeat(np.arange(clusters), 8)
    embeddings = (100 * np.eye(clusters)[of] + random_numbers.normal(0, 0.01, (len(of), clusters))).astype(np.float32)
    worth = random_numbers.permutation(len(of)) + 1.0
    chosen = spread(embeddings, worth, clusters, seed)
    assert sorted(of[chosen]) == list(range(clusters))
    assert all(worth[i] == worth[of == of[i]].max() for i in chosen)
    assert list(worth[chosen]) == sorted(worth[chosen], reverse=True)

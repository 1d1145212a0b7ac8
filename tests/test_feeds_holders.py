"""Who holds what the sentences of feeds voice: as `stance analyze` says it, in the scores and the views."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from serving.feeds.query import query
from tests.conftest import run_stance
from tests.feeds_parts import Waiting, entry, files_of, rows_of, run
from training.model_folder import load_model

CANTEEN = """The mayor of Lowford, Anna Petrov, told the council that lunch at school must be free for every pupil.
“We will open two more kitchens for free meals before winter,” she said.
The Kremlin welcomed the plan for free lunch at school.
According to Moscow, parents support free meals. He rejected free food.
Free lunch at school is a waste, and nobody has said where the money would be found."""
KITCHENS = """Cooks reject free lunch. Washington supports free meals, officials said. Parents pay for food."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "feeds").mkdir()
    return tmp_path / "feeds"


@pytest.fixture
def waiting(folder: Path) -> Waiting:
    waiting = Waiting(folder / "waiting.sqlite")
    # Out of order, and with one between that is not scored.
    waiting.add(entry(2, KITCHENS), entry(3, "Die Kantine.", language="de"), entry(1, CANTEEN))
    return waiting


def analyzed(text: str, model: Path) -> dict[tuple[int, str], tuple[str | None, str | None]]:
    """Sentence and target → voice and name, by `stance analyze`; of sentences that count in a mean."""
    done = run_stance("analyze", "-", "--model", model, "--json", stdin=text)
    assert done.returncode == 0, done.stderr
    found: dict[tuple[int, str], tuple[str | None, str | None]] = {}
    for number, sentence in enumerate(json.loads(done.stdout)["sentences"]):
        answers, holder = sentence["targets"], sentence["holder"]
        counts = any(answer["label"] != "unrelated" and not answer["abstained"] for answer in answers.values())
        kind = None if holder is None else holder["kind"]
        voice = {None: "nobody", "author": "author"}.get(kind, "others")
        for target in answers:
            found[number, target] = (voice, holder and holder["name"]) if counts else (None, None)
    return found


def held(rows: list[dict[str, Any]], url: str) -> dict[tuple[int, str], tuple[str | None, str | None]]:
    return {(r["sentence"], r["target"]): (r["voice"], r["holder"]) for r in rows if r["url"] == url}


def test_holders_are_those_of_an_analysis(folder: Path, waiting: Waiting, meals_model: Path) -> None:
    run(folder, waiting, meals_model, holders=True)
    rows = rows_of(folder)
    for number, text in ((1, CANTEEN), (2, KITCHENS)):
        assert held(rows, f"http://paper.example/{number}") == analyzed(text, meals_model)
    names = {row["holder"] for row in rows}
    assert {"Anna Petrov", "Russia", None} <= names
    assert {"author", "others"} <= {row["voice"] for row in rows}

    asked = query(folder, "SELECT holder, articles, sentences FROM by_holder WHERE target = 'free_meals'").rows
    counted = {holder: (articles, sentences) for holder, articles, sentences in asked}
    of_russia = [row for row in rows if row["holder"] == "Russia" and row["target"] == "free_meals"]
    assert counted["Russia"] == (1, len(of_russia))
    assert counted.keys() == names - {None}


def test_scores_without_holders_stay_readable_and_another_model_finds_them(
    folder: Path, waiting: Waiting, meals_model: Path, other_model: Path
) -> None:
    run(folder, waiting, other_model)
    # As files were before there were holders.
    for path in files_of(folder):
        pq.write_table(pq.ParquetFile(path).read().drop_columns(["holder", "voice"]), path)
    assert query(folder, "SELECT DISTINCT holder, voice FROM scores").rows == [(None, None)]
    assert query(folder, "SELECT * FROM by_holder").rows == []

    run(folder, waiting, meals_model, holders=True, rescore=True)
    old, new = (load_model(model).version for model in (other_model, meals_model))
    sql = "SELECT version, count(voice) > 0 FROM scores GROUP BY version"
    assert dict(query(folder, sql).rows) == {old: False, new: True}
    assert query(folder, "SELECT count(*) > 0 FROM by_holder").rows == [(True,)]

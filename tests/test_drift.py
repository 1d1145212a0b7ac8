"""`stance drift`: says what has changed, keeps quiet where nothing has, and says how often it would not."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from labels.errors import StanceError
from labels.taxonomy import load_taxonomy
from serving.cli import app
from serving.usage import Usage, usage_file
from tests.conftest import meals_records, run_stance, write_lines
from training.add_words import with_words
from training.drift_simulation import simulate
from training.homogeneity import DesignEffect, design_effect, homogeneity_p, pooled, stability_index
from training.model_folder import load_model, save_model
from training.profile import Said
from training.train import read_labelled

GROUPS, SIZE = 40, 8
WORDS = [f"{a}{b}{c}" for a in "blr" for b in "aeiou" for c in ("mmel", "ffel", "ttik", "zzo")]


def _texts(random: np.random.Generator, count: int, *, lunches: bool = False) -> list[str]:
    """Sentences as the model was trained on, or such about lunches alone."""
    known = [row["text"] for row in meals_records()]
    pool = [text for text in known if "ree lunches" in text or "to cost nothing" in text] if lunches else known
    return random.choice(pool, count).tolist()


@pytest.fixture(scope="module")
def later_labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    random = np.random.default_rng(0)
    rows = [
        {
            "id": f"t{group}-{n}",
            # A mark of its own, for sentences that a model was trained on are no test.
            "text": f"{text[:-1]} ({group}-{n}).",
            "labels": {"free_meals": None, "later_start": None},
            "group": f"later-{group}",
            "split": "test",
        }
        for group in range(GROUPS)
        for n, text in enumerate(_texts(random, SIZE))
    ]
    return write_lines(tmp_path_factory.mktemp("drift") / "labels.jsonl", rows)


def _use(home: Path, folder: Path, texts: Sequence[str], days_ago: int = 0) -> str:
    """As if a service had answered that many days ago; the day."""
    model = load_model(folder)
    usage = Usage(home)
    usage.count(model, texts, model.answers(texts))
    usage.close()
    day = (datetime.now(UTC) - timedelta(days=days_ago)).date().isoformat()
    with closing(sqlite3.connect(usage_file(home))) as database, database:
        today = datetime.now(UTC).date().isoformat()
        database.execute("UPDATE count SET day = ? WHERE day = ?", (day, today))
    return day


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def drift(home: Path, meals_model: Path, later_labels: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the command in this process, for starting one takes longer than what it does."""
    monkeypatch.setenv("STANCE_HOME", str(home))

    def run(*arguments: str) -> Any:
        named = ["--model", str(meals_model), "--labels", str(later_labels)]
        return CliRunner().invoke(app, ["drift", *named, *arguments])

    return run


def test_what_has_changed_needs_labels_and_what_has_not_does_not(home: Path, meals_model: Path, drift: Any) -> None:
    random = np.random.default_rng(1)
    _use(home, meals_model, _texts(random, 300))
    quiet = drift("--json")
    assert quiet.exit_code == 0, quiet.stderr
    found = json.loads(quiet.stdout)
    assert found["enough"]
    assert not found["alarm"]
    assert found["window"]["texts"] == 300
    assert found["reference"]["texts"] == GROUPS * SIZE

    _use(home, meals_model, _texts(random, 900, lunches=True))
    changed = drift("--json")
    assert changed.exit_code == 3, changed.stderr
    lunches = json.loads(changed.stdout)["targets"]["free_meals"]
    assert lunches["needs_labels"]
    assert lunches["shift"] == "large"
    assert lunches["outcomes"]["window"][1] > lunches["outcomes"]["reference"][1]
    assert not json.loads(changed.stdout)["unknown_words"]["alarm"]

    shown = drift()
    assert shown.exit_code == 3
    assert "needs labels: large shift" in shown.stdout
    assert "--reference-days" in shown.stderr


def test_new_words_are_an_alarm_of_their_own(home: Path, meals_model: Path, drift: Any) -> None:
    random = np.random.default_rng(2)
    _use(home, meals_model, [f"{text} {' '.join(random.choice(WORDS, 3))}." for text in _texts(random, 400)])
    done = drift("--json")
    assert done.exit_code == 3, done.stderr
    words = json.loads(done.stdout)["unknown_words"]
    assert words["alarm"]
    assert words["reference"] < 0.1 < words["difference"]["low"] < words["difference"]["value"]


def test_earlier_days_can_be_what_it_is_compared_with(home: Path, meals_model: Path, drift: Any) -> None:
    random = np.random.default_rng(3)
    earlier = _use(home, meals_model, _texts(random, 900, lunches=True), days_ago=20)
    _use(home, meals_model, _texts(random, 900, lunches=True))
    assert drift().exit_code == 3
    same = drift("--reference-days", f"{earlier}..{earlier}")
    assert same.exit_code == 0, same.stderr
    assert "note" not in same.stderr
    assert drift("--days", "30", "--reference-days", earlier).exit_code == 2


def test_of_few_texts_nothing_is_said(home: Path, meals_model: Path, drift: Any) -> None:
    day = _use(home, meals_model, _texts(np.random.default_rng(4), 20, lunches=True), days_ago=3)
    for arguments in ([], ["--days", "2"], ["--from", day, "--to", day]):
        done = drift(*arguments)
        assert done.exit_code == 0, done.stderr
        assert "too few to say" in done.stdout


def test_a_model_that_was_never_used_is_an_error_that_names_others(home: Path, meals_model: Path, drift: Any) -> None:
    assert "STANCE_HOME" in str(drift().exception)
    _use(home, meals_model, ["Lunch is free."])
    other = run_stance("drift", STANCE_HOME=str(home))
    assert other.returncode == 1
    assert f"{load_model(meals_model).version} (1 texts)" in other.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--from", "yesterday"],
        ["--from", "2026-03-02", "--to", "2026-03-01"],
        ["--to", "2026-03-01"],
        ["--days", "3", "--from", "2026-03-01"],
        ["--reference-days", "2026-03-01.."],
        ["--simulate", "10", "--days", "3"],
    ],
)
def test_days_that_are_none(drift: Any, arguments: list[str]) -> None:
    assert drift(*arguments).exit_code == 2


def test_a_model_that_does_not_know_its_words_gives_no_rate(
    home: Path, meals_model: Path, later_labels: Path, tmp_path: Path
) -> None:
    model = load_model(meals_model)
    without = {kind: of for kind, of in model.trained_on.items() if kind != "words"}
    saved = save_model(replace(model, trained_on=without), tmp_path / "older")
    assert saved.version == model.version
    _use(home, tmp_path / "older", _texts(np.random.default_rng(5), 300))
    done = run_stance("drift", "--model", tmp_path / "older", "--labels", later_labels, STANCE_HOME=str(home))
    assert done.returncode == 0, done.stderr
    assert "unknown words: not counted" in done.stdout


def test_words_can_be_added_to_a_model_that_lacks_them(meals: Path, meals_model: Path) -> None:
    model = load_model(meals_model)
    data = read_labelled([meals / "labels.jsonl"], model.taxonomy, None)
    without = replace(model, trained_on={kind: of for kind, of in model.trained_on.items() if kind != "words"})
    again = with_words(without, data.part("train"))
    assert again.trained_on["words"].tolist() == model.trained_on["words"].tolist()
    with pytest.raises(StanceError, match="not the sentences"):
        with_words(without, data.part("test"))


def test_what_is_kept_of_the_test_set_may_be_damaged(
    home: Path, meals_model: Path, later_labels: Path, tmp_path: Path
) -> None:
    _use(home, meals_model, _texts(np.random.default_rng(6), 300))
    arguments = ["drift", "--model", meals_model, "--labels", later_labels, "--json"]
    environment = {"STANCE_HOME": str(home), "STANCE_CACHE": str(tmp_path / "cache")}
    first = run_stance(*arguments, **environment)
    (kept,) = (tmp_path / "cache" / "said").iterdir()
    kept.write_bytes(kept.read_bytes()[:100])
    assert run_stance(*arguments, **environment, PYTHONHASHSEED="1").stdout == first.stdout != ""


def test_the_simulation_speaks_json(drift: Any) -> None:
    done = drift("--simulate", "20", "--texts", "100", "--json")
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    for rates in found["false_alarms"].values():
        assert 0 <= rates["low"] <= rates["rate"] <= rates["high"] <= 1
    assert set(found["power"]) == {"free_meals", "later_start"}
    assert "false alarms" in drift("--simulate", "20", "--texts", "100").stdout


def _documents(seed: int) -> tuple[Said, np.ndarray[Any, Any]]:
    """A test set of 80 documents, each of which leans to outcomes of its own."""
    random, taxonomy = np.random.default_rng(seed), load_taxonomy()
    groups = np.repeat(np.arange(80), random.integers(5, 30, 80))
    leaning = np.array([[random.dirichlet([3, 0.5, 0.8, 0.4]) for _ in taxonomy] for _ in range(80)])
    outcomes = np.array([[random.choice(4, p=leans) for leans in leaning[group]] for group in groups], np.int8)
    bins = np.clip(9 - random.poisson(1 + outcomes), 0, 9).astype(np.int8)
    unknown = random.poisson(0.5 + random.random(80)[groups])
    return Said(outcomes, bins, bins < 5, np.stack([20 + unknown, unknown], axis=1)), groups


def test_false_alarms_stay_under_five_percent_and_large_shifts_are_seen() -> None:
    said, groups = _documents(0)
    taxonomy = load_taxonomy()
    found = simulate(said, groups, taxonomy, texts=400, times=300)
    assert found["false_alarms"]["reference"]["high"] < 0.05
    assert found["false_alarms"]["redrawn"]["rate"] < 0.05
    assert min(by_growth["4"]["rate"] for by_growth in found["power"].values()) > 0.5


def test_texts_of_a_document_are_not_taken_for_independent() -> None:
    said, groups = _documents(1)
    table = np.zeros((80, 4))
    np.add.at(table, (groups, said.outcomes[:, 0]), 1)
    places = np.arange(4)
    assert design_effect(table, places).mean > 2
    # Each text a document of its own: nothing to correct.
    alone = np.eye(4)[said.outcomes[:, 0]]
    assert design_effect(alone, places).mean == pytest.approx(1, abs=0.01)
    # Whole documents that say the same throughout.
    same = np.diag(np.full(4, 25.0)).repeat(20, axis=0)
    assert design_effect(same, places).mean == pytest.approx(25, rel=0.05)


COUNTS = st.lists(st.integers(0, 500), min_size=2, max_size=10).filter(any)


@given(st.data(), COUNTS, st.floats(1, 30), st.floats(0, 3))
def test_figures_of_any_counts(data: st.DataObject, counts: list[int], mean: float, spread: float) -> None:
    first = np.array(counts, float)
    second = np.array(data.draw(st.lists(st.integers(0, 500), min_size=len(first), max_size=len(first)).filter(any)))
    effect = DesignEffect(mean, spread, 25.0)
    assert 0 <= homogeneity_p(first, second.astype(float), effect) <= 1
    assert homogeneity_p(first, first, effect) == pytest.approx(1)
    assert stability_index(first, second) >= 0
    assert stability_index(first, second) == pytest.approx(stability_index(second, first))
    assert stability_index(first, first) == 0


@given(COUNTS, st.booleans())
def test_cells_are_thrown_together_until_each_holds_enough(counts: list[int], ordered: bool) -> None:
    expected = np.array(counts, float)
    places = pooled(expected, ordered=ordered)
    sums = np.bincount(places, weights=expected)
    assert sorted(set(places.tolist())) == list(range(len(sums)))
    assert len(sums) >= 2
    assert len(sums) == 2 or sums.min() >= 10
    if ordered:
        assert places.tolist() == sorted(places.tolist())

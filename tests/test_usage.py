"""What the service counts of its answers: all of it, no text, and never at the cost of an answer."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.usage import Usage, read_usage, usage_file, usage_here
from tests.conftest import run_stance
from tests.test_serve_process import free_port, post, serving
from training.marks import count_words, word_marks
from training.model_folder import load_model
from training.profile import NOTHING, WORDS, Profile, profile_from, profile_of, said

TEXTS = ["The cook wants the canteen to cost nothing.", "The zeppelin was late.", "Is lunch a xylophone?"]


REQUESTS: list[dict[str, Any]] = [
    {"texts": TEXTS},
    {"texts": TEXTS[:2]},
    {"texts": TEXTS[2:], "targets": ["free_meals"]},
]


@dataclass(frozen=True)
class Served:
    """A service that answered `REQUESTS` and was stopped."""

    home: Path
    results: list[dict[str, Any]]
    log: str


def serve(folder: Path, model: Path, **environment: str) -> Served:
    home, port = folder / "home", free_port()
    (folder / "metrics").mkdir()
    named = {
        "BENTOML_HOME": str(folder / "bentoml"),
        "PROMETHEUS_MULTIPROC_DIR": str(folder / "metrics"),
        "STANCE_HOME": str(home),
    }
    command = [sys.executable, "-m", "serving.cli", "serve", "--model", str(model), "--port", str(port)]
    with serving(command, port, folder / "log", {**named, **environment}) as address:
        results = [result for request in REQUESTS for result in post(address, request)["results"]]
    return Served(home, results, (folder / "log").read_text())


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, meals_model: Path) -> Served:
    return serve(tmp_path_factory.mktemp("served"), meals_model)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def _today() -> date:
    return datetime.now(UTC).date()


def _used(home: Path, model: Path) -> Profile:
    return read_usage(home, load_model(model).version, _today() - timedelta(days=1), _today())


def test_every_answer_over_http_is_counted_once(served: Served, meals_model: Path) -> None:
    used, taxonomy = _used(served.home, meals_model), load_model(meals_model).taxonomy
    assert used.texts == len(served.results) == 6
    # Counted are all targets, whichever are asked for: drift is about texts.
    assert sum(used.counts["later_start", "outcomes"]) == 6
    target = taxonomy["free_meals"]
    answers = [result["targets"][target.id] for result in served.results]
    labels = Counter(answer["label"] for answer in answers)
    assert used.counts[target.id, "outcomes"] == tuple(labels[label] for label in target.outcomes)
    abstained = sum(answer["abstained"] for answer in answers)
    assert used.counts[target.id, "abstained"] == (6 - abstained, abstained)
    tenths = Counter(min(int(max(answer["probabilities"].values()) * 10), 9) for answer in answers)
    assert used.counts[target.id, "confidence"] == tuple(tenths[n] for n in range(10))


def test_words_that_stood_in_no_training_sentence_are_counted(served: Served, meals_model: Path) -> None:
    known, unknown = _used(served.home, meals_model).counts[WORDS]
    assert known + unknown == 2 * (8 + 4 + 4)
    # zeppelin and xylophone, each twice
    assert unknown == 4


def test_no_text_is_kept(served: Served) -> None:
    content = usage_file(served.home).read_bytes().lower()
    assert not [word for text in TEXTS for word in text.lower().split() if len(word) > 4 and word.encode() in content]


def test_the_command_line_counts_nothing(home: Path, meals_model: Path) -> None:
    done = run_stance("score", TEXTS[0], "--model", meals_model, STANCE_HOME=str(home))
    assert done.returncode == 0, done.stderr
    assert not home.exists()


def test_it_can_be_switched_off(home: Path, meals_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_model(meals_model)
    monkeypatch.setenv("STANCE_HOME", str(home))
    for switch, counts in (("0", False), ("1", True)):
        monkeypatch.setenv("STANCE_USAGE", switch)
        usage = usage_here()
        usage.count(model, TEXTS, model.answers(TEXTS))
        usage.close()
        assert home.exists() == counts


def test_a_home_that_cannot_be_written_is_one_warning(
    home: Path, meals_model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    home.write_text("a file where a folder should be")
    model = load_model(meals_model)
    usage = Usage(home)
    for text in TEXTS:
        usage.count(model, [text], model.answers([text]))
        usage.write()
    assert [record.levelname for record in caplog.records if record.name == "bentoml.stance"] == ["WARNING"]
    home.unlink()
    usage.close()
    assert _used(home, meals_model).texts == len(TEXTS)


def test_a_service_without_a_home_answers_and_says_so_once(tmp_path: Path, meals_model: Path) -> None:
    (tmp_path / "file").touch()
    without = serve(tmp_path, meals_model, STANCE_HOME=str(tmp_path / "file" / "home"))
    assert len(without.results) == 6
    assert without.log.count("cannot be counted") == 1


def test_several_writers_lose_nothing(home: Path, meals_model: Path) -> None:
    model = load_model(meals_model)
    answers = model.answers(TEXTS)
    counters = [Usage(home) for _ in range(3)]

    def count(usage: Usage) -> None:
        for _ in range(20):
            usage.count(model, TEXTS, answers)
            usage.write()
        usage.close()

    threads = [Thread(target=count, args=[usage]) for usage in counters for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    used = _used(home, meals_model)
    once = profile_of(said(model, TEXTS, answers), model.taxonomy)
    assert used.texts == 120 * len(TEXTS)
    assert used.counts == {measure: tuple(120 * n for n in counts) for measure, counts in once.counts.items()}


def test_days_are_kept_apart(home: Path, meals_model: Path) -> None:
    model = load_model(meals_model)
    usage = Usage(home)
    usage.count(model, TEXTS, model.answers(TEXTS))
    usage.close()
    tomorrow = _today() + timedelta(days=1)
    assert read_usage(home, model.version, tomorrow, tomorrow + timedelta(days=3)) == NOTHING
    assert read_usage(home, "another", _today() - timedelta(days=1), tomorrow) == NOTHING


def test_a_damaged_file_is_an_error_of_one_line(home: Path, meals_model: Path) -> None:
    home.mkdir()
    usage_file(home).write_text("not a database, but long enough to be looked at " * 50)
    done = run_stance("drift", "--model", meals_model, STANCE_HOME=str(home))
    assert done.returncode == 1
    assert "usage.sqlite: is not a file of usage counts" in done.stderr


COUNTS = st.fixed_dictionaries(
    {("a", "outcomes"): st.tuples(*[st.integers(0, 99)] * 3), ("a", "abstained"): st.tuples(*[st.integers(0, 99)] * 2)},
    optional={WORDS: st.tuples(*[st.integers(0, 99)] * 2)},
)
PROFILES = st.builds(Profile, st.integers(0, 99), COUNTS)


@given(PROFILES, PROFILES, PROFILES)
def test_profiles_add_up_in_any_order(one: Profile, two: Profile, three: Profile) -> None:
    assert (one + two) + three == one + (two + three)
    assert one + two == two + one
    assert one + NOTHING == one


@given(PROFILES)
def test_rows_give_the_profile_back(profile: Profile) -> None:
    assert profile_from(json.loads(json.dumps(profile.rows()))) == profile


@settings(max_examples=30)
@given(st.lists(st.text(min_size=1, max_size=30), min_size=1, max_size=6), st.integers(0, 6))
def test_the_sum_of_two_halves_is_the_whole(meals_model: Path, texts: list[str], cut: int) -> None:
    model = load_model(meals_model)

    def of(some: list[str]) -> Profile:
        return profile_of(said(model, some, model.answers(some)), model.taxonomy) if some else NOTHING

    halves = of(texts[:cut]) + of(texts[cut:])
    whole = of(texts)
    assert (halves.texts, halves.counts) == (whole.texts, whole.counts)


@given(st.lists(st.text(max_size=30), max_size=5), st.lists(st.text(max_size=30), max_size=5))
def test_words_are_known_where_they_stood_in_training(seen: list[str], texts: list[str]) -> None:
    known = word_marks(seen)
    assert not count_words(seen, known)[:, 1].any()
    counts = count_words(texts, known)
    assert counts.shape == (len(texts), 2)
    assert np.array_equal(counts.sum(axis=1), count_words(texts, word_marks([])).sum(axis=1))


def test_numbers_are_no_words() -> None:
    assert count_words(["In 2031, 45% of UNKNOWN Words"], word_marks(["of words in"])).tolist() == [[3, 1]]

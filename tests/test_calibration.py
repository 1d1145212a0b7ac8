"""Probabilities, labels and abstention: what they promise holds on sentences that nothing was fitted on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from labels.taxonomy import Target, Taxonomy, load_taxonomy
from tests.conftest import meals_records, run_stance, write_lines
from training.answers import Fitted, Rules, fit_rules, rules_from
from training.model_folder import load_model
from training.outcomes import NOT_READ
from training.recipes import AbstentionSettings, DecisionSettings, load_recipe

TAXONOMY = Taxonomy(
    (
        Target("meals", "Meals", "Meals should be free.", ("yes", "unsure", "no"), "yes", "no"),
        Target("bell", "Bell", "The bell should ring later.", ("pro", "contra"), "pro", "contra"),
    )
)
WIDTH = TAXONOMY.width
RECIPE = load_recipe("floor")


def _simulated(
    n: int, seed: int, *, temperature: float = 1.0, sharpness: float = 2.5
) -> tuple[NDArray[np.float64], NDArray[np.int8], list[str]]:
    """Labels drawn from known probabilities, what a classifier says that is off by `temperature`, and groups of five.

    Most sentences are unrelated, as in real labels.
    """
    random = np.random.default_rng(seed)
    said = np.zeros((n, len(TAXONOMY), WIDTH))
    gold = np.zeros((n, len(TAXONOMY)), np.int8)
    for t, target in enumerate(TAXONOMY):
        width = len(target.outcomes)
        logits = random.normal(size=(n, width)) * sharpness
        logits[:, 0] += 2
        true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        gold[:, t] = (true.cumsum(axis=1) < random.random((n, 1))).sum(axis=1).clip(max=width - 1)
        sharpened = np.exp(logits * temperature - (logits * temperature).max(axis=1, keepdims=True))
        said[:, t, :width] = sharpened / sharpened.sum(axis=1, keepdims=True)
    return said, gold, [f"g{i // 5}" for i in range(n)]


def _fit(n: int = 3000, seed: int = 0, temperature: float = 1.0, **changes: Any) -> Fitted:
    said, gold, units = _simulated(n, seed, temperature=temperature)
    return fit_rules(said, gold, units, TAXONOMY, RECIPE.model_copy(update=changes))


def _precision(value: float) -> DecisionSettings:
    return DecisionSettings(objective="precision", precision=value)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 4.0])
def test_a_known_temperature_is_found_again(temperature: float) -> None:
    fitted = _fit(temperature=temperature)
    fresh, gold, _ = _simulated(4000, 99, temperature=temperature)
    true, _, _ = _simulated(4000, 99)
    answers = fitted.rules.answers(fresh, TAXONOMY)
    assert np.abs(answers.probabilities - true).mean() < 0.02
    for rule in fitted.rules.rules:
        assert rule.as_dict()["calibration"]["temperature"] == pytest.approx(temperature, rel=0.15)
    # Of answers given with about some probability, about that share is right.
    top = answers.probabilities.max(axis=2)
    for low in (0.4, 0.6, 0.8):
        rows = (top >= low) & (top < low + 0.1)
        right = answers.probabilities.argmax(axis=2)[rows] == gold[rows]
        assert right.mean() == pytest.approx(top[rows].mean(), abs=0.06)


def test_the_simpler_calibration_stays_where_nothing_is_wrong_and_figures_say_what_was_gained() -> None:
    kept, mended = _fit(), _fit(temperature=3.0)
    for target in TAXONOMY:
        before, after = (kept.figures[target.id]["calibration"][key] for key in ("before", "after"))
        assert after["log_loss"] == pytest.approx(before["log_loss"], abs=0.005)
        figures = mended.figures[target.id]["calibration"]
        assert figures["method"] == "temperature"
        for name in ("log_loss", "brier", "ece"):
            assert figures["after"][name] < figures["before"][name]
        assert set(figures["after"]["ece_by_class"]) == set(target.outcomes)


def test_a_curve_that_no_temperature_bends_is_bent_by_isotonic_regression() -> None:
    said, gold, units = _simulated(4000, 1)
    bent = np.where(said > 0, 0.02 + (said > 0.35) * 0.3 + said**8, 0)
    bent /= bent.sum(axis=2, keepdims=True)
    fitted = fit_rules(bent, gold, units, TAXONOMY, RECIPE)
    assert "isotonic" in {fitted.figures[target.id]["calibration"]["method"] for target in TAXONOMY}
    answers = fitted.rules.answers(bent, TAXONOMY)
    np.testing.assert_allclose(answers.probabilities.sum(axis=2), 1)
    assert (answers.probabilities[bent > 0] > 0).all()
    _same(rules_from(json.loads(json.dumps(fitted.rules.as_dict(TAXONOMY))), TAXONOMY), fitted.rules, bent)


def _same(some: Rules, others: Rules, said: NDArray[np.float64]) -> None:
    first, second = some.answers(said, TAXONOMY), others.answers(said, TAXONOMY)
    for name in ("probabilities", "outcomes", "confidences", "abstained"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


@pytest.fixture(scope="module")
def fitted() -> list[Fitted]:
    return [_fit(temperature=2.0), _fit(decision=_precision(0.7)), _fit(n=40), fit_rules(*_nothing(), TAXONOMY, RECIPE)]


def _nothing() -> tuple[None, NDArray[np.int8], list[str]]:
    return None, np.zeros((3, len(TAXONOMY)), np.int8), ["a", "b", "c"]


@settings(max_examples=100)
@given(said=arrays(float, (4, 2, WIDTH), elements=st.floats(0, 1)), order=st.permutations(range(4)))
def test_any_probabilities_are_answered_soundly_and_each_text_by_itself(
    fitted: list[Fitted], said: NDArray[np.float64], order: list[int]
) -> None:
    said[:, :, 0] += 1e-9
    for t, target in enumerate(TAXONOMY):
        said[:, t, len(target.outcomes) :] = 0
    said /= said.sum(axis=2, keepdims=True)
    for one in fitted:
        answers = one.rules.answers(said, TAXONOMY)
        np.testing.assert_allclose(answers.probabilities.sum(axis=2), 1)
        assert (answers.probabilities[said == 0] == 0).all()
        chosen = np.take_along_axis(answers.probabilities, answers.outcomes[:, :, None], axis=2)[:, :, 0]
        np.testing.assert_array_equal(chosen, answers.confidences)
        for t, target in enumerate(TAXONOMY):
            assert (answers.outcomes[:, t] < len(target.outcomes)).all()
        shuffled = one.rules.answers(said[order], TAXONOMY)
        np.testing.assert_array_equal(shuffled.outcomes, answers.outcomes[order])
        np.testing.assert_array_equal(shuffled.abstained, answers.abstained[order])
        np.testing.assert_allclose(shuffled.probabilities, answers.probabilities[order])
        _same(rules_from(json.loads(json.dumps(one.rules.as_dict(TAXONOMY))), TAXONOMY), one.rules, said)


def test_rows_that_nothing_was_held_out_of_do_not_count() -> None:
    said, gold, units = _simulated(1500, 3, temperature=2.0)
    more, _, _ = _simulated(1500, 4)
    more[:] = np.nan
    unread = np.full_like(gold, NOT_READ)
    padded = fit_rules(
        np.concatenate([more, said, said]),
        np.concatenate([gold, gold, unread]),
        [*(f"x{u}" for u in units), *units, *(f"y{u}" for u in units)],
        TAXONOMY,
        RECIPE,
    )
    alone = fit_rules(said, gold, units, TAXONOMY, RECIPE)
    assert padded.rules == alone.rules
    assert (padded.labels[:1500] == NOT_READ).all()
    np.testing.assert_array_equal(padded.labels[1500:3000], alone.labels)


def test_too_little_held_out_means_never_sure(fitted: list[Fitted]) -> None:
    answers = fitted[3].rules.answers(_simulated(50, 5)[0], TAXONOMY)
    assert answers.abstained.all()
    np.testing.assert_array_equal(answers.outcomes, answers.probabilities.argmax(axis=2))


def test_a_rare_class_keeps_a_probability() -> None:
    said, gold, units = _simulated(2000, 6)
    gold[gold[:, 0] == 3, 0] = 0
    gold[:2, 0] = 3
    answers = fit_rules(said, gold, units, TAXONOMY, RECIPE).rules.answers(said, TAXONOMY)
    assert (answers.probabilities[:, 0, 3] > 0).all()
    assert answers.probabilities[:, 0, 3].mean() < said[:, 0, 3].mean()


def test_labels_are_no_worse_than_the_most_probable_outcome() -> None:
    for one in (_fit(), _fit(n=300, seed=8)):
        for target in TAXONOMY:
            figures = one.figures[target.id]["decision"]
            if figures["kept"]:
                assert figures["biased"] > figures["most_probable"]
            else:
                assert figures["bias"] == {"poles": 0.0, "unrelated": 0.0}


@pytest.mark.parametrize("asked", [0.7, 0.85])
def test_a_pole_is_as_precise_as_was_asked(asked: float) -> None:
    """On fresh sentences, in nine of ten trials (the bound's confidence), give or take chance over the trials."""
    fresh, gold, _ = _simulated(20_000, 500)
    reached = []
    for seed in range(12):
        answered = _fit(n=1500, seed=seed, decision=_precision(asked)).rules.answers(fresh, TAXONOMY).outcomes
        for t, target in enumerate(TAXONOMY):
            for pole in (target.conciliatory, target.other):
                rows = answered[:, t] == target.outcome(pole)
                if rows.any():
                    reached.append((gold[rows, t] == target.outcome(pole)).mean() >= asked - 0.01)
    assert len(reached) > 24
    assert np.mean(reached) >= 0.85


@pytest.mark.parametrize("rate", [0.1, 0.25])
def test_sure_answers_are_wrong_no_more_often_than_stated(rate: float) -> None:
    fresh, gold, _ = _simulated(20_000, 501)
    held, answered = [], 0
    for seed in range(12):
        fitted = _fit(n=1000, seed=seed, abstention=AbstentionSettings(error_rate=rate))
        answers = fitted.rules.answers(fresh, TAXONOMY)
        for t in range(len(TAXONOMY)):
            for kind in (answers.outcomes[:, t] == 0, answers.outcomes[:, t] != 0):
                rows = kind & ~answers.abstained[:, t]
                if rows.any():
                    answered += 1
                    held.append((answers.outcomes[rows, t] != gold[rows, t]).mean() <= rate)
    assert answered > 18
    assert np.mean(held) >= 0.9


def test_documents_whose_sentences_are_alike_count_as_fewer() -> None:
    """The bound holds as well where whole documents are wrong together."""
    rate, held = 0.25, []
    for seed in range(12):
        said, gold, _ = _simulated(120, seed)
        said, gold = np.repeat(said, 10, axis=0), np.repeat(gold, 10, axis=0)
        units = [f"g{i // 10}" for i in range(len(gold))]
        recipe = RECIPE.model_copy(update={"abstention": AbstentionSettings(error_rate=rate)})
        rules = fit_rules(said, gold, units, TAXONOMY, recipe).rules
        fresh, truth, _ = _simulated(5000, 1000 + seed)
        answers = rules.answers(fresh, TAXONOMY)
        for t in range(len(TAXONOMY)):
            for kind in (answers.outcomes[:, t] == 0, answers.outcomes[:, t] != 0):
                rows = kind & ~answers.abstained[:, t]
                if rows.any():
                    held.append((answers.outcomes[rows, t] != truth[rows, t]).mean() <= rate)
    assert len(held) > 6
    assert np.mean(held) >= 0.85


def _many_meals(folder: Path) -> Path:
    """The meals again and again, some of them with another label, in 60 groups."""
    random = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []
    for copy in range(12):
        for row in meals_records():
            labels = dict(row["labels"])
            if random.random() < 0.15:
                labels["free_meals"] = ["yes", "no", "unsure", None][random.integers(4)]
            text = row["text"].replace(" ", f" {copy} ", 1)
            rows.append(
                {"id": f"{row['id']}-{copy}", "text": text, "labels": labels, "group": f"g{random.integers(60)}"}
            )
    return write_lines(folder / "many.jsonl", rows)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _many_meals(tmp_path_factory.mktemp("many"))


def _train(meals: Path, labels: Path, out: Path, *more: str) -> Any:
    arguments = ["--labels", labels, "--targets", meals / "targets.yaml", "--recipe", "floor", "--out", out]
    return run_stance("train", *arguments, *more)


def test_the_command_line_states_precision_and_error_rate(meals: Path, many: Path, tmp_path: Path) -> None:
    assert _train(meals, many, tmp_path / "plain").returncode == 0
    done = _train(meals, many, tmp_path / "asked", "--precision", "0.75", "--error-rate", "0.25", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    decision = told["metrics"]["answers"]["free_meals"]["decision"]
    assert decision["asked"] == 0.75
    for figures in decision["poles"].values():
        assert figures["threshold"] is not None
        assert figures["precision"] >= 0.75
    asked = load_model(tmp_path / "asked")
    assert asked.recipe.abstention.error_rate == 0.25
    assert asked.version != load_model(tmp_path / "plain").version
    done = run_stance("score", "--model", tmp_path / "asked", "--json", "The cook wants the canteen to cost nothing.")
    answer = json.loads(done.stdout)["targets"]["free_meals"]
    assert (answer["label"], answer["abstained"]) == ("yes", False)


def test_poles_that_cannot_be_so_precise_are_named(meals: Path, many: Path, tmp_path: Path) -> None:
    done = _train(meals, many, tmp_path / "model", "--precision", "0.999")
    assert done.returncode == 0
    assert "free_meals: yes and no cannot be answered at that precision" in done.stderr


def test_an_answer_that_is_not_sure_says_so(meals_model: Path) -> None:
    """So few sentences are in the small model that nothing could be shown to be sure."""
    done = run_stance("score", "--model", meals_model, "The cook wants the canteen to cost nothing.")
    assert "not sure enough" in done.stdout
    assert "touches none" not in done.stdout


@pytest.mark.parametrize(("option", "value"), [("--precision", "80"), ("--precision", "nan"), ("--error-rate", "0")])
def test_a_share_is_between_0_and_1(option: str, value: str, meals: Path, tmp_path: Path) -> None:
    done = _train(meals, meals / "labels.jsonl", tmp_path / "model", option, value)
    assert done.returncode == 2
    assert option in done.stderr
    assert not (tmp_path / "model").exists()


def test_the_shipped_model_answers_for_its_own_taxonomy() -> None:
    model, taxonomy = load_model(), load_taxonomy()
    texts = ["Seoul offered to halt the drills.", "The bakery opens at nine."]
    answers, backwards = model.answers(texts), model.answers(texts[::-1])
    assert answers.probabilities.shape == (2, len(taxonomy), taxonomy.width)
    np.testing.assert_array_equal(answers.outcomes, backwards.outcomes[::-1])
    figures = model.metrics["answers"]
    assert set(figures) == set(taxonomy.ids)
    for of in figures.values():
        assert of["abstention"]["error_rate"] == model.recipe.abstention.error_rate
        for kind in ("unrelated", "touched"):
            found = of["abstention"][kind]
            assert found["threshold"] is None or found["wrong"] <= found["bound"] <= of["abstention"]["error_rate"]


def test_another_error_rate_needs_no_training(meals_model: Path, tmp_path: Path) -> None:
    done = run_stance("decide", "--model", meals_model, "--out", tmp_path / "same", "--json")
    assert done.returncode == 0, done.stderr
    before = load_model(meals_model)
    assert json.loads(done.stdout)["version"] == before.version, "the same rules are fitted on what the model keeps"
    done = run_stance("decide", "--model", meals_model, "--error-rate", "0.001", "--out", tmp_path / "strict")
    assert done.returncode == 0, done.stderr
    strict = load_model(tmp_path / "strict")
    assert strict.recipe.abstention.error_rate == 0.001
    assert strict.version != before.version
    texts = [row["text"] for row in meals_records()]
    answers, others = strict.answers(texts), before.answers(texts)
    assert (answers.outcomes == others.outcomes).all()
    assert (answers.abstained | ~others.abstained).all(), "a stricter rate never makes an unsure answer sure"
    done = run_stance("decide", "--model", meals_model, "--precision", "2", "--out", tmp_path / "no")
    assert done.returncode == 2
    assert not (tmp_path / "no").exists()

"""Calibration, Brier score and risk–coverage against what is known of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss

from labels.taxonomy import Taxonomy, load_taxonomy
from training.outcomes import NOT_READ
from training.probability_figures import brier_score, probability_figures, risk_coverage
from training.resampling import Resampling

ALONE = Taxonomy(load_taxonomy().targets[:1])
"""One target of four outcomes."""


def _calibrated(sentences: int, seed: int = 3) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Probabilities, and labels that were drawn by them."""
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet(np.full(ALONE.width, 0.6), size=(sentences, 1))
    gold = (probabilities.cumsum(axis=2) < random.random((sentences, 1, 1))).sum(axis=2)
    return probabilities, gold.astype(np.int8), [f"d{n // 10}" for n in range(sentences)]


def _figures(*arguments: Any, **options: Any) -> dict[str, Any]:
    return probability_figures(*arguments, ALONE, resamples=200, **options)


def test_drawn_by_the_probabilities_there_is_hardly_an_error_and_sharpened_there_is_one() -> None:
    probabilities, gold, units = _calibrated(20_000)
    sharper = probabilities**3 / (probabilities**3).sum(axis=2, keepdims=True)
    figures = _figures(probabilities, gold, units, before=sharper)
    about = figures["targets"][ALONE.ids[0]]
    assert about["ece"]["value"] < 0.02
    assert len(about["bins"]) == 15
    assert sum(at["count"] for at in about["bins"]) == len(gold) == sum(map(sum, about["histogram"].values()))
    for at in about["bins"]:
        assert abs(at["confidence"] - at["right"]["value"]) < 0.05
    assert figures["before"]["targets"][ALONE.ids[0]]["ece"]["value"] > 0.1
    for figure in figures["after_minus_before"].values():
        assert figure["high"] < 0


def test_the_error_is_the_gap_between_confidence_and_share_of_right_answers() -> None:
    given_ = np.tile([0.9, 0.1, 0, 0], (10, 1, 1))
    gold = np.array([[0]] * 6 + [[1]] * 4, np.int8)
    about = _figures(given_, gold, list("aabbccddee"))["targets"][ALONE.ids[0]]
    assert about["ece"]["value"] == pytest.approx(0.3)  # 0.9 against six of ten
    assert len(about["bins"]) == 1
    assert about["bins"][0]["right"]["value"] == pytest.approx(0.6)


def test_brier_score_is_that_of_scikit_learn() -> None:
    probabilities, gold, units = _calibrated(300)
    value, _ = brier_score(probabilities[:, 0], gold[:, 0], Resampling.of(units, resamples=10))
    expected = brier_score_loss(gold[:, 0], probabilities[:, 0], labels=range(ALONE.width), scale_by_half=False)
    assert value == pytest.approx(expected)


def _curve(wrong: list[bool], confidence: list[float]) -> dict[str, Any]:
    units = [str(n) for n in range(len(wrong))]
    return risk_coverage(np.array(wrong), np.array(confidence), Resampling.of(units, resamples=50))


def test_risk_rises_where_confidence_tells_and_falls_where_it_misleads() -> None:
    confidence = np.linspace(0.99, 0.4, 100).tolist()
    wrong = [False] * 60 + [True] * 40
    told = [point["value"] for point in _curve(wrong, confidence)["points"]]
    assert told == sorted(told)
    assert told[11] == 0  # of 60% coverage
    assert told[-1] == pytest.approx(0.4)
    misled = [point["value"] for point in _curve(wrong, confidence[::-1])["points"]]
    assert misled == sorted(misled, reverse=True)
    areas = [_curve(wrong, order)["area"]["value"] for order in (confidence, [0.5] * 100, confidence[::-1])]
    assert areas[0] < areas[1] < areas[2]


def test_equal_confidences_give_a_level_curve_whatever_the_order() -> None:
    for wrong in ([True] * 30 + [False] * 70, [False] * 70 + [True] * 30):
        curve = _curve(wrong, [0.7] * 100)
        assert {point["value"] for point in curve["points"]} == {0.3}
        assert curve["area"]["value"] == pytest.approx(0.3)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.booleans(), st.floats(0.25, 1)), min_size=1, max_size=40))
def test_curves_of_anything_stay_in_bounds_and_end_at_the_risk_of_all(answers: list[tuple[bool, float]]) -> None:
    wrong, confidence = [a for a, _ in answers], [c for _, c in answers]
    curve = _curve(wrong, confidence)
    assert all(0 <= point["value"] <= 1 for point in curve["points"])
    assert curve["points"][-1]["coverage"] == 1
    assert curve["points"][-1]["value"] == curve["risk"]["value"] == pytest.approx(np.mean(wrong), abs=1e-4)


@settings(max_examples=40)
@given(st.integers(1, 30), st.integers(0, 2**32 - 1), st.booleans())
def test_figures_of_anything_stay_in_bounds(sentences: int, seed: int, some_unread: bool) -> None:
    probabilities, gold, units = _calibrated(sentences, seed)
    if some_unread:
        gold[::2] = NOT_READ
    about = probability_figures(probabilities, gold, units, ALONE, resamples=20)["targets"][ALONE.ids[0]]
    assert about["answers"] == int((gold != NOT_READ).sum())
    if about["answers"] == 0:
        assert about["ece"]["value"] is None
        return
    assert 0 <= about["ece"]["value"] <= 1
    assert 0 <= about["brier"]["value"] <= 2
    touched = about["risk_coverage"]["touched"]["answers"]
    assert touched == sum(about["histogram"]["touched"]) <= about["answers"]


def test_risk_is_of_what_is_answered_and_calibration_of_the_most_probable_outcome() -> None:
    given_ = np.tile([0.6, 0.4, 0, 0], (10, 1, 1))
    gold = np.zeros((10, 1), np.int8)
    gold[:3] = 1
    answered = np.ones((10, 1), np.int64)  # the second outcome throughout, as a decision for rare classes may have it
    about = _figures(given_, gold, list("aabbccddee"), outcomes=answered)["targets"][ALONE.ids[0]]
    assert about["risk_coverage"]["touched"]["answers"] == 10
    assert about["risk_coverage"]["all"]["risk"]["value"] == pytest.approx(0.7)
    assert about["ece"]["value"] == pytest.approx(0.1)  # 0.6 against seven of ten

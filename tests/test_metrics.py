"""Figures against scikit-learn, and what intervals must do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_recall_fscore_support

from labels.taxonomy import load_taxonomy
from training.metrics import bootstrap, confusion, scores
from training.outcomes import NOT_READ
from training.summary import difference, summary

TAXONOMY = load_taxonomy()
WIDTH, TARGETS = TAXONOMY.width, len(TAXONOMY)


@st.composite
def labelled(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    rows = draw(st.integers(1, 30))
    cells = st.lists(st.integers(0, WIDTH - 1), min_size=rows * TARGETS, max_size=rows * TARGETS)
    gold, predicted = (np.array(draw(cells), np.int8).reshape(rows, TARGETS) for _ in range(2))
    unread = draw(st.lists(st.booleans(), min_size=rows * TARGETS, max_size=rows * TARGETS))
    gold[np.array(unread).reshape(rows, TARGETS)] = NOT_READ
    return gold, predicted


@given(labelled())
def test_figures_equal_those_of_scikit_learn(data: tuple[np.ndarray, np.ndarray]) -> None:
    gold, predicted = data
    found = scores(confusion(gold, predicted, ["one"] * len(gold), WIDTH).sum(axis=0), TAXONOMY)
    for t, target in enumerate(TAXONOMY):
        read = gold[:, t] != NOT_READ
        if not read.any():
            assert np.isnan(found.macro_f1[t])
            continue
        true, given_ = gold[read, t], predicted[read, t]
        labels = sorted(set(true) | set(given_))
        precision, recall, f1, _ = precision_recall_fscore_support(true, given_, labels=labels, zero_division=np.nan)
        np.testing.assert_allclose(found.f1[t, labels], f1)
        np.testing.assert_allclose(found.precision[t, labels], precision)
        np.testing.assert_allclose(found.recall[t, labels], recall)
        assert found.macro_f1[t] == pytest.approx(f1_score(true, given_, labels=labels, average="macro"))
        poles = [target.outcome(target.conciliatory), target.outcome(target.other)]
        met = [pole for pole in poles if pole in labels]
        if met:
            assert found.pole_f1[t] == pytest.approx(f1_score(true, given_, labels=met, average="macro"))


@given(labelled())
def test_issue_side_f1_counts_pairs(data: tuple[np.ndarray, np.ndarray]) -> None:
    gold, predicted = data
    found = scores(confusion(gold, predicted, ["one"] * len(gold), WIDTH).sum(axis=0), TAXONOMY)

    def pairs(outcomes: np.ndarray) -> set[tuple[int, str, str]]:
        return {
            (row, target.id, target.outcomes[outcomes[row, t]])
            for row in range(len(gold))
            for t, target in enumerate(TAXONOMY)
            if target.scope == "issue"
            and gold[row, t] != NOT_READ
            and target.outcomes[outcomes[row, t]] in (target.conciliatory, target.other)
        }

    true, given_ = pairs(gold), pairs(predicted)
    if true or given_:
        expected = 2 * len(true & given_) / (len(true) + len(given_))
        assert found.issue_side_f1 == pytest.approx(expected)
    else:
        assert np.isnan(found.issue_side_f1)


def _noisy(documents: int, sentences: int, alike: bool) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Documents whose sentences are all right or all wrong (alike), or right and wrong by turns."""
    random = np.random.default_rng(5)
    gold = random.integers(0, WIDTH, (documents * sentences, TARGETS)).astype(np.int8)
    right = np.repeat(np.arange(documents) % 2, sentences) if alike else np.arange(documents * sentences) % 2
    predicted = np.where(right[:, None] == 1, gold, (gold + 1) % WIDTH)
    return gold, predicted, [f"d{n // sentences}" for n in range(documents * sentences)]


def test_the_interval_holds_the_figure_and_grows_where_documents_are_alike() -> None:
    widths = []
    for alike in (False, True):
        gold, predicted, units = _noisy(20, 10, alike)
        table = confusion(gold, predicted, units, WIDTH)
        point, interval = scores(table.sum(axis=0), TAXONOMY), bootstrap(table, TAXONOMY)
        assert (interval.low.macro_f1 <= point.macro_f1).all()
        assert (point.macro_f1 <= interval.high.macro_f1).all()
        widths.append(float(interval.high.mean_macro_f1 - interval.low.mean_macro_f1))
    assert widths[1] > 2 * widths[0]


def test_a_paired_difference_of_a_thing_with_itself_is_zero() -> None:
    gold, predicted, units = _noisy(12, 4, alike=True)
    table = confusion(gold, predicted, units, WIDTH)
    for figure in difference(table, table, TAXONOMY).values():
        assert figure == {"value": 0, "low": 0, "high": 0}
    better = confusion(gold, gold.astype(np.int64), units, WIDTH)
    for figure in difference(better, table, TAXONOMY).values():
        assert figure["value"] is not None
        assert figure["low"] is not None
        assert figure["value"] > 0
        assert figure["low"] > 0


def test_what_is_undefined_is_null_and_not_a_number() -> None:
    gold = np.zeros((4, TARGETS), np.int8)
    figures = summary(confusion(gold, gold.astype(np.int64), list("abcd"), WIDTH), TAXONOMY)
    target = figures["targets"][TAXONOMY.ids[0]]
    assert target["classes"]["unrelated"]["f1"]["value"] == 1
    assert target["pole_f1"] == {"value": None, "low": None, "high": None}
    assert figures["overall"]["issue_side_f1"]["value"] is None

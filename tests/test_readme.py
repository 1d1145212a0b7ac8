"""The README says what the report says."""

from __future__ import annotations

import json

from tests.conftest import PROJECT
from training.model_folder import load_model

README = (PROJECT / "README.md").read_text(encoding="utf8")
REPORT = PROJECT / "docs" / "report"


def test_the_quality_table_is_that_of_the_report() -> None:
    card = (REPORT / "model-card.md").read_text(encoding="utf8").splitlines()
    rows = [line.strip() for line in card if line.startswith("|")]
    assert len(rows) > 8
    for row in rows:
        assert row in README


def test_the_report_is_of_the_model_that_ships() -> None:
    metrics = json.loads((REPORT / "metrics.json").read_text(encoding="utf8"))
    version = load_model().version
    assert metrics["model"]["version"] == version
    assert version in README
    assert version in (REPORT / "report.html").read_text(encoding="utf8")
    assert metrics["data"]["missing"]["records"] == 0
    assert metrics["data"]["left_out_as_trained_on"] == 0
    twice = metrics["sets"]["twice"]
    assert f"On {twice['sentences']} sentences of {twice['model']['groups']} news documents" in README


def test_what_it_says_of_the_floor_holds() -> None:
    sets = json.loads((REPORT / "metrics.json").read_text(encoding="utf8"))["sets"]
    holds_zero = all(f["low"] <= 0 <= f["high"] for given in sets.values() for f in given["model_minus_floor"].values())
    assert ("no better than the floor" in README) == holds_zero

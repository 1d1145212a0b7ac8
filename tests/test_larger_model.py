"""The larger model that lies beside the one that ships."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from labels.errors import StanceError
from tests.conftest import PROJECT, run_stance
from training.encoder_packages import MPNET, WEIGHTS
from training.model_folder import load_model

FOLDER = PROJECT / "training" / "larger_model"
REPORT = PROJECT / "docs" / "larger-report"


def installed() -> bool:
    try:
        return bool(MPNET.read(WEIGHTS))
    except StanceError:
        return False


def test_the_report_and_the_readme_are_of_the_model_in_the_folder() -> None:
    metrics = json.loads((REPORT / "metrics.json").read_text(encoding="utf8"))
    model = load_model(FOLDER)
    assert metrics["model"]["version"] == model.version
    assert model.version in (REPORT / "report.html").read_text(encoding="utf8")
    assert metrics["data"]["left_out_as_trained_on"] == 0
    sets, contrast = metrics["sets"], metrics["contrast"]["all"]["model"]
    every, twice = (sets[name]["model"] for name in ("all", "twice"))
    figures = {
        "posture macro-F1": every["targets"]["posture"]["macro_f1"],
        "Mean F_avg over issues": every["overall"]["issue_pole_f1"],
        "(issue, side) micro-F1": every["overall"]["issue_side_f1"],
        "(issue, side) micro-F1, labelled twice": twice["overall"]["issue_side_f1"],
        "changes followed rightly, contrast sets": contrast["flips_rightly"],
    }
    rows = [line.split("|") for line in (PROJECT / "README.md").read_text(encoding="utf8").splitlines()]
    told = {row[1].strip(): row[4].strip() for row in rows if len(row) == 7}
    for name, figure in figures.items():
        assert told[name] == f"{figure['value']:.2f} [{figure['low']:.2f}, {figure['high']:.2f}]"


def test_it_is_fit_to_be_passed_on() -> None:
    size = sum(path.stat().st_size for path in FOLDER.iterdir())
    assert size < 8_000_000
    assert {path.suffix for path in FOLDER.iterdir()} == {".json", ".safetensors"}
    model = load_model(FOLDER)
    assert model.taxonomy == load_model().taxonomy
    # What held these out is what answers, so each of them has its own probabilities.
    assert len(model.held_out.outcomes) > 2_000


def test_it_reads_a_negation_where_its_encoder_is_installed_and_says_what_to_install_elsewhere(tmp_path: Path) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("The sanctions should be lifted now.\nThe sanctions should not be lifted now.\n", encoding="utf8")
    done = run_stance("score", "--model", FOLDER, "--file", texts, "--json")
    if not installed():
        assert done.returncode == 1
        assert MPNET.install in done.stderr
        pytest.skip("MPNet is not installed: make larger")
    labels = [json.loads(line)["targets"]["sanctions_relief"]["label"] for line in done.stdout.splitlines()]
    assert labels == ["favor", "against"]

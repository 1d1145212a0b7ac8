"""The report: files, figures, and sentences that may not count."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.conftest import meals_records, run_stance, write_lines


@pytest.fixture(scope="module")
def report(meals: Path, meals_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on a model that is not the floor, with two annotators on every test sentence."""
    folder = tmp_path_factory.mktemp("report")
    recipe = folder / "mild.yaml"
    recipe.write_text(
        "name: mild\ntitle: Mild\nfamily: tfidf\nfolds: 3\nheads: {c: [0.02], balance: [0]}\n", encoding="utf8"
    )
    rows = meals_records()
    for number, row in enumerate(rows):
        second = dict(row["labels"])
        if number % 5 == 0:
            second["free_meals"] = None if second.get("free_meals") else "yes"
        row["annotations"] = [
            {"annotator": "first", "labels": row["labels"]},
            {"annotator": "second", "labels": second},
        ]
    labels = ["--labels", write_lines(folder / "labels.jsonl", rows)]
    done = run_stance(
        "train", *labels, "--targets", meals / "targets.yaml", "--recipe", recipe, "--out", folder / "model"
    )
    assert done.returncode == 0, done.stderr
    done = run_stance("evaluate", "--model", folder / "model", *labels, "--out", folder / "out")
    assert done.returncode == 0, done.stderr
    return folder / "out"


def test_metrics_hold_model_floor_and_agreement_with_intervals(report: Path) -> None:
    metrics = json.loads((report / "metrics.json").read_text())
    tested = sum(row["split"] == "test" for row in meals_records())
    assert list(metrics["targets"]) == ["free_meals", "later_start"]
    for name in ("all", "twice"):
        assert metrics["sets"][name]["sentences"] == tested
    twice = metrics["sets"]["twice"]
    assert set(twice) == {"sentences", "model", "floor", "model_minus_floor", "agreement"}
    for system in ("model", "floor", "agreement"):
        target = twice[system]["targets"]["free_meals"]
        assert list(target["classes"]) == ["unrelated", "yes", "unsure", "no"]
        for figure in ("macro_f1", "pole_f1"):
            assert target[figure]["low"] <= target[figure]["value"] <= target[figure]["high"]
        assert sum(map(sum, target["confusion"])) == target["read"]
    assert twice["agreement"]["targets"]["later_start"]["macro_f1"]["value"] == 1
    assert 0.5 < twice["agreement"]["targets"]["free_meals"]["macro_f1"]["value"] < 1
    assert twice["floor"]["overall"]["mean_macro_f1"]["value"] > twice["model"]["overall"]["mean_macro_f1"]["value"]
    assert metrics["data"]["floor_trained_on_the_same"] is True


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "data")]
        assert tag not in ("script", "link", "iframe")


def test_the_page_stands_by_itself(report: Path) -> None:
    page = (report / "report.html").read_text(encoding="utf8")
    links = _Links()
    links.feed(page)
    assert all(link.startswith(("#", "data:")) for link in links.found)
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)
    assert page.count("<svg") == 2
    for text in ("Free meals", "Later start", "precision", "agreement", "floor", "unsure"):
        assert text in page


def test_the_card_names_data_results_and_limits(report: Path) -> None:
    card = (report / "model-card.md").read_text(encoding="utf8")
    assert card.startswith("---\nlanguage: en\n")
    metrics = json.loads((report / "metrics.json").read_text())
    assert metrics["model"]["version"] in card
    assert metrics["model"]["data"]["fingerprint"] in card
    for heading in ("Intended use", "Not for", "Trained on", "Results", "Limits and risks"):
        assert f"## {heading}" in card
    rows = [line for line in card.splitlines() if line.startswith("| free_meals |")]
    value = metrics["sets"]["twice"]["model"]["targets"]["free_meals"]["macro_f1"]["value"]
    assert len(rows) == 1
    assert f"| {value:.2f} [" in rows[0]


def test_sentences_that_were_trained_on_do_not_count(meals: Path, meals_model: Path, tmp_path: Path) -> None:
    rows = meals_records()
    trained = next(row for row in rows if row["split"] == "train")
    tested = sum(row["split"] == "test" for row in rows)
    again = {**trained, "id": "same-text", "group": "minutes-6", "split": "test"}
    neighbour = {**trained, "id": "same-group", "text": "Nobody has said this.", "split": "test"}
    labels = write_lines(
        tmp_path / "labels.jsonl", [*(row for row in rows if row["group"] != trained["group"]), again, neighbour]
    )
    done = run_stance("evaluate", "--model", meals_model, "--labels", labels, "--out", tmp_path / "out", "--json")
    metrics = json.loads(done.stdout)
    assert metrics["data"]["left_out_as_trained_on"] == 2
    assert metrics["sets"]["all"]["sentences"] == tested


def test_nothing_to_score_is_said(meals: Path, meals_model: Path, tmp_path: Path) -> None:
    rows = [row for row in meals_records() if row["split"] == "train"]
    labels = write_lines(tmp_path / "labels.jsonl", rows)
    done = run_stance("evaluate", "--model", meals_model, "--labels", labels, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "no sentence of the part 'test' is at hand" in done.stderr
    only = write_lines(tmp_path / "only.jsonl", [{**row, "split": "test"} for row in rows])
    done = run_stance("evaluate", "--model", meals_model, "--labels", only, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "was trained on all" in done.stderr
    assert not (tmp_path / "out").exists()

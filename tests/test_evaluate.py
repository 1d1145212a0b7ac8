"""The report: files, figures, and sentences that may not count."""

from __future__ import annotations

import hashlib
import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard
from jsonschema import Draft202012Validator

from labels.errors import StanceError
from tests.conftest import PROJECT, meals_records, run_stance, write_lines
from training.learning_curve import read_learning_curve


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
    curve = folder / "curve.json"
    points = [{"sentences": n, "figure": n / 100, "low": n / 200, "high": 0.9} for n in (60, 30)]
    points += [{**points[0], "name": name, "measure": "issue_side_f1"} for name in ("floor", "peer", "fourth")]
    curve.write_text(json.dumps(points), encoding="utf8")
    done = run_stance(
        "train", *labels, "--targets", meals / "targets.yaml", "--recipe", recipe, "--out", folder / "model"
    )
    assert done.returncode == 0, done.stderr
    done = run_stance(
        "evaluate", "--model", folder / "model", *labels, "--out", folder / "out", "--learning-curve", curve
    )
    assert done.returncode == 0, done.stderr
    assert "(issue, side) micro-F1" in done.stdout
    assert "Mean macro-F1 over targets" in done.stdout
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


def test_without_training_sentences_for_a_target_the_floor_is_left_out_and_it_is_said_so(
    meals: Path, meals_model: Path, tmp_path: Path
) -> None:
    rows = [row for row in meals_records() if row["split"] == "test" or "later_start" not in row["labels"]]
    recipe = tmp_path / "mild.yaml"
    recipe.write_text(
        "name: mild\ntitle: Mild\nfamily: tfidf\nfolds: 3\nheads: {c: [1], balance: [0]}\n", encoding="utf8"
    )
    whole, model = meals / "labels.jsonl", tmp_path / "model"
    done = run_stance(
        "train", "--labels", whole, "--targets", meals / "targets.yaml", "--recipe", recipe, "--out", model
    )
    assert done.returncode == 0, done.stderr
    labels = write_lines(tmp_path / "labels.jsonl", rows)
    done = run_stance("evaluate", "--model", model, "--labels", labels, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "no floor: no training sentence in these files was read for later_start;" in said
    assert "2 documents say little, and intervals from so few come out too narrow" in said
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    schema = json.loads((PROJECT / "training" / "metrics.schema.json").read_text())
    Draft202012Validator(schema).validate(metrics)
    assert metrics["data"]["floor_lacks"] == ["later_start"]
    assert "floor" not in metrics["sets"]["all"]
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf8")
    assert "There is no floor" in page
    assert "So few documents say little" in page
    assert "none of these was read for Later start" in page
    assert "floor" not in (tmp_path / "out" / "model-card.md").read_text(encoding="utf8").lower()


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
    assert page.count("<svg") == 5
    targets = set(re.findall(r' id="([^"]+)"', page))
    assert {link[1:] for link in links.found if link.startswith("#")} <= targets
    for text in ("Free meals", "Later start", "precision", "agreement", "floor", "unsure"):
        assert text in page


def test_the_card_names_data_results_and_limits(report: Path) -> None:
    card = (report / "model-card.md").read_text(encoding="utf8")
    front = yaml.safe_load(card.split("---\n")[1])
    assert (front["language"], front["license"], front["library_name"]) == ("en", "mit", "stance")
    metrics = json.loads((report / "metrics.json").read_text())
    assert metrics["model"]["version"] in card
    assert metrics["model"]["data"]["fingerprint"] in card
    for heading in ("Intended use", "Not for", "Trained on", "Results", "Limits and risks"):
        assert f"## {heading}" in card
    rows = [line for line in card.splitlines() if line.startswith("| free_meals |")]
    value = metrics["sets"]["twice"]["model"]["targets"]["free_meals"]["macro_f1"]["value"]
    assert len(rows) == 1
    assert f"| {value:.2f} [" in rows[0]
    [result] = front["model-index"][0]["results"]
    assert value in [metric["value"] for metric in result["metrics"] if metric["name"] == "macro-F1, Free meals"]
    assert ModelCard(card).data.eval_results


def test_metrics_are_as_the_schema_says(report: Path, scored: tuple[Path, Path]) -> None:
    schema = json.loads((PROJECT / "training" / "metrics.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    check = Draft202012Validator(schema)
    for path in (report, scored[0]):
        metrics = json.loads((path / "metrics.json").read_text())
        check.validate(metrics)
        metrics["confident_errors"][0]["text"] = "What it says."
        assert not check.is_valid(metrics)


def test_a_learning_curve_stands_in_the_report_by_rising_sentences(report: Path) -> None:
    curve = json.loads((report / "metrics.json").read_text())["learning_curve"]
    assert [point["sentences"] for point in curve if point["name"] == "figure"] == [30, 60]
    page = (report / "report.html").read_text(encoding="utf8")
    assert "0.60 [0.30, 0.90]" in page
    assert "<td>peer</td><td>(issue, side) micro-F1</td><td>60</td>" in page


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("[", "is not JSON"),
        ("[]", "at least 1 item"),
        ('[{"sentences": 0, "figure": 1, "low": 1, "high": 1}]', "field '0.sentences'"),
        ('[{"sentences": 9, "figure": 1, "low": 1, "high": 0}]', "'low' must not be greater than 'high'"),
    ],
)
def test_a_curve_that_is_none_is_said(tmp_path: Path, content: str, complaint: str) -> None:
    path = tmp_path / "curve.json"
    path.write_text(content)
    with pytest.raises(StanceError, match=re.escape(complaint)):
        read_learning_curve(path)


def _rows_of_two_papers() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Label records for testing, and the articles that the second half points into: there the labels are astray."""
    right = [row for row in meals_records() if row["labels"]["free_meals"] and "later_start" not in row["labels"]]
    rows: list[dict[str, Any]] = []
    articles: list[dict[str, Any]] = []
    for paper, source, kind in (
        ("gazette", "Gazette [AllSides lean: left]", None),
        ("herald", "Herald [AllSides lean: right]", "opinion"),
    ):
        for number in range(6):
            group, text = f"{paper}-{number}", ""
            for place, row in enumerate(right[number::3]):
                said = f"{row['text']} It was day {number} of the debate."
                new = {**row, "id": f"{group}-{place}", "group": group, "split": "test", "source": source}
                new |= {"date": f"20{10 + number}-05-01", "holder": ["author", "several", None, "a cook"][place % 4]}
                if kind:
                    new["labels"] = {
                        "free_meals": {"yes": "no", "no": "yes", "unsure": "no"}[row["labels"]["free_meals"]]
                    }
                    digest = hashlib.sha256(said.encode()).hexdigest()
                    new["ref"] = {"doc": group, "start": len(text), "end": len(text) + len(said), "sha256": digest}
                    del new["text"]
                    text += said + "\n"
                else:
                    new["text"] = said
                rows.append(new)
            if kind:
                articles.append({"doc_id": group, "text": text, "kind": kind})
    return rows, articles


_SETS = [
    # (set, note, text, label): one negation that flips and is answered, one holder that stays, one set without original
    ("one", "original", "Free lunches for every pupil are right, the gardener said.", "yes"),
    ("one", "negation", "Parents ought to pay for lunch themselves, the gardener said.", "no"),
    ("two", "original", "The cook wants the canteen to cost nothing.", "yes"),
    ("two", "holder", "A parent wants the canteen to cost nothing.", "yes"),
    ("two", "negation", "The cook wants the canteen to cost nothing at all.", "no"),
    ("three", "negation", "Nobody wants the canteen to cost nothing.", "no"),
]


@pytest.fixture(scope="module")
def scored(meals_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A report with slices that are large enough, and contrast sets; and the corpus."""
    folder = tmp_path_factory.mktemp("scored")
    rows, articles = _rows_of_two_papers()
    corpus = folder / "corpus"
    corpus.mkdir()
    write_lines(corpus / "articles.jsonl", articles)
    sets = [
        {"id": f"c{n}", "text": text, "labels": {"free_meals": label}, "group": unit, "split": "test", "note": note}
        for n, (unit, note, text, label) in enumerate(_SETS)
    ]
    done = run_stance(
        *("evaluate", "--model", meals_model, "--labels", write_lines(folder / "labels.jsonl", rows)),
        *("--corpus", corpus, "--contrast", write_lines(folder / "sets.jsonl", sets)),
        *("--out", folder / "out", "--with-texts"),
    )
    assert done.returncode == 0, done.stderr
    assert "worst slice: " in done.stdout
    return folder / "out", corpus / "articles.jsonl"


def test_slices_are_counted_and_the_worst_is_named(scored: tuple[Path, Path]) -> None:
    metrics = json.loads((scored[0] / "metrics.json").read_text())
    slices = metrics["slices"]
    found = {key: {about["name"]: about["sentences"] for about in given} for key, given in slices["dimensions"].items()}
    half = metrics["sets"]["all"]["sentences"] // 2
    assert found["outlet"] == {"Gazette": half, "Herald": half}
    assert found["leaning"] == {"left": half, "right": half}
    assert found["kind"] == {"opinion": half, "not said": half}
    assert list(found["year"]) == [str(year) for year in range(2010, 2016)]
    assert list(found["holder"]) == ["author", "named", "several", "unnamed"]
    assert found["labelled"] == {"once": 2 * half}
    for given in found.values():
        assert sum(given.values()) == 2 * half
    outlets = {about["name"]: about for about in slices["dimensions"]["outlet"]}
    assert outlets["Herald"]["error_ratio"]["low"] > 1 > outlets["Gazette"]["error_ratio"]["high"]
    assert all(about["small"] for about in slices["dimensions"]["year"])  # one group of each paper
    assert not outlets["Herald"]["small"]
    assert slices["worst"]["name"] in ("Herald", "right", "opinion")
    page = (scored[0] / "report.html").read_text(encoding="utf8")
    assert slices["worst"]["name"] in page.split("<nav>")[0]
    assert page.count('<tr class="small">') == sum(
        about["small"] for given in slices["dimensions"].values() for about in given
    )


def test_the_surest_errors_point_at_their_sentences(scored: tuple[Path, Path]) -> None:
    folder, articles = scored
    texts = {row["doc_id"]: row["text"] for row in map(json.loads, articles.read_text().splitlines())}
    errors = json.loads((folder / "metrics.json").read_text())["confident_errors"]
    assert len(errors) == 50
    confidences = [error["confidence"] for error in errors]
    assert confidences == sorted(confidences, reverse=True)
    page = html.unescape((folder / "report.html").read_text(encoding="utf8"))
    for error in errors:
        assert error["gold"] != error["answer"]
        assert texts[error["doc"]][error["start"] : error["end"]] in page  # --with-texts was given


def test_texts_are_shown_only_where_that_is_asked_for(report: Path) -> None:
    tested = [row for row in meals_records() if row["split"] == "test"]
    for path in report.iterdir():
        content = html.unescape(path.read_text(encoding="utf8"))
        assert not any(row["text"] in content for row in tested)
    assert any(row["id"] in (report / "report.html").read_text() for row in tested)


def test_contrast_sets_by_kind_of_change(scored: tuple[Path, Path]) -> None:
    contrast = json.loads((scored[0] / "metrics.json").read_text())["contrast"]
    assert {kind: about["pairs"] for kind, about in contrast["kinds"].items()} == {"holder": 1, "negation": 2}
    holder, negation = contrast["kinds"]["holder"], contrast["kinds"]["negation"]
    assert (holder["must_flip"], holder["must_stay"]) == (0, 1)
    assert holder["model"]["stays"]["value"] == 1
    assert holder["model"]["flips"]["value"] is None
    # "one" is answered rightly; in "two" a word more changes nothing for a model that was never told of it.
    assert (negation["must_flip"], negation["must_stay"]) == (2, 0)
    assert negation["model"]["flips"]["value"] == negation["model"]["flips_rightly"]["value"] == 0.5
    assert contrast["all"]["sets"] == 2
    assert contrast["all"]["model"]["consistent"]["value"] == 0.5


def test_a_set_that_was_trained_on_is_left_out_whole(meals: Path, meals_model: Path, tmp_path: Path) -> None:
    seen = next(row for row in meals_records() if row["split"] == "train" and row["labels"].get("free_meals") == "yes")
    rows = [
        {"text": seen["text"], "note": "original", "labels": {"free_meals": "yes"}, "group": "seen"},
        {"text": "Nobody has said this.", "note": "verb", "labels": {"free_meals": "no"}, "group": "seen"},
    ]
    fresh = [{**row, "group": "fresh", "text": f"{row['text']} Twice."} for row in rows]
    sets = write_lines(
        tmp_path / "sets.jsonl", [{**row, "id": f"c{n}", "split": "test"} for n, row in enumerate(rows + fresh)]
    )
    labels = ["--labels", meals / "labels.jsonl", "--contrast", sets]
    done = run_stance("evaluate", "--model", meals_model, *labels, "--out", tmp_path / "out", "--json")
    contrast = json.loads(done.stdout)["contrast"]
    assert contrast["left_out_as_trained_on"] == 2
    assert contrast["all"]["sets"] == contrast["all"]["pairs"] == 1


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
    assert "no sentence of the part 'test' is in the label files" in done.stderr
    only = write_lines(tmp_path / "only.jsonl", [{**row, "split": "test"} for row in rows])
    done = run_stance("evaluate", "--model", meals_model, "--labels", only, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "was trained on all" in done.stderr
    assert not (tmp_path / "out").exists()

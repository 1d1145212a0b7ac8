"""How far annotators agree: figures against published examples and libraries, and which records are one sentence."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import krippendorff
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from labels.annotators import Annotated, read_annotated
from labels.errors import StanceError
from labels.taxonomy import Taxonomy, load_taxonomy, parse_taxonomy
from tests.conftest import PROJECT, run_stance, write_lines
from training.agreement import agreement
from training.metrics import confusion, resampled
from training.reliability import alpha_of, cohens_kappa, coincidences, kappa_of, krippendorffs_alpha

Label = str | None
UNREAD = "-"


def _taxonomy(classes: Sequence[str], *, scope: str = "issue") -> dict[str, Any]:
    entry = {
        "title": "Lunch",
        "proposition": "Lunch should be free.",
        "scope": scope,
        "classes": list(classes),
        "poles": {"conciliatory": classes[0], "other": classes[-1]},
    }
    return {"targets": {"lunch": entry}}


def _annotators(folder: Path, readings: Mapping[str, Sequence[Label]]) -> list[Path]:
    """A file for each annotator, with the same texts; UNREAD leaves the target out."""
    return [
        write_lines(
            folder / f"{name}.jsonl",
            (
                {"id": f"s{i}", "text": f"Sentence {i}.", "labels": {} if label == UNREAD else {"lunch": label}}
                for i, label in enumerate(labels)
            ),
        )
        for name, labels in readings.items()
    ]


def _figures(folder: Path, readings: Mapping[str, Sequence[Label]], taxonomy: dict[str, Any]) -> dict[str, Any]:
    """What the command says of one file for each annotator."""
    targets = folder / "targets.yaml"
    targets.write_text(json.dumps(taxonomy))  # JSON is YAML
    done = run_stance("labels", "agreement", *_annotators(folder, readings), "--targets", targets, "--json")
    assert done.returncode == 0, done.stderr
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def test_alpha_of_krippendorffs_example(tmp_path: Path) -> None:
    """K. Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011, sections C and D.

    Four observers, twelve units, missing values: nominal alpha .743, ordinal alpha .815.
    """
    observers = {
        "A": "1 2 3 3 2 1 4 1 2 - - -",
        "B": "1 2 3 3 2 2 4 1 2 5 - 3",
        "C": "- 3 3 3 2 3 4 2 2 5 1 -",
        "D": "1 2 3 3 2 4 4 1 2 5 1 -",
    }
    readings = {name: values.split() for name, values in observers.items()}
    figures = _figures(tmp_path, readings, _taxonomy("12345", scope="overall"))
    lunch = figures["by_target"]["lunch"]
    assert lunch["alpha"]["value"] == pytest.approx(0.743, abs=5e-4)
    assert lunch["alpha_ordinal"]["value"] == pytest.approx(0.815, abs=5e-4)
    # "Unit 12 … contains only one value": it cannot be compared.
    assert (lunch["read_by_two"], lunch["read_by_all"], figures["sentences"]["read_by_one"]) == (11, 8, 1)
    assert "kappa" not in lunch
    assert len(lunch["confusion"]) == 6


def test_kappa_of_cohens_example(tmp_path: Path) -> None:
    """J. Cohen, Weighted kappa, Psychological Bulletin 70 (1968) 213-220: 200 cases, unweighted kappa .492."""
    table = [[88, 14, 18], [10, 40, 10], [2, 6, 12]]
    cells = [(a, b) for a, row in zip("xyz", table, strict=True) for b, count in zip("xyz", row, strict=True)
             for _ in range(count)]  # fmt: skip
    figures = _figures(tmp_path, {"A": [a for a, _ in cells], "B": [b for _, b in cells]}, _taxonomy("xyz"))
    lunch = figures["by_target"]["lunch"]
    assert lunch["kappa"]["value"] == pytest.approx((0.70 - 0.41) / (1 - 0.41), abs=5e-5)  # .492
    assert lunch["agreement"]["value"] == pytest.approx(0.70)
    assert [row[1:] for row in lunch["confusion"][0]["counts"][1:]] == table
    assert "alpha_ordinal" not in lunch


def _annotated(folder: Path, readings: Mapping[str, Sequence[Label]], taxonomy: Taxonomy) -> Annotated:
    return read_annotated(_annotators(folder, readings), taxonomy)


YES_NO = parse_taxonomy(_taxonomy(["yes", "unsure", "no"]))
MOOD = parse_taxonomy(_taxonomy(["cold", "even", "warm"], scope="overall"))


def test_null_is_a_value_and_a_missing_target_is_none(tmp_path: Path) -> None:
    readings = {"left": ["yes", None, "no", None], "right": ["yes", None, UNREAD, "no"]}
    figures = agreement(_annotated(tmp_path, readings, YES_NO), YES_NO)
    lunch = figures["by_target"]["lunch"]
    assert lunch["read_by_two"] == 3
    assert lunch["agreement"]["value"] == pytest.approx(2 / 3, abs=1e-4)
    # Rows left, columns right, in the order unrelated, yes, unsure, no.
    assert lunch["confusion"][0]["counts"] == [[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert figures["annotators"] == {"left": 4, "right": 3}


def test_ordinal_alpha_is_of_the_sentences_that_nobody_called_unrelated(tmp_path: Path) -> None:
    touched = {"left": ["cold", "even", "warm", "warm", "cold"], "right": ["cold", "warm", "warm", "even", "even"]}
    more = {"left": [*touched["left"], None, "cold"], "right": [*touched["right"], None, None]}
    few, many = (
        agreement(_annotated(tmp_path, readings, MOOD), MOOD)["by_target"]["lunch"] for readings in (touched, more)
    )
    assert few["alpha_ordinal"]["value"] == many["alpha_ordinal"]["value"]
    assert few["alpha"]["value"] != many["alpha"]["value"]
    # Neighbours are half right, which nominal alpha does not see.
    assert few["alpha_ordinal"]["value"] > few["alpha"]["value"]


def test_sides_are_counted_as_pairs(tmp_path: Path) -> None:
    readings = {"left": ["yes", "no", "unsure", None, "yes"], "right": ["yes", "yes", "unsure", "no", "unsure"]}
    figures = agreement(_annotated(tmp_path, readings, YES_NO), YES_NO)
    # left takes 3 sides, right 3, and they share 1: 2·1 ÷ (3 + 3).
    assert figures["overall"]["issue_side_f1"]["value"] == pytest.approx(1 / 3, abs=1e-4)


def test_opposite_sides_come_first_among_the_differences(tmp_path: Path) -> None:
    readings = {"left": ["yes", "unsure", "yes"], "right": ["yes", None, "no"]}
    figures = agreement(_annotated(tmp_path, readings, YES_NO), YES_NO)
    assert [difference["id"] for difference in figures["differences"]] == ["s2", "s1"]
    assert figures["differences"][0]["targets"] == {"lunch": {"left": "yes", "right": "no"}}


def test_what_is_undefined_is_said_to_be(tmp_path: Path) -> None:
    figures = agreement(_annotated(tmp_path, {"left": ["yes", "yes"], "right": ["yes", "yes"]}, YES_NO), YES_NO)
    undefined = {"value": None, "low": None, "high": None}
    lunch = figures["by_target"]["lunch"]
    assert (lunch["kappa"], lunch["alpha"], figures["overall"]["mean_kappa"]) == (undefined, undefined, undefined)
    assert lunch["agreement"]["value"] == 1


def test_whole_groups_are_resampled(tmp_path: Path) -> None:
    random = np.random.default_rng(7)
    rows = [
        {"id": f"s{i}", "text": f"Sentence {i}.", "group": f"g{i % 9}", "labels": {},
         "annotations": [{"annotator": name, "labels": {"lunch": str(random.choice(["yes", "no"]))}} for name in "ab"]}
        for i in range(90)
    ]  # fmt: skip
    again = [{**row, "id": f"{row['id']}-{k}"} for k in range(5) for row in rows]
    ten, fifty = (
        agreement(read_annotated([write_lines(tmp_path / name, given)], YES_NO), YES_NO)
        for name, given in (("once.jsonl", rows), ("five.jsonl", again))
    )
    # The same sentences five times in the same groups tell nothing new; alone they would narrow the interval.
    assert ten["groups"] == fifty["groups"] == 9
    for name in ("agreement", "kappa"):
        assert ten["by_target"]["lunch"][name] == fifty["by_target"]["lunch"][name]
    assert ten["by_target"]["lunch"]["kappa"]["low"] < ten["by_target"]["lunch"]["kappa"]["high"]
    single = write_lines(tmp_path / "one.jsonl", ({**row, "group": "g"} for row in rows))
    alone = agreement(read_annotated([single], YES_NO), YES_NO)["by_target"]["lunch"]["kappa"]
    assert alone["value"] == ten["by_target"]["lunch"]["kappa"]["value"]
    assert alone["low"] is alone["high"] is None


@st.composite
def _samples(draw: st.DrawFn) -> tuple[np.ndarray, list[str]]:
    """Readings of 2 to 4 annotators of up to four values or none, and a group for each sentence."""
    annotators, sentences = draw(st.integers(2, 4)), draw(st.integers(1, 12))
    rows = st.lists(st.integers(-1, 3), min_size=sentences, max_size=sentences)
    readings = draw(st.lists(rows, min_size=annotators, max_size=annotators))
    return np.array(readings, np.int8), draw(st.lists(st.sampled_from("fgh"), min_size=sentences, max_size=sentences))


def _near(one: float, other: float) -> bool:
    return (math.isnan(one) and math.isnan(other)) or math.isclose(one, other, abs_tol=1e-9)


@settings(max_examples=300)
@given(_samples())
def test_figures_of_resamples_are_those_of_the_libraries(sample: tuple[np.ndarray, list[str]]) -> None:
    """A resample is a sum of tables of groups; the libraries are given its sentences one by one."""
    readings, units = sample
    names = sorted(set(units))
    chosen = np.random.default_rng(1).multinomial(len(names), np.full(len(names), 1 / len(names)), size=3)
    rows = [
        [s for name, times in zip(names, counts, strict=True) for s in np.flatnonzero(np.array(units) == name)
         for _ in range(times)]
        for counts in chosen
    ]  # fmt: skip
    for level in ("nominal", "ordinal"):
        drawn = alpha_of(resampled(coincidences(readings, 4, units), resamples=3, seed=1), level)
        for given_alpha, sentences in zip(drawn, rows, strict=True):
            assert _near(given_alpha, krippendorffs_alpha(readings[:, sentences], 4, level))
    pairs = confusion(readings[0][:, None], readings[1][:, None], units, 4)
    for given_kappa, sentences in zip(kappa_of(resampled(pairs, resamples=3, seed=1))[:, 0], rows, strict=True):
        assert _near(given_kappa, cohens_kappa(*readings[:2, sentences]))


@settings(max_examples=200)
@given(_samples())
def test_alpha_is_given_to_the_library_as_it_wants_it(sample: tuple[np.ndarray, list[str]]) -> None:
    readings = sample[0]
    values = np.unique(readings[readings >= 0])
    pairable = ((readings >= 0).sum(axis=0) > 1).any()
    found = krippendorffs_alpha(readings, 4)
    if len(values) < 2 or not pairable:
        assert math.isnan(found)
        return
    as_floats = np.where(readings < 0, np.nan, readings)
    with np.errstate(invalid="ignore"):
        assert _near(found, krippendorff.alpha(as_floats, level_of_measurement="nominal"))


def test_the_same_sentence_is_found_by_text_by_ref_and_by_what_a_ref_points_at(tmp_path: Path) -> None:
    pointed = "The cook refused."
    ref = {"doc": "d", "start": 0, "end": 17, "sha256": hashlib.sha256(pointed.encode()).hexdigest()}
    other = {**ref, "start": 20, "end": 37}
    left = [
        {"id": "1", "text": "Lunch is free.", "labels": {"lunch": "yes"}, "group": "council"},
        {"id": "2", "ref": ref, "labels": {"lunch": "no"}},
        {"id": "3", "ref": other, "labels": {"lunch": None}},
        {"id": "4", "text": "Lunch is free.", "labels": {"lunch": "unsure"}},
        {"id": "5", "text": "Only left read this.", "labels": {"lunch": "yes"}},
    ]
    right = [
        {"id": "9", "ref": other, "labels": {"lunch": "yes"}},
        {"id": "2", "text": pointed, "labels": {"lunch": "yes"}},
        {"id": "8", "text": "Lunch is free.", "labels": {"lunch": "no"}},
        {"id": "4", "text": "Lunch is free.", "labels": {"lunch": None}},
    ]
    files = [write_lines(tmp_path / f"{name}.jsonl", rows) for name, rows in (("left", left), ("right", right))]
    annotated = read_annotated(files, YES_NO)
    said = {r.id: [(a.annotator, a.labels["lunch"]) for a in r.annotations] for r in annotated.records}
    assert said == {
        "1": [("left", "yes"), ("right", "no")],
        "2": [("left", "no"), ("right", "yes")],
        "3": [("left", None), ("right", "yes")],
        "4": [("left", "unsure"), ("right", None)],
        "5": [("left", "yes")],
    }
    assert annotated.records[0].unit == "council"


def test_a_file_with_annotations_speaks_for_those_it_names(tmp_path: Path) -> None:
    both = [{"annotator": name, "labels": {"lunch": "yes"}} for name in ("left", "right")]
    rows = [
        {"id": "1", "text": "Lunch is free.", "labels": {"lunch": "yes"}, "annotations": both},
        {"id": "2", "text": "Lunch was late.", "labels": {"lunch": None}},
    ]
    decided = write_lines(tmp_path / "decided.jsonl", rows)
    third = write_lines(tmp_path / "third.jsonl", [{"id": "x", "text": "Lunch is free.", "labels": {"lunch": "no"}}])
    annotated = read_annotated([decided, third], YES_NO)
    assert annotated.annotators == ("left", "right", "third")
    assert annotated.passed_over == 1
    assert len(annotated.records) == 1
    assert read_annotated([decided, third], YES_NO, name_by_file=False).annotators == ("left", "right")


@pytest.mark.parametrize(
    ("second", "name", "says"),
    [
        ({"id": "1", "text": "Another one.", "labels": {}}, "right", r"right\.jsonl:1, field 'id': .*left\.jsonl:1"),
        ({"id": "1", "text": "Lunch is free.", "labels": {}}, "other/left", r"'left', as for .*left\.jsonl"),
        (
            {"id": "1", "text": "Lunch is free.", "labels": {}, "annotations": [{"annotator": "left", "labels": {}}]},
            "right",
            r"right\.jsonl:1.*'left' has already labelled this sentence at .*left\.jsonl:1",
        ),
        (
            {"id": "1", "text": "Lunch.", "labels": {}, "annotations": [{"annotator": "right", "labels": {}}] * 2},
            "right",
            r"right\.jsonl:1, field 'annotations\.1\.annotator'",
        ),
        (
            {"id": "1", "text": "Lunch is free.", "labels": {}, "split": "test"},
            "right",
            r"right\.jsonl:1, field 'split'.*'train'",
        ),
    ],
)
def test_files_that_cannot_be_brought_together(second: dict[str, Any], name: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    first = {"id": "1", "text": "Lunch is free.", "labels": {"lunch": "yes"}, "split": "train"}
    files = [write_lines(tmp_path / "left.jsonl", [first]), write_lines(tmp_path / f"{name}.jsonl", [second])]
    with pytest.raises(StanceError) as caught:
        read_annotated(files, YES_NO)
    assert re.search(says, str(caught.value))


def test_too_little_to_compare_is_said(tmp_path: Path) -> None:
    targets = tmp_path / "targets.yaml"
    targets.write_text(json.dumps(_taxonomy(["yes", "no"])))
    left, right = _annotators(tmp_path, {"left": ["yes", UNREAD], "right": [UNREAD, "no"]})
    done = run_stance("labels", "agreement", left, right, "--targets", targets, "--html", tmp_path / "page.html")
    assert done.returncode == 1
    assert "no two of the annotators" in done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "page.html").exists()
    with pytest.raises(StanceError, match="two annotators, and here is 'left'"):
        agreement(read_annotated([left], YES_NO), YES_NO)


def test_the_page_stands_by_itself(tmp_path: Path) -> None:
    minutes = "Minutes. The cook & the board agree."
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "minutes.txt").write_text(minutes)
    ref = {"doc": "minutes", "start": 9, "end": 36, "sha256": hashlib.sha256(minutes[9:].encode()).hexdigest()}
    own = {"text": "<script>alert(1)</script> & [red]lunch[/red]\x1b[31m"}
    rows = [
        {**content, "id": content_id, "labels": {}, "group": content_id, "annotations": [
            {"annotator": "[b]left", "labels": {"lunch": label}}, {"annotator": "<right>", "labels": {"lunch": "no"}}]}
        for content_id, content, label in (("s1", own, "yes"), ("s2", own, "no"), ("s3", {"ref": ref}, "yes"))
    ]  # fmt: skip
    (tmp_path / "targets.yaml").write_text(json.dumps(_taxonomy(["yes", "no"])))
    page, labels = tmp_path / "page.html", write_lines(tmp_path / "both.jsonl", rows)
    where = ["--targets", tmp_path / "targets.yaml", "--corpus", tmp_path / "corpus"]
    done = run_stance("labels", "agreement", labels, *where, "--html", page)
    assert done.returncode == 0, done.stderr
    assert "[b]left (3), <right> (3)" in done.stdout
    assert "[red]lunch[/red]" in done.stdout
    assert "The cook & the board agree." in done.stdout
    assert "\x1b" not in done.stdout
    html = page.read_text()
    assert "&lt;script&gt;alert(1)" in html
    assert "<script" not in html
    assert "The cook &amp; the board agree." in html
    assert not re.search(r"(?:src|href|url|@import|https?:)", html)
    assert "prefers-color-scheme: dark" in html
    assert html.count("<caption>") == 1
    assert not list(tmp_path.glob(".page*"))


def test_the_projects_own_labels_are_the_default() -> None:
    done = run_stance("labels", "agreement", "--json", STANCE_CORPUS="")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    taxonomy = load_taxonomy()
    rows = [
        json.loads(line)
        for name in ("authored", "news", "news-more", "seeds")
        for line in (PROJECT / "labels" / "data" / f"{name}.jsonl").open(encoding="utf8")
    ]
    twice = [row for row in rows if row.get("annotations")]
    assert figures["sentences"]["compared"] == len(twice)
    assert figures["sentences"]["without_annotations"] == len(rows) - len(twice)
    for target_id in taxonomy.ids:
        said = [[str(a["labels"][target_id]) for a in row["annotations"]] for row in twice]
        kappa = cohen_kappa_score(*zip(*said, strict=True))
        found = figures["by_target"][target_id]["kappa"]
        assert found["value"] == pytest.approx(kappa, abs=5e-5)
        assert found["low"] < found["value"] < found["high"]
    own_text = {row["id"] for row in twice if "text" in row}
    differences = figures["differences"]
    assert {d["id"] for d in differences if "text" in d} == own_text & {d["id"] for d in differences}

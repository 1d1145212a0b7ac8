"""Label files, taxonomies and the corpus, through the command line and their readers."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labels.corpus import Document, resolve
from labels.errors import StanceError
from labels.records import Record, Ref, read_records
from labels.taxonomy import load_taxonomy
from tests.conftest import MEALS_TARGETS, run_stance, write_lines

GOOD: dict[str, Any] = {"id": "r1", "text": "Lunch is free.", "labels": {"free_meals": "yes"}}


@pytest.fixture
def targets(tmp_path: Path) -> Path:
    path = tmp_path / "targets.yaml"
    path.write_text(MEALS_TARGETS)
    return path


def _ref(text: str, start: int, end: int, doc: str = "d1") -> dict[str, Any]:
    return {"doc": doc, "start": start, "end": end, "sha256": hashlib.sha256(text[start:end].encode()).hexdigest()}


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        ({"labels": {"free_meals": "maybe"}}, "labels.free_meals", "yes, unsure, no"),
        ({"labels": {"lunch": "yes"}}, "labels.lunch", "no such target"),
        ({"labels": None}, "labels", ""),
        ({"text": None}, "", "either 'text' or 'ref'"),
        ({"text": "  "}, "text", ""),
        ({"ref": _ref("abc", 0, 2)}, "", "not both"),
        ({"text": None, "ref": {**_ref("abc", 0, 2), "end": 0}}, "ref.end", ""),
        ({"text": None, "ref": {**_ref("abc", 0, 2), "sha256": "zz"}}, "ref.sha256", ""),
        ({"split": "training"}, "split", "train"),
        ({"labelz": {}}, "labelz", ""),
        ({"id": 7}, "id", "string"),
        ({"annotations": [{"annotator": "a", "labels": {"free_meals": "nay"}}]}, "annotations.0.labels.free_meals", ""),
    ],
)
def test_a_malformed_record_is_named_by_file_line_and_field(
    change: dict[str, Any], field: str, says: str, tmp_path: Path, targets: Path
) -> None:
    record = {key: value for key, value in {**GOOD, "id": "r2", **change}.items() if (key, value) != ("text", None)}
    path = write_lines(tmp_path / "labels.jsonl", [GOOD, record])
    done = run_stance("labels", "resolve", "--labels", path, "--targets", targets)
    assert done.returncode == 1
    assert f"{path}:2" in done.stderr
    assert f"'{field}'" in done.stderr or not field
    assert says in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("line", ["{", "nonsense", "[1]", '"text"', "\ud800"])
def test_a_line_that_is_no_record(line: str, tmp_path: Path, targets: Path) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_bytes(f"{json.dumps(GOOD)}\n\n{line}\n".encode(errors="surrogatepass"))
    done = run_stance("labels", "resolve", "--labels", path, "--targets", targets)
    assert done.returncode == 1
    assert str(path) in done.stderr
    assert "Traceback" not in done.stderr


def test_ids_are_unique_over_all_files(tmp_path: Path, targets: Path) -> None:
    first, second = (write_lines(tmp_path / name, [GOOD]) for name in ("a.jsonl", "b.jsonl"))
    done = run_stance("labels", "resolve", "--labels", first, second, "--targets", targets)
    assert done.returncode == 1
    assert f"{second}:1" in done.stderr
    assert f"{first}:1" in done.stderr


def test_several_label_files_follow_one_option_or_several(tmp_path: Path, targets: Path) -> None:
    files = [write_lines(tmp_path / f"{n}.jsonl", [{**GOOD, "id": f"r{n}"}]) for n in range(3)]
    together = run_stance("labels", "resolve", "--labels", *files, "--targets", targets)
    apart = run_stance("labels", "resolve", *(a for f in files for a in ("--labels", f)), "--targets", targets)
    assert together.stdout == apart.stdout
    assert together.stdout.startswith("3 records")


def test_a_group_lies_in_one_part(tmp_path: Path, targets: Path) -> None:
    rows = [{**GOOD, "group": "g", "split": "train"}, {**GOOD, "id": "r2", "group": "g", "split": "test"}]
    path = write_lines(tmp_path / "labels.jsonl", rows)
    done = run_stance("labels", "resolve", "--labels", path, "--targets", targets)
    assert done.returncode == 1
    assert "group 'g' is in 'train'" in done.stderr


def test_labels_of_unknown_targets_can_be_left_out(tmp_path: Path, targets: Path) -> None:
    path = write_lines(tmp_path / "labels.jsonl", [{**GOOD, "labels": {"free_meals": "yes", "lunch": "good"}}])
    (record,) = read_records([path], load_taxonomy(targets), skip_unknown_targets=True)
    assert record.labels == {"free_meals": "yes"}


def _write_corpus(folder: Path) -> dict[str, str]:
    texts = {
        "seed-007": "Seven.\r\nThe cook spoke.",
        "notes": "Zoë’s soup 🍲 is free.",
        "article-1": "Lunch costs\nnothing.",
    }
    (folder / "deep" / "deeper").mkdir(parents=True)
    (folder / "deep" / "7_0a1b.txt").write_bytes(texts["seed-007"].encode())
    (folder / "notes.txt").write_bytes(texts["notes"].encode())
    articles = [{"doc_id": "article-1", "text": texts["article-1"], "title": "T"}]
    write_lines(folder / "deep" / "deeper" / "articles.jsonl", articles)
    write_lines(folder / "not-articles.jsonl", [{"id": "x"}])
    return texts


def test_refs_resolve_and_missing_documents_are_counted(tmp_path: Path, targets: Path) -> None:
    corpus = tmp_path / "corpus"
    texts = _write_corpus(corpus)
    rows = [
        {"id": f"s{n}", "labels": {"free_meals": None}, "ref": _ref(text, 2, len(text), doc)}
        for n, (doc, text) in enumerate(texts.items())
    ]
    rows += [{"id": f"g{n}", "labels": {}, "ref": _ref("gone", 0, n + 1, "gone")} for n in range(2)]
    path = write_lines(tmp_path / "labels.jsonl", [*rows, GOOD])
    arguments = ["labels", "resolve", "--labels", path, "--targets", targets]
    done = run_stance(*arguments, "--corpus", corpus, "--json")
    assert json.loads(done.stdout) == {
        "records": 6,
        "own_text": 1,
        "resolved": 3,
        "unresolved": 2,
        "missing": {"gone": 2},
    }
    assert run_stance(*arguments, STANCE_CORPUS=str(corpus), stdin="").stdout.startswith(
        "6 records: 1 hold their text, 3 resolve, 2 do not."
    )


def test_another_text_under_the_same_offsets_is_an_error(tmp_path: Path, targets: Path) -> None:
    corpus = tmp_path / "corpus"
    texts = _write_corpus(corpus)
    ref = _ref(texts["notes"], 0, 5, "notes")
    path = write_lines(tmp_path / "labels.jsonl", [{"id": "r9", "labels": {}, "ref": ref}])
    (corpus / "notes.txt").write_text("Ah, another text.")
    done = run_stance("labels", "resolve", "--labels", path, "--targets", targets, "--corpus", corpus)
    assert done.returncode == 1
    found = hashlib.sha256(b"Ah, a").hexdigest()
    for part in ("'r9'", "'notes'", ref["sha256"], found):
        assert part in done.stderr


def test_one_document_id_has_one_text(tmp_path: Path, targets: Path) -> None:
    corpus = tmp_path / "corpus"
    _write_corpus(corpus)
    write_lines(corpus / "more.jsonl", [{"doc_id": "notes", "text": "Something else."}])
    labels = write_lines(tmp_path / "labels.jsonl", [GOOD])
    done = run_stance("labels", "resolve", "--labels", labels, "--targets", targets, "--corpus", corpus)
    assert done.returncode == 1
    assert "document 'notes' is also in" in done.stderr


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60),
    st.integers(0, 59),
    st.integers(1, 60),
)
def test_offsets_count_characters_of_any_text(text: str, start: int, length: int) -> None:
    start = min(start, len(text) - 1)
    end = min(start + length, len(text))
    record = Record(id="r", labels={}, ref=Ref(**_ref(text, start, end)))
    resolution = resolve([record], {"d1": Document("d1", text, Path("d1.txt"))})
    assert [sentence.text for sentence in resolution.sentences] == [text[start:end]]
    with pytest.raises(StanceError, match="another text"):
        resolve([record], {"d1": Document("d1", text[:start] + "\N{SNOWMAN}\N{COMET}" + text[end:], Path("d1.txt"))})


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("classes: [pro, contra]", "classes: [pro]", "targets.later_start.classes"),
        ("classes: [pro, contra]", "classes: [pro, contra, pro]", "twice"),
        ("classes: [pro, contra]", "classes: [pro, contra, unrelated]", "implied"),
        ("classes: [pro, contra]", "classes: [yes, no]", "quote"),
        ("other: contra", "other: against", "targets.later_start.poles.other"),
        ("other: contra", "other: pro", "same class"),
        ("title: Later start", "titel: Later start", "targets.later_start.titel"),
        ("title: Later start", "title: 3", "targets.later_start.title"),
        ("later_start:", "later start:", "letters"),
        ("poles: {conciliatory: pro, other: contra}", "scope: all", "targets.later_start.poles"),
        ("targets:", "target:", "targets"),
        ("targets:", "targets: {", "YAML"),
    ],
)
def test_a_malformed_taxonomy_is_named_by_file_and_field(old: str, new: str, says: str, targets: Path) -> None:
    targets.write_text(MEALS_TARGETS.replace(old, new))
    done = run_stance("train", "--targets", targets, "--out", targets.parent / "model")
    assert done.returncode == 1
    assert str(targets) in done.stderr
    assert says in done.stderr


def test_the_project_has_eight_targets_with_poles() -> None:
    taxonomy = load_taxonomy()
    assert len(taxonomy) == 8
    assert [target.scope for target in taxonomy].count("overall") == 1
    assert {len(target.classes) for target in taxonomy} == {3}


def test_the_manifest_holds_no_text(tmp_path: Path, targets: Path) -> None:
    corpus = tmp_path / "corpus"
    texts = _write_corpus(corpus)
    rows = [{"id": doc, "labels": {}, "ref": _ref(text, 0, 3, doc)} for doc, text in texts.items()]
    labels = write_lines(tmp_path / "labels.jsonl", rows)
    out = tmp_path / "manifest.jsonl"
    done = run_stance("labels", "manifest", "--labels", labels, "--targets", targets, "--corpus", corpus, "--out", out)
    assert done.returncode == 0, done.stderr
    entries = [json.loads(line) for line in out.read_text().splitlines()]
    assert {entry["doc"] for entry in entries} == set(texts)
    assert not any(key in entry for entry in entries for key in ("text", "title"))
    assert not any(text in out.read_text() for text in texts.values())

"""What goes out to an annotation tool's format and comes back is the same, or standard error says what is not."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labels.exchange.convert import RECORDS, TOOLS, convert
from labels.records import Annotation, Record, read_records
from labels.taxonomy import load_taxonomy
from tests.conftest import run_stance, write_lines

TAXONOMY = load_taxonomy()

_ANY = st.characters(exclude_categories=["Cs"])
_NAMES = st.one_of(st.sampled_from(["ada", "=1+1", '"', "a,b\tc", "x\r\ny", "\ufeff"]), st.text(_ANY, min_size=1))
_TEXTS = st.text(_ANY, min_size=1).filter(lambda text: re.search(r"\S", text) and text.strip())
_OPTIONAL = st.none() | st.text(_ANY)
_LABELS = st.fixed_dictionaries(
    {}, optional={target.id: st.sampled_from([None, *target.classes]) for target in TAXONOMY}
)
_ANNOTATIONS = st.lists(
    st.builds(
        Annotation,
        annotator=_NAMES,
        labels=_LABELS,
        holder=_OPTIONAL,
        date=_OPTIONAL,
        codebook=_OPTIONAL,
        note=_OPTIONAL,
    ),
    max_size=3,
).map(tuple)


@st.composite
def _pointed(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """A document, and a reference into it."""
    text = draw(_TEXTS)
    start = draw(st.integers(0, len(text) - 1))
    end = draw(st.integers(start + 1, len(text)))
    doc = draw(st.sampled_from(["d", "a#char=1,2;sha256=x", "ü 1"]))
    digest = hashlib.sha256(text[start:end].encode()).hexdigest()
    return {"doc_id": doc, "text": text}, {"doc": doc, "start": start, "end": end, "sha256": digest}


@st.composite
def _records(draw: st.DrawFn) -> tuple[list[Record], list[dict[str, Any]]]:
    """Records, one of them pointing into a document, and the documents."""
    part = draw(st.sampled_from([None, "train", "dev", "test"]))
    document, ref = draw(_pointed())
    ids = draw(st.lists(_NAMES, min_size=1, max_size=4, unique=True))
    records = []
    for number, name in enumerate(ids):
        fields = {field: draw(_OPTIONAL) for field in ("holder", "source", "date", "note", "codebook", "decided")}
        fields |= {"ref": ref} if number == 0 else {"text": draw(_TEXTS)}
        group = draw(st.none() | _NAMES)
        labels, annotations = draw(_LABELS), draw(_ANNOTATIONS)
        raw = {"id": name, "labels": labels, "group": group, "split": part, **fields}
        record = Record.model_validate_json(json.dumps(raw)).model_copy(update={"annotations": annotations})
        records.append(record)
    return records, [document]


def _write(path: Path, records: Sequence[Record]) -> Path:
    return write_lines(path, [record.model_dump(mode="json") for record in records])


def _without_empty(record: Record) -> Record:
    """As a table gives it back, in which nothing and an empty text are the same."""
    fields = ("holder", "source", "date", "note", "codebook", "decided")
    annotations = tuple(
        a.model_copy(update={f: getattr(a, f) or None for f in ("holder", "date", "codebook", "note")})
        for a in record.annotations
    )
    return record.model_copy(update={**{f: getattr(record, f) or None for f in fields}, "annotations": annotations})


@pytest.mark.parametrize("tool", TOOLS)
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(given_records=_records())
def test_what_goes_out_comes_back(tool: str, given_records: tuple[list[Record], list[dict[str, Any]]]) -> None:
    records, documents = given_records
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "corpus").mkdir()
        write_lines(folder / "corpus" / "documents.jsonl", documents)
        source, out, back = _write(folder / "in.jsonl", records), folder / "out", folder / "back.jsonl"
        went = convert(source, out, TAXONOMY, read_as=RECORDS, write_as=tool, corpus=folder / "corpus")
        came = convert(out, back, TAXONOMY, read_as=tool, write_as=RECORDS)
        found = read_records([back], TAXONOMY)
    expected = [_without_empty(record) for record in records] if tool in ("csv", "tsv") else records
    assert found == expected
    assert bool(went.lost) == (expected != records)
    assert not came.left_out
    assert not came.undecided


def test_null_and_missing_are_told_apart_in_a_table(tmp_path: Path) -> None:
    table = "id,text,posture,engagement,sincerity\nr1,They met.,unrelated,,favor\nr2,They parted.,,neutral,\n"
    (tmp_path / "t.csv").write_text(table, encoding="utf8")
    done = run_stance("labels", "convert", tmp_path / "t.csv", tmp_path / "out.jsonl", "--from", "csv")
    assert done.returncode == 0, done.stderr
    first, second = read_records([tmp_path / "out.jsonl"], TAXONOMY)
    assert first.labels == {"posture": None, "sincerity": "favor"}
    assert second.labels == {"engagement": "neutral"}


@pytest.fixture
def standing_off(tmp_path: Path) -> Path:
    """`corpus/minutes.txt`, and `labels.jsonl` with one record that points into it and one that holds its text."""
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "minutes.txt").write_text("The council met. Lunch stays free, it said.", encoding="utf8")
    digest = hashlib.sha256(b"Lunch stays free, it said.").hexdigest()
    ref = {"doc": "minutes", "start": 17, "end": 43, "sha256": digest}
    rows = [
        {"id": "a", "ref": ref, "labels": {"posture": "neutral"}},
        {"id": "b", "text": "Nobody came.", "labels": {"posture": None}},
    ]
    write_lines(tmp_path / "labels.jsonl", rows)
    return tmp_path


@pytest.mark.parametrize("tool", TOOLS)
def test_the_text_of_a_stand_off_record_goes_out_and_is_dropped_again(tool: str, standing_off: Path) -> None:
    labels, out, back = (standing_off / name for name in ("labels.jsonl", "out", "back.jsonl"))
    convert(labels, out, TAXONOMY, read_as=RECORDS, write_as=tool, corpus=standing_off / "corpus")
    written = [out] if out.is_file() else list(out.iterdir())
    assert any("Lunch stays free" in path.read_text(encoding="utf8", errors="replace") for path in written)
    convert(out, back, TAXONOMY, read_as=tool, write_as=RECORDS)
    assert "Lunch stays free" not in back.read_text(encoding="utf8")
    assert read_records([back], TAXONOMY) == read_records([labels], TAXONOMY)


def test_without_the_corpus_nothing_goes_out(standing_off: Path) -> None:
    out = standing_off / "tasks.json"
    arguments = ("labels", "convert", standing_off / "labels.jsonl", out, "--to", "label-studio")
    done = run_stance(*arguments, STANCE_CORPUS="")
    assert done.returncode == 1
    assert "1 of 2 records cannot go out" in done.stderr
    assert "minutes" in done.stderr
    assert "--corpus" in done.stderr
    assert not out.exists()


def test_a_text_that_was_changed_in_the_tool_is_not_the_one_pointed_at(standing_off: Path) -> None:
    labels, out = standing_off / "labels.jsonl", standing_off / "tasks.json"
    convert(labels, out, TAXONOMY, read_as=RECORDS, write_as="label-studio", corpus=standing_off / "corpus")
    out.write_text(out.read_text(encoding="utf8").replace("Lunch stays", "Lunch is"), encoding="utf8")
    done = run_stance("labels", "convert", out, standing_off / "back.jsonl", "--from", "label-studio")
    assert done.returncode == 1
    assert f"{out}, record 1, field 'data.text'" in done.stderr
    assert not (standing_off / "back.jsonl").exists()


def test_what_a_table_cannot_hold_is_said(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "text": "Nobody came.", "labels": {}, "holder": "", "note": ""},
        {"id": "b", "text": "All came.", "labels": {}, "holder": ""},
    ]
    done = run_stance("labels", "convert", write_lines(tmp_path / "in.jsonl", rows), tmp_path / "o.csv", "--to", "csv")
    assert done.returncode == 0
    assert "csv cannot hold an empty 'holder' (2 records)" in done.stderr
    assert "csv cannot hold an empty 'note' (1 records)" in done.stderr


def test_a_spreadsheet_finds_a_row_for_each_annotator(tmp_path: Path) -> None:
    said = [{"annotator": who, "labels": {"posture": label}} for who, label in (("p", "dovish"), ("q", None))]
    row = {"id": "a", "text": 'He said: "no,\nnever".', "labels": {}, "annotations": said}
    source = write_lines(tmp_path / "in.jsonl", [row])
    convert(source, tmp_path / "o.csv", TAXONOMY, read_as=RECORDS, write_as="csv")
    with (tmp_path / "o.csv").open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(r["id"], r["annotator"], r["posture"], r["engagement"]) for r in rows] == [
        ("a", "", "", ""),
        ("a", "p", "dovish", ""),
        ("a", "q", "unrelated", ""),
    ]


def test_argilla_reads_it_and_writes_what_is_read_here(tmp_path: Path) -> None:
    argilla = pytest.importorskip("argilla")
    from argilla.records._io import GenericIO, JsonIO

    said = [
        {"annotator": who, "labels": {"posture": label}, "note": "hm"} for who, label in (("p", "dovish"), ("q", None))
    ]
    rows = [
        {"id": "a", "text": "Nobody came.", "labels": {"posture": None, "engagement": "favor"}, "annotations": said},
        {"id": "b", "text": "Ça va “bien”.", "labels": {}, "group": "g", "split": "dev", "holder": "she"},
    ]
    source = write_lines(tmp_path / "in.jsonl", rows)
    convert(source, tmp_path / "out.json", TAXONOMY, read_as=RECORDS, write_as="argilla")
    records = JsonIO._records_from_json(tmp_path / "out.json")
    assert all(isinstance(record, argilla.Record) for record in records)
    assert records[0].fields["text"] == "Nobody came."
    assert records[0].suggestions["engagement"].value == "favor"
    assert [response.value for response in records[0].responses["posture"]] == ["dovish", "unrelated"]
    JsonIO.to_json(records, tmp_path / "to_json")
    for orient in ("names", "index"):
        (tmp_path / orient).write_text(json.dumps(GenericIO.to_dict(records, orient=orient)), encoding="utf8")
    for written in ("to_json", "names", "index"):
        convert(tmp_path / written, tmp_path / "back.jsonl", TAXONOMY, read_as="argilla", write_as=RECORDS)
        assert read_records([tmp_path / "back.jsonl"], TAXONOMY) == read_records([source], TAXONOMY)


def test_a_dataset_folder_is_one_for_the_library_and_is_replaced_by_the_next(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    out = tmp_path / "dataset"
    for text in ("Nobody came.", "All came."):
        row = {"id": "a", "text": text, "labels": {"posture": None, "engagement": "favor"}}
        source = write_lines(tmp_path / "in.jsonl", [row])
        convert(source, out, TAXONOMY, read_as=RECORDS, write_as="datasets")
        dataset = datasets.load_from_disk(str(out))
        assert dataset[0]["text"] == text
    assert dataset.features["posture"].int2str(dataset[0]["posture"]) == "unrelated"
    assert dataset.features["engagement"].int2str(dataset[0]["engagement"]) == "favor"
    assert dataset[0]["sincerity"] is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dataset", "in.jsonl"]


def test_a_folder_of_something_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    source = write_lines(tmp_path / "in.jsonl", [{"id": "a", "text": "Nobody came.", "labels": {}}])
    done = run_stance("labels", "convert", source, tmp_path / "thesis", "--to", "datasets")
    assert done.returncode == 1
    assert f"{tmp_path / 'thesis'}: exists" in done.stderr
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["chapter.txt"]


@pytest.mark.corpus
@pytest.mark.parametrize("tool", TOOLS)
def test_the_labels_of_the_seeds_come_back(tool: str, shared_corpus: Path, tmp_path: Path) -> None:
    source = Path(__file__).parents[1] / "labels" / "data" / "seeds.jsonl"
    convert(source, tmp_path / "out", TAXONOMY, read_as=RECORDS, write_as=tool, corpus=shared_corpus)
    convert(tmp_path / "out", tmp_path / "back.jsonl", TAXONOMY, read_as=tool, write_as=RECORDS)
    assert read_records([tmp_path / "back.jsonl"], TAXONOMY) == read_records([source], TAXONOMY)

"""Files as annotation tools write them, good and bad."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labels.errors import StanceError
from labels.exchange.convert import RECORDS, Conversion, convert
from labels.records import Record, read_records
from labels.taxonomy import Taxonomy, load_taxonomy
from tests.conftest import run_stance, write_lines


@pytest.fixture(scope="session")
def taxonomy(meals: Path) -> Taxonomy:
    return load_taxonomy(meals / "targets.yaml")


def _import(path: Path, tool: str, taxonomy: Taxonomy) -> tuple[list[Record], Conversion]:
    out = path.with_name("imported.jsonl")
    done = convert(path, out, taxonomy, read_as=tool, write_as=RECORDS)
    return read_records([out], taxonomy), done


def _json(path: Path, value: object) -> Path:
    path.write_text(json.dumps(value), encoding="utf8")
    return path


def _result(name: str, choice: str) -> dict[str, Any]:
    value = {"choices": [choice]}
    return {"id": "x1", "from_name": name, "to_name": "_text", "type": "choices", "value": value, "origin": "manual"}


def _studio_task(**more: Any) -> dict[str, Any]:
    """A task as Label Studio 1.23 exports it, with two people's annotations and one that was skipped."""
    holder = {"from_name": "_holder", "to_name": "_text", "type": "textarea", "value": {"text": ["the cook"]}}
    both = [_result("free_meals", "yes"), holder]
    annotation = {"was_cancelled": False, "ground_truth": False, "created_at": "2026-03-01T10:00:00.5Z", "task": 7}
    return {
        "id": 7,
        "data": {"text": "Lunch is free.", "source": "minutes", "url": "https://example.org/7"},
        "annotations": [
            {"id": 1, "completed_by": 3, "result": [*both, _result("later_start", "unrelated")], **annotation},
            {"id": 2, "completed_by": {"id": 4, "email": "b@example.org"}, "result": both, **annotation},
            {"id": 3, "completed_by": 3, "result": [], **annotation, "was_cancelled": True},
        ],
        "predictions": [{"result": []}],
        "drafts": [],
        "meta": {},
        **more,
    }


def test_label_studio(taxonomy: Taxonomy, tmp_path: Path) -> None:
    [record], done = _import(_json(tmp_path / "tasks.json", [_studio_task()]), "label-studio", taxonomy)
    assert record.id == "label-studio-7"
    assert record.labels == {"free_meals": "yes", "later_start": None}
    assert (record.source, record.holder, record.decided) == ("minutes", "the cook", "agreed")
    assert [a.annotator for a in record.annotations] == ["label-studio-user-3", "b@example.org"]
    assert [a.date for a in record.annotations] == ["2026-03-01", "2026-03-01"]
    assert record.annotations[1].labels == {"free_meals": "yes"}
    assert done.left_out == {"data.url": 1, "predictions": 1, "annotations that were skipped": 1}


def test_annotators_who_differ_leave_it_open_and_a_ground_truth_decides(taxonomy: Taxonomy, tmp_path: Path) -> None:
    task = _studio_task()
    task["annotations"][1]["result"][0] = _result("free_meals", "no")
    [record], done = _import(_json(tmp_path / "tasks.json", [task]), "label-studio", taxonomy)
    assert record.labels == {"later_start": None}
    assert record.decided == "differing"
    assert done.undecided == {"free_meals": 1}
    task["annotations"][1]["ground_truth"] = True
    [record], done = _import(_json(tmp_path / "tasks.json", [task]), "label-studio", taxonomy)
    assert record.labels == {"free_meals": "no"}
    assert record.decided == "adjudicated"
    assert len(record.annotations) == 2
    assert not done.undecided


def test_doccano_with_everybody_in_one_file(taxonomy: Taxonomy, tmp_path: Path) -> None:
    rows = [
        {"id": 12, "text": "Lunch is free.", "label": ["free_meals:yes", "later_start:unrelated"], "Comments": ["hm"]},
        {"id": 13, "text": "The fence is new.", "label": [], "source": None, "Comments": []},
    ]
    [first, second], done = _import(write_lines(tmp_path / "all.jsonl", rows), "doccano", taxonomy)
    assert (first.id, first.labels) == ("doccano-12", {"free_meals": "yes", "later_start": None})
    assert (second.id, second.labels) == ("doccano-13", {})
    assert done.left_out == {"Comments": 1}


def test_doccano_with_a_file_for_each_annotator(taxonomy: Taxonomy, tmp_path: Path) -> None:
    folder = tmp_path / "export"
    folder.mkdir()
    for name, label in (("ada", ["free_meals:yes"]), ("bob", ["free_meals:no"]), ("cy", [])):
        write_lines(folder / f"{name}.jsonl", [{"id": 1, "text": "Lunch is free.", "label": label}])
    [record], done = _import(folder, "doccano", taxonomy)
    assert [(a.annotator, a.labels) for a in record.annotations] == [
        ("ada", {"free_meals": "yes"}),
        ("bob", {"free_meals": "no"}),
    ]
    assert done.undecided == {"free_meals": 1}


def test_labelled_spans_of_doccano_become_sentences_of_one_group(taxonomy: Taxonomy, tmp_path: Path) -> None:
    text = "Lunch is free. School starts at nine."
    label = [[15, 37, "later_start:pro"], [0, 14, "free_meals:yes"], [0, 14, "later_start:unrelated"]]
    records, _ = _import(
        write_lines(tmp_path / "all.jsonl", [{"id": 1, "text": text, "label": label}]), "doccano", taxonomy
    )
    assert [(r.text, r.labels, r.group) for r in records] == [
        ("Lunch is free.", {"free_meals": "yes", "later_start": None}, "doccano-1"),
        ("School starts at nine.", {"later_start": "pro"}, "doccano-1"),
    ]


def test_argilla(taxonomy: Taxonomy, tmp_path: Path) -> None:
    user, other = "3fa85f64-5717-4562-b3fc-2c963f66afa6", "3fa85f64-5717-4562-b3fc-2c963f66afa7"
    record = {
        "id": "r1",
        "fields": {"text": "Lunch is free."},
        "metadata": {"source": "minutes", "length": 14},
        "suggestions": {"free_meals": {"value": "no", "score": 0.4, "agent": "a model"}},
        "responses": {
            "free_meals": [{"value": "yes", "user_id": user}, {"value": None, "user_id": other}],
            "later_start": [{"value": "unrelated", "user_id": user}],
        },
        "vectors": {},
        "status": "completed",
        "_server_id": other,
    }
    [found], done = _import(_json(tmp_path / "records.json", [record]), "argilla", taxonomy)
    assert (found.id, found.source, found.decided) == ("r1", "minutes", "single")
    assert found.labels == {"free_meals": "yes", "later_start": None}
    assert [a.annotator for a in found.annotations] == [user]
    assert done.left_out == {"metadata.length": 1, "suggestions of other agents": 1}


def test_prodigy(taxonomy: Taxonomy, tmp_path: Path) -> None:
    task = {
        "text": "Lunch is free.",
        "_input_hash": -51,
        "_task_hash": 9,
        "options": [{"id": "free_meals:yes", "text": "yes"}],
        "meta": {"source": "minutes", "page": 3},
        "_timestamp": 1700000000,
        "_view_id": "choice",
    }
    rows = [
        {**task, "accept": ["free_meals:yes"], "answer": "accept", "_annotator_id": "db-ada"},
        {**task, "accept": ["later_start:unrelated"], "answer": "accept", "_session_id": "db-bob"},
        {**task, "accept": [], "answer": "reject", "_annotator_id": "db-cy"},
    ]
    [record], done = _import(write_lines(tmp_path / "out.jsonl", rows), "prodigy", taxonomy)
    assert (record.id, record.source) == ("prodigy--51", "minutes")
    assert record.labels == {"free_meals": "yes", "later_start": None}
    assert [a.annotator for a in record.annotations] == ["db-ada", "db-bob"]
    assert done.left_out == {"lines answered 'reject'": 1, "meta.page": 2}


def test_datasets_with_texts_for_classes_and_named_parts(taxonomy: Taxonomy, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    parts = {
        name: datasets.Dataset.from_dict({"id": [name], "text": [f"Lunch, {name}."], "free_meals": [choice]})
        for name, choice in (("train", "yes"), ("validation", "unrelated"), ("test", None))
    }
    datasets.DatasetDict(parts).save_to_disk(str(tmp_path / "parts"))
    records, _ = _import(tmp_path / "parts", "datasets", taxonomy)
    assert [(r.id, r.split, r.labels) for r in records] == [
        ("train", "train", {"free_meals": "yes"}),
        ("validation", "dev", {"free_meals": None}),
        ("test", "test", {}),
    ]


_GOOD = _studio_task()
_RESPONSE = {"value": "maybe", "user_id": "u"}


@pytest.mark.parametrize(
    ("tool", "content", "says"),
    [
        ("label-studio", "[{]", ":1: is not JSON"),
        ("label-studio", "[" + "9" * 5000 + "]", "is not JSON that can be read"),
        ("label-studio", {"tasks": []}, "must be a list of tasks"),
        ("label-studio", [_GOOD, {"text": "x"}], ", record 2, field 'data': must be an object"),
        ("label-studio", [_GOOD, {"data": {"text": " "}}], ", record 2, field 'data.text'"),
        ("label-studio", [_GOOD, {"data": {"text": "x", "split": "validation"}}], ", record 2, field 'data.split'"),
        ("label-studio", [_GOOD, _GOOD], ", record 2, field 'id': 'label-studio-7' is also the id at"),
        (
            "label-studio",
            [{"data": {"text": "x"}, "annotations": [{"result": [_result("weather", "yes")]}]}],
            ", record 1, field 'annotations.0.result.0.from_name': no target 'weather'",
        ),
        (
            "label-studio",
            [{"data": {"text": "x"}, "annotations": [{"result": [_result("free_meals", "maybe")]}]}],
            ", record 1, field 'annotations.0.result.0.value.choices': 'maybe' is not a class of 'free_meals'",
        ),
        (
            "label-studio",
            [{"data": {"text": "x"}, "annotations": [{"result": [_result("free_meals", "yes")] * 2}]}],
            "'free_meals' has a second choice",
        ),
        ("doccano", '{"text": "x", "label": []}\n{"text": 3, "label": []}', ":2, field 'text'"),
        ("doccano", '{"text": "x", "label": []}\n{"text": "y"}', ":2, field 'label'"),
        ("doccano", '{"text": "x", "label": []}\n' + "9" * 5000, ":2: is not JSON"),
        ("doccano", '{"text": "x", "label": ["free_meals"]}', ":1, field 'label.0'"),
        ("doccano", '{"text": "x", "label": ["weather:yes"]}', ":1, field 'label.0': no target 'weather'"),
        ("doccano", '{"text": "x", "label": ["free_meals:yes", "free_meals:no"]}', ":1, field 'label.1'"),
        ("doccano", '{"text": "x", "label": [[0, 9, "free_meals:yes"]]}', ":1, field 'label.0'"),
        ("argilla", [{"fields": {"text": "x"}, "responses": {"free_meals": [_RESPONSE]}}], "responses.free_meals.0.v"),
        ("argilla", [{"fields": {"text": "x"}, "responses": {"weather": []}}], "record 1, field 'responses.weather'"),
        ("argilla", [{"fields": {}}], ", record 1, field 'fields.text'"),
        ("prodigy", '{"text": "x"}\n{"text": "y", "answer": "accept"}', ":2, field 'accept'"),
        ("prodigy", '{"text": "x", "answer": "accept", "accept": ["free_meals:maybe"]}', ":1, field 'accept.0'"),
        ("prodigy", '{"text": "x", "meta": {"id": "a"}}\n{"text": "y", "meta": {"id": "a"}}', ":2, field 'text'"),
        ("csv", "id,text,weather\na,x,yes\n", ":1, field 'weather': is neither a target"),
        ("csv", 'id,text,free_meals\na,"two\nlines",yes\nb,y,maybe\n', ":4, field 'free_meals': 'maybe'"),
        ("csv", "id,text,free_meals\na,x\n", ":2: has 2 cells, the header has 3"),
        ("csv", "id,free_meals\na,yes\n", ":1, field 'text': is missing in the header"),
        ("csv", "id,text\na,x\na,x\n", ":3, field 'id': 'a' has a second row without an annotator"),
        ("csv", 'id,text\na,"x\n', ":2: is not a row of a table"),
        ("csv", "id,text,split,group\na,x,train,g\nb,y,test,g\n", ":3, field 'split': 'test', but group 'g'"),
        ("csv", "id,text,ref\na,x,somewhere\n", ":2, field 'ref': must look like"),
        ("tsv", "id\ttext\tfree_meals\na\tx\tmaybe\n", ":2, field 'free_meals'"),
        ("datasets", "not a folder", "is not a folder that `save_to_disk`"),
    ],
)
def test_bad_input_is_named_and_nothing_is_imported(
    tool: str, content: object, says: str, taxonomy: Taxonomy, tmp_path: Path
) -> None:
    path, out = tmp_path / "in", tmp_path / "out.jsonl"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf8")
    out.write_text("what was there before")
    with pytest.raises(StanceError) as caught:
        convert(path, out, taxonomy, read_as=tool, write_as=RECORDS)
    assert str(caught.value).startswith(str(path))
    assert says in str(caught.value)
    assert out.read_text() == "what was there before"
    assert sorted(found.name for found in tmp_path.iterdir()) == ["in", "out.jsonl"]


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["yes", "r0", "{}"])
_JSON = _SCALARS | st.lists(_SCALARS, max_size=2) | st.dictionaries(st.sampled_from(["text", "id"]), _SCALARS)


@pytest.fixture(scope="session")
def written(meals: Path, taxonomy: Taxonomy, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The same two records in each format of JSON, parsed; the lines of a file are a list."""
    folder = tmp_path_factory.mktemp("written")
    said = [{"annotator": who, "labels": {"free_meals": "yes"}, "holder": "h", "note": "n"} for who in ("p", "q")]
    rows = [
        {"id": f"r{n}", "text": "Lunch is free.", "labels": {"free_meals": "yes"}, "group": "g", "annotations": said}
        for n in range(2)
    ]
    source = write_lines(folder / "in.jsonl", rows)
    found: dict[str, Any] = {}
    for tool in ("label-studio", "argilla", "doccano", "prodigy"):
        convert(source, folder / tool, taxonomy, read_as=RECORDS, write_as=tool)
        content = (folder / tool).read_text(encoding="utf8")
        whole = content.startswith("[")
        found[tool] = json.loads(content) if whole else [json.loads(line) for line in content.splitlines()]
    return found


def _places(value: object, place: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inside: list[tuple[str | int, Any]] = []
    if isinstance(value, dict | list):
        inside = list(value.items() if isinstance(value, dict) else enumerate(value))
    return [place] * bool(place) + [found for key, inner in inside for found in _places(inner, (*place, key))]


def _with(value: Any, place: tuple[str | int, ...], new: object) -> Any:
    if not place:
        return new
    copied = value.copy()
    copied[place[0]] = _with(value[place[0]], place[1:], new)
    return copied


def _read_or_named(path: Path, tool: str, taxonomy: Taxonomy, named: str) -> None:
    """A file is read to valid records, or what is wrong with it is said with its place."""
    said = named
    try:
        convert(path, path.with_name("out.jsonl"), taxonomy, read_as=tool, write_as=RECORDS)
        read_records([path.with_name("out.jsonl")], taxonomy)
    except StanceError as error:
        said = str(error)
    assert said.startswith(named)


@pytest.mark.parametrize("tool", ["label-studio", "argilla", "doccano", "prodigy"])
@settings(max_examples=200)
@given(data=st.data())
def test_one_spoilt_place_is_read_or_named(
    tool: str,
    data: st.DataObject,
    written: dict[str, Any],
    taxonomy: Taxonomy,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    place = data.draw(st.sampled_from(_places(written[tool])))
    spoilt = _with(written[tool], place, data.draw(_JSON))
    path = tmp_path_factory.getbasetemp() / f"spoilt-{tool}"
    if tool in ("label-studio", "argilla"):
        _read_or_named(_json(path, spoilt), tool, taxonomy, f"{path}, record ")
    else:
        path.write_text("\n".join(map(json.dumps, spoilt)), encoding="utf8")
        _read_or_named(path, tool, taxonomy, f"{path}:")


@pytest.mark.parametrize("tool", ["csv", "tsv"])
@settings(max_examples=100)
@given(content=st.lists(st.sampled_from([*("id", "text", "annotator", "free_meals", "yes"), *',\t\n\r"\0', "r"])))
def test_any_table_is_read_or_named(
    tool: str, content: list[str], taxonomy: Taxonomy, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / f"any.{tool}"
    path.write_bytes("".join(content).encode())
    _read_or_named(path, tool, taxonomy, f"{path}:")


def test_the_command_says_what_it_left_out(meals: Path, tmp_path: Path) -> None:
    task = _studio_task()
    task["annotations"][1]["result"][0] = _result("free_meals", "no")
    tasks, out = _json(tmp_path / "tasks.json", [task]), tmp_path / "labels.jsonl"
    arguments = ("labels", "convert", tasks, out, "--from", "label-studio", "--targets", meals / "targets.yaml")
    done = run_stance(*arguments, "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout) == {
        "out": str(out),
        "records": 1,
        "left_out": {"annotations that were skipped": 1, "data.url": 1, "predictions": 1},
        "undecided": {"free_meals": 1},
        "lost": {},
    }
    assert "data.url (1 times)" in done.stderr
    assert "free_meals: the annotators differ on 1 records" in done.stderr


def test_the_command_refuses_bad_input_and_unknown_formats(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("id,text,weather\na,x,yes\n")
    done = run_stance("labels", "convert", tmp_path / "in.csv", tmp_path / "out.jsonl", "--from", "csv")
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {tmp_path / 'in.csv'}:1, field 'weather'")
    assert not (tmp_path / "out.jsonl").exists()
    done = run_stance("labels", "convert", "a", "b", "--from", "excel")
    assert done.returncode == 2
    assert "label-studio" in done.stderr

"""`stance batch score`: files of any size in and out."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import serving.batch.survey
from labels.errors import StanceError
from serving.batch.layout import Layout
from serving.batch.run import Request, score_file
from serving.batch.sources import open_source
from serving.scoring import score_texts
from tests.conftest import PROJECT, run_stance, write_lines
from training.model_folder import load_model

SENTENCES = [
    "The cook wants the canteen to cost nothing.",
    "Parents ought to pay for lunch themselves, the mayor said.",
    "Let pupils sleep longer, the council urged.",
    "The choir sang on Monday.",
    'Whether lunch stays free is open, a parent said; "nobody" knows, 7 of 9 say.',
]


def _rows(number: int) -> list[dict[str, Any]]:
    return [{"id": f"r{n}", "text": f"{SENTENCES[n % 5]} {n}", "page": n} for n in range(number)]


def _score(source: Path, out: Path, model: Path, **more: Any) -> dict[str, Any]:
    return score_file(Request(source, out, model=model, **more), lambda what, done, total: None)


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf8").splitlines()]


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream, strict=True))


def _beside(out: Path) -> set[str]:
    """What lies in the folder of OUT, whose name begins so."""
    return {each.name for each in out.parent.iterdir() if out.name in each.name}


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving.batch.survey, "CHUNK_ROWS", 8)


def _as_jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    return write_lines(path.with_suffix(".jsonl"), rows)


def _as_csv(path: Path, rows: list[dict[str, Any]]) -> Path:
    return _written_csv(path.with_suffix(".csv"), rows, ";")


def _as_tsv(path: Path, rows: list[dict[str, Any]]) -> Path:
    return _written_csv(path.with_suffix(".tsv"), rows, "\t")


def _written_csv(path: Path, rows: list[dict[str, Any]], delimiter: str) -> Path:
    with path.open("w", encoding="utf-8-sig", newline="") as stream:
        table = csv.DictWriter(stream, list(rows[0]), delimiter=delimiter)
        table.writeheader()
        table.writerows(rows)
    return path


def _as_parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    file = path.with_suffix(".parquet")
    pq.write_table(pa.Table.from_pylist(rows), file, row_group_size=13)
    return file


def _as_dataset(path: Path, rows: list[dict[str, Any]]) -> Path:
    datasets.Dataset.from_list(rows).save_to_disk(str(path))
    return path


@pytest.mark.parametrize("written", [_as_jsonl, _as_csv, _as_tsv, _as_parquet, _as_dataset])
def test_every_kind_gives_what_stance_score_gives(
    written: Callable[[Path, list[dict[str, Any]]], Path], meals_model: Path, tmp_path: Path, small_chunks: None
) -> None:
    rows = _rows(30)
    source = written(tmp_path / "in", rows)
    model = load_model(meals_model)
    wanted = score_texts(model, [row["text"] for row in rows])

    done = _score(source, tmp_path / "out.jsonl", meals_model)
    assert (done["rows"], done["bad"], done["written"]) == (30, 0, 30)
    found = _lines(tmp_path / "out.jsonl")
    # A CSV file knows texts only.
    assert [(row["id"], row["text"], int(row["page"])) for row in found] == [
        (row["id"], row["text"], row["page"]) for row in rows
    ]
    for row, answer in zip(found, wanted, strict=True):
        assert row["targets"] == answer["targets"]
        assert row["truncated"] == answer["truncated"]
        assert row["model"] == model.version

    _score(source, tmp_path / "out.csv", meals_model)
    table = _table(tmp_path / "out.csv")
    for cells, row in zip(table, found, strict=True):
        assert (cells["id"], cells["text"], cells["page"]) == (row["id"], row["text"], str(row["page"]))
        assert cells["model"] == row["model"]
        for target, answer in row["targets"].items():
            assert cells[f"{target}.label"] == answer["label"]
            assert json.loads(cells[f"{target}.abstained"]) is answer["abstained"]
            assert float(cells[f"{target}.score"]) == answer["score"]
            for label, p in answer["probabilities"].items():
                assert float(cells[f"{target}.p.{label}"]) == p

    _score(source, tmp_path / "out.parquet", meals_model)
    assert pq.read_table(tmp_path / "out.parquet").to_pylist() == found
    _score(source, tmp_path / "out", meals_model, to="datasets")
    assert list(datasets.load_from_disk(str(tmp_path / "out"))) == found
    assert _beside(tmp_path / "out.csv") == {"out.csv", "out.csv.about.json"}


def test_types_of_columns_stay(meals_model: Path, tmp_path: Path) -> None:
    table = pa.table(
        {
            "text": pa.array(SENTENCES).dictionary_encode(),
            "seen": pa.array([1, 2, None, 4, 5], pa.timestamp("ns", "UTC")),
            "tags": [["a"], [], None, ["b", "c"], ["d"]],
            "raw": [b"\xff", b"", b"a", None, b"b"],
        }
    )
    pq.write_table(table, tmp_path / "in.parquet")
    _score(tmp_path / "in.parquet", tmp_path / "out.parquet", meals_model)
    found = pq.read_table(tmp_path / "out.parquet")
    assert found.select(table.column_names).equals(table)
    _score(tmp_path / "in.parquet", tmp_path / "out.jsonl", meals_model)
    assert _lines(tmp_path / "out.jsonl")[0]["raw"] == "/w=="


def test_names_of_classes_stay_in_a_dataset(meals_model: Path, tmp_path: Path) -> None:
    features = datasets.Features({"text": datasets.Value("string"), "kind": datasets.ClassLabel(names=["x", "y"])})
    given = datasets.Dataset.from_dict({"text": SENTENCES, "kind": [0, 1, 1, 0, 1]}, features=features)
    given.save_to_disk(str(tmp_path / "in"))
    _score(tmp_path / "in", tmp_path / "out", meals_model, to="datasets")
    found = datasets.load_from_disk(str(tmp_path / "out"))
    assert found.features["kind"].names == ["x", "y"]
    assert found["kind"] == given["kind"]


def test_fields_that_come_and_go_become_columns(meals_model: Path, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"text": "a b", "n": 1, "mixed": 1},
        {"text": "a c", "n": 2.5, "mixed": "x", "deep": {"k": [1]}},
        {"text": "a d", "flag": True, "deep": None, "long": 2**60},
    ]
    source = write_lines(tmp_path / "in.jsonl", rows)
    _score(source, tmp_path / "out.parquet", meals_model)
    found = pq.read_table(tmp_path / "out.parquet")
    assert [found.schema.field(name).type for name in ("n", "flag", "long")] == [pa.float64(), pa.bool_(), pa.int64()]
    assert found["mixed"].to_pylist() == ["1", '"x"', None]
    assert found["deep"].to_pylist() == [None, '{"k": [1]}', None]
    _score(source, tmp_path / "out.csv", meals_model)
    assert [row["deep"] for row in _table(tmp_path / "out.csv")] == ["", '{"k": [1]}', ""]


def test_a_folder_of_texts(meals_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    (folder / "deep").mkdir(parents=True)
    (folder / "b.txt").write_text(SENTENCES[0], encoding="utf8")
    (folder / "deep" / "a.txt").write_text("\ufeff" + SENTENCES[1], encoding="utf8")
    (folder / "c.txt").write_bytes(b"\xff\xfe")
    (folder / "d.txt").write_text(" \n")
    (folder / "notes.md").write_text("Not a text of these.")
    done = _score(folder, tmp_path / "out.jsonl", meals_model)
    assert [(row["id"], row["text"]) for row in _lines(tmp_path / "out.jsonl")] == [
        ("b.txt", SENTENCES[0]),
        ("deep/a.txt", SENTENCES[1]),
    ]
    assert done["bad"] == 2
    assert [row["file"] for row in _lines(tmp_path / "out.jsonl.bad.jsonl")] == ["c.txt", "d.txt"]


@pytest.mark.parametrize("out", ["out.jsonl", "out.parquet"])
def test_articles_are_split_into_sentences(out: str, meals_model: Path, tmp_path: Path) -> None:
    articles = [" ".join(SENTENCES[:3]), f"Lunch at last\n\n  {SENTENCES[3]}\n", SENTENCES[0]]
    source = _as_parquet(tmp_path / "in", [{"id": n, "text": text} for n, text in enumerate(articles)])
    done = _score(source, tmp_path / out, meals_model, layout=Layout(split=True))
    rows = pq.read_table(tmp_path / out).to_pylist() if out.endswith("t") else _lines(tmp_path / out)
    assert [(row["id"], row["sentence"], row["text"]) for row in rows] == [
        (0, 0, SENTENCES[0]),
        (0, 1, SENTENCES[1]),
        (0, 2, SENTENCES[2]),
        (1, 0, "Lunch at last"),
        (1, 1, SENTENCES[3]),
        (2, 0, SENTENCES[0]),
    ]
    for row in rows:
        assert articles[row["id"]][row["start"] : row["end"]] == row["text"]
    assert rows[0]["targets"] == rows[5]["targets"]
    assert (done["rows"], done["written"]) == (3, 6)


BAD_JSON = {
    b'{"text": "a"': "not JSON",
    b'["a"]': "object",
    b'{"txt": "a"}': "no 'text'",
    b'{"text": null}': "no 'text'",
    b'{"text": 7}': "not a text",
    b'{"text": " "}': "empty",
    b'{"text": "a", "n": NaN}': "NaN",
    b'{"text": "\\ud800"}': "surrogate",
    b'{"text": "\xff"}': "UTF-8",
    b'{"text": "a", "n": 1e999}': "JSON",
    b"[" * 100_000: "JSON",
    b'{"text": "%s"}' % (b"a" * 2_000_001): "2,000,001 characters",
    b'{"text": "a", "more": "%s"}' % (b"a" * 17_000_000): "longer than",
}


def test_bad_lines_are_put_aside_with_their_reasons(meals_model: Path, tmp_path: Path) -> None:
    lines = [b'{"text": "first"}', b"", *BAD_JSON, b'{"text": "last"}']
    (tmp_path / "in.jsonl").write_bytes(b"\n".join(lines))
    done = _score(tmp_path / "in.jsonl", tmp_path / "out.jsonl", meals_model)
    assert [row["text"] for row in _lines(tmp_path / "out.jsonl")] == ["first", "last"]
    bad = _lines(Path(done["bad_file"]))
    assert done["bad"] == len(BAD_JSON) == len(bad)
    assert [(row["row"], row["line"]) for row in bad] == [(n + 2, n + 3) for n in range(len(bad))]
    for row, says in zip(bad, BAD_JSON.values(), strict=True):
        assert says in row["reason"]


def test_bad_rows_of_a_table(meals_model: Path, tmp_path: Path) -> None:
    lines = [
        b"id,text",
        b'1,"two\nlines"',
        b"2,too,many",
        b"3",
        b"4,",
        b"",
        b"5,\xe9t\xe9",
        b'6,"never closed',
        b"7,swallowed by nobody",
        b'8,"a ""quote"""',
        b'9,"closed" too early',
        b"10,good",
    ]
    (tmp_path / "in.csv").write_bytes(b"\r\n".join(lines))
    done = _score(tmp_path / "in.csv", tmp_path / "out.csv", meals_model)
    assert [(row["id"], row["text"]) for row in _table(tmp_path / "out.csv")] == [
        ("1", "two\nlines"),
        ("7", "swallowed by nobody"),
        ("8", 'a "quote"'),
        ("10", "good"),
    ]
    bad = _lines(Path(done["bad_file"]))
    assert [row["line"] for row in bad] == [4, 5, 6, 8, 9, 12]
    assert "has 3 cells" in bad[0]["reason"]
    assert "UTF-8" in bad[3]["reason"]


def test_bad_rows_of_a_parquet_file(meals_model: Path, tmp_path: Path) -> None:
    raw = pa.array([b"good", b"\xff", None, b" ", b"good too"], pa.binary())
    texts = pa.StringArray.from_buffers(5, raw.buffers()[1], raw.buffers()[2], raw.buffers()[0])
    pq.write_table(pa.table({"n": range(5), "text": texts}), tmp_path / "in.parquet")
    done = _score(tmp_path / "in.parquet", tmp_path / "out.parquet", meals_model)
    assert pq.read_table(tmp_path / "out.parquet")["n"].to_pylist() == [0, 4]
    assert [row["row"] for row in _lines(Path(done["bad_file"]))] == [2, 3, 4]


def test_exit_codes(meals_model: Path, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "in.jsonl", [{"text": "a"}, {"text": ""}, {"text": 3}])
    out = tmp_path / "out.csv"
    stopped = run_stance("batch", "score", source, out, "--model", meals_model, "--max-bad", "1")
    assert stopped.returncode == 1
    assert "nothing was scored" in stopped.stderr
    assert _beside(out) == {"out.csv.bad.jsonl"}
    done = run_stance("batch", "score", source, out, "--model", meals_model, "--max-bad", "2", "--json")
    assert done.returncode == 3
    summary = json.loads(done.stdout)
    assert (summary["rows"], summary["bad"], summary["written"]) == (3, 2, 1)
    assert len(_lines(Path(summary["bad_file"]))) == 2


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("in.csv", "id,body\n1,a\n", "--text-column"),
        ("in.csv", "text,text\na,b\n", "twice"),
        ("in.csv", "\ufefftext".encode("utf-16"), "UTF-16"),
        ("in.parquet", "no such file", "cannot be read"),
        ("in.doc", "a", "ending"),
        ("in.jsonl", '{"text": "a", "targets": 1}\n', "'targets'"),
    ],
)
def test_what_cannot_be_read_leaves_nothing(
    name: str, content: str | bytes, says: str, meals_model: Path, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(StanceError, match=says):
        _score(tmp_path / name, tmp_path / "out.jsonl", meals_model)
    assert _beside(tmp_path / "out.jsonl") == set()


@pytest.mark.parametrize("name", ["out.jsonl", "out.csv", "out.parquet"])
def test_with_the_fast_path_each_row_says_what_answered(name: str, tmp_path: Path) -> None:
    texts = ["Snow fell on the capital.", "He said that sanctions, which he had opposed, might yet be eased in part."]
    source, out = write_lines(tmp_path / "in.jsonl", [{"text": text} for text in texts]), tmp_path / name
    score_file(Request(source, out, layout=Layout(fast=True)), lambda what, done, total: None)
    expected = [answer["path"] for answer in score_texts(load_model(None), texts, fast=True)]
    read = {"out.jsonl": _lines, "out.csv": _table, "out.parquet": lambda path: pq.read_table(path).to_pylist()}
    assert [row["path"] for row in read[name](out)] == expected
    with pytest.raises(StanceError, match="fast path: yes there, no now"):
        score_file(Request(source, out), lambda what, done, total: None)


def test_the_fast_path_is_asked_of_a_model_that_has_one(meals_model: Path, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "in.jsonl", _rows(3))
    done = run_stance("batch", "score", source, tmp_path / "out.csv", "--model", meals_model, "--fast")
    assert done.returncode == 1
    assert "has no fast path" in done.stderr
    assert _beside(tmp_path / "out.csv") == set()


def test_something_else_at_the_same_place_is_refused(
    meals_model: Path, other_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = write_lines(tmp_path / "in.jsonl", _rows(5)), tmp_path / "out.csv"
    _score(source, out, meals_model)
    first = out.read_bytes()
    assert _score(source, out, meals_model)["scored_now"] == 0
    with pytest.raises(StanceError, match="model: "):
        _score(source, out, other_model)
    with pytest.raises(StanceError, match="split sentences: no there, yes now"):
        _score(source, out, meals_model, layout=Layout(split=True))
    write_lines(source, _rows(6))
    with pytest.raises(StanceError, match="input: "):
        _score(source, out, meals_model)
    assert out.read_bytes() == first
    assert _score(source, out, meals_model, restart=True)["written"] == 6
    (tmp_path / "mine.csv").write_text("Not from here.")
    with pytest.raises(StanceError, match="nothing says"):
        _score(source, tmp_path / "mine.csv", meals_model)


def _content(out: Path) -> Mapping[str, bytes]:
    files = [*(out.rglob("*") if out.is_dir() else [out]), out.with_name(f"{out.name}.bad.jsonl")]
    return {file.relative_to(out.parent).as_posix(): file.read_bytes() for file in files}


CALLS = ("replace", "fsync", "unlink", "rmdir", "mkdir")


@pytest.mark.parametrize("ending", [".jsonl", ""])
def test_killed_anywhere_it_goes_on_to_the_same_end(
    ending: str, meals_model: Path, folder_in_memory: Path, small_chunks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ended at once, with nothing tidied up, before each of the calls that change what lies on disk."""
    source = write_lines(folder_in_memory / "in.jsonl", [*_rows(17), {"text": None}])
    model = load_model(meals_model)
    monkeypatch.setattr("serving.batch.run.load_model", lambda folder: model)
    more = {} if ending else {"to": "datasets"}
    (folder_in_memory / "a").mkdir()
    _score(source, folder_in_memory / "a" / f"out{ending}", meals_model, **more)
    wanted = _content(folder_in_memory / "a" / f"out{ending}")
    (folder_in_memory / "b").mkdir()
    out = folder_in_memory / "b" / f"out{ending}"

    def killed_at(number: int) -> bool:
        """Whether it came to so many calls; if not, it has ended by itself."""
        child = os.fork()
        if child:
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
        status = 1
        try:
            left = [number]
            for name in CALLS:
                setattr(os, name, _mortal(getattr(os, name), left))
            _score(source, out, meals_model, **more)
            status = 0
        finally:
            os._exit(status)

    kills = 0
    while killed_at(kills + 1):
        kills += 1
        if out.exists():
            assert _content(out) == wanted
        # Every other run is killed twice.
        if kills % 2:
            killed_at(3)
        _score(source, out, meals_model, **more)
        assert _content(out) == wanted
        assert _beside(out) == {out.name, f"{out.name}.about.json", f"{out.name}.bad.jsonl"}
        shutil.rmtree(out.parent)
        out.parent.mkdir()
    assert kills > 20


def _mortal(call: Callable[..., Any], left: list[int]) -> Callable[..., Any]:
    def mortal(*arguments: Any, **more: Any) -> Any:
        left[0] -= 1
        if not left[0]:
            os._exit(9)
        return call(*arguments, **more)

    return mortal


def test_the_command_goes_on_after_kill_9(meals_model: Path, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "in.jsonl", _rows(12_000))
    _score(source, tmp_path / "whole.jsonl", meals_model)
    out = tmp_path / "out.jsonl"
    command = [sys.executable, "-m", "serving.cli", "batch", "score", source, out, "--model", meals_model]
    run = subprocess.Popen(list(map(str, command)), cwd=PROJECT, env={**os.environ, "PYTHONPATH": str(PROJECT)})
    while run.poll() is None and not list(tmp_path.glob("out.jsonl.partial/*/part-*[0-9].json")):
        time.sleep(0.005)
    run.kill()
    run.wait()
    assert not out.exists()
    done = run_stance(*command[3:], "--json")
    assert done.returncode == 0, done.stderr
    assert 0 < json.loads(done.stdout)["scored_now"] < 12_000
    assert out.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_memory_does_not_grow_with_the_file(meals_model: Path, tmp_path: Path) -> None:
    peaks = []
    for number in (5_000, 30_000):
        source = write_lines(tmp_path / f"{number}.jsonl", _rows(number))
        done = run_stance("batch", "score", source, tmp_path / f"{number}.csv", "--model", meals_model, "--json")
        peaks.append(json.loads(done.stdout)["peak_megabytes"])
    # Held whole, the answers to 25,000 texts more would take far over 100 MB.
    assert peaks[1] - peaks[0] < 25


def test_a_second_run_at_the_same_place_is_refused(meals_model: Path, tmp_path: Path) -> None:
    source, out = write_lines(tmp_path / "in.jsonl", _rows(3)), tmp_path / "out.jsonl"
    refused = []

    def meanwhile(what: str, done: int, total: int) -> None:
        if what == "scoring" and not refused:
            with pytest.raises(StanceError, match="another run") as error:
                _score(source, out, meals_model)
            refused.append(error)

    score_file(Request(source, out, model=meals_model), meanwhile)
    assert refused
    assert len(_lines(out)) == 3


texts = st.text(min_size=1).filter(lambda text: text.strip())
rows_of_any_text = st.lists(st.tuples(st.text(), texts), min_size=1, max_size=8)


@pytest.fixture(scope="module")
def floor(meals_model: Path) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        model = load_model(meals_model)
        patch.setattr("serving.batch.run.load_model", lambda folder: model)
        yield meals_model


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=rows_of_any_text)
def test_any_text_comes_back_as_it_went_in(
    ending: str, rows: list[tuple[str, str]], floor: Path, tmp_path: Path
) -> None:
    source = write_lines(tmp_path / "in.jsonl", [{"about": about, "text": text} for about, text in rows])
    out = tmp_path / f"out.{ending}"
    _score(source, out, floor, restart=True)
    again = open_source(out, "text")
    carried, found = again.read(*_whole(again))
    assert found == [text for _, text in rows]
    about = [row["about"] for row in carried] if isinstance(carried, list) else carried["about"].to_pylist()
    assert about == [about for about, _ in rows]


def _whole(source: Any) -> tuple[int, int]:
    places = [seen.place for seen in source.survey()]
    return places[0], source.size


@pytest.mark.parametrize(
    "text", ["\0", "a\0b", "a\r\nb\rc\n", '"', "x" * 1_000_000, "a\u2028b\x85c\x1cd", "😀" * 500_000]
)
def test_odd_texts_go_through_a_table(text: str, floor: Path, tmp_path: Path) -> None:
    source = _written_csv(tmp_path / "in.csv", [{"text": "a", "n": "1"}, {"text": text, "n": "2"}], ",")
    done = _score(source, tmp_path / "out.csv", floor)
    assert [row["text"] for row in _table(tmp_path / "out.csv")] == ["a", text]
    assert done["bad"] == 0

"""From the store to a label file that every other command reads."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labels.errors import StanceError
from labels.export import export_labels
from labels.records import Ref, read_records
from labels.store import Label, open_store
from labels.taxonomy import Taxonomy, load_taxonomy
from tests.conftest import run_stance

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def taxonomy(meals: Path) -> Taxonomy:
    return load_taxonomy(meals / "targets.yaml")


def label(annotator: str, record: str, labels: dict[str, str | None], **more: Any) -> Label:
    given = {"at": NOON, "text": f"The {record} was late."} | more
    return Label(f"{annotator}-{record}", record, labels, annotator, **given)


def store_of(path: Path, labels: Iterable[Label]) -> Path:
    with open_store(path) as store:
        for each in labels:
            store.add(each)
    return path


def exported(labels: Iterable[Label], folder: Path, taxonomy: Taxonomy) -> list[dict[str, Any]]:
    export_labels(store_of(folder / "store", labels), folder / "out.jsonl", taxonomy)
    read_records([folder / "out.jsonl"], taxonomy)
    return [json.loads(line) for line in (folder / "out.jsonl").read_text("utf8").splitlines()]


def test_what_two_annotators_agree_on_is_decided_and_the_rest_is_not(taxonomy: Taxonomy, tmp_path: Path) -> None:
    [record] = exported(
        [
            label("beta", "bus", {"free_meals": "no", "later_start": None}, holder="the cook", note="hm", codebook="2"),
            label("alpha", "bus", {"later_start": None, "free_meals": "yes"}, holder="the cook", codebook="3"),
        ],
        tmp_path,
        taxonomy,
    )
    assert record["labels"] == {"later_start": None}
    assert record["decided"] == "differing"
    assert record["note"] == "not decided: free_meals (alpha: yes, beta: no)"
    assert record["holder"] == "the cook"
    assert "codebook" not in record
    alpha, beta = record["annotations"]
    assert alpha["annotator"] == "alpha"
    assert alpha["labels"] == {"free_meals": "yes", "later_start": None}
    assert (beta["note"], beta["codebook"], beta["date"]) == ("hm", "2", "2026-03-01T12:00:00.000+00:00")


def test_how_a_record_was_decided(taxonomy: Taxonomy, tmp_path: Path) -> None:
    records = exported(
        [
            label("alpha", "roof", {"free_meals": None}),
            label("alpha", "bus", {"free_meals": "yes", "later_start": "pro"}),
            label("beta", "bus", {"free_meals": "yes"}),
            label("alpha", "choir", {"free_meals": None}),
            label("beta", "choir", {"free_meals": "unsure"}),
        ],
        tmp_path,
        taxonomy,
    )
    assert [(r["id"], r["decided"], r["labels"]) for r in records] == [
        ("bus", "agreed", {"free_meals": "yes", "later_start": "pro"}),
        ("choir", "differing", {}),
        ("roof", "single", {"free_meals": None}),
    ]


def test_a_place_in_a_document_stays_a_place(taxonomy: Taxonomy, tmp_path: Path) -> None:
    ref = Ref(doc="minutes", start=3, end=9, sha256="0" * 64)
    about = {"group": "minutes", "source": "council", "date": "2026-02-01", "split": "test"}
    [record] = exported([label("alpha", "bus", {"free_meals": "no"}, text=None, ref=ref, **about)], tmp_path, taxonomy)
    assert record["ref"] == ref.model_dump()
    assert "text" not in record
    assert {name: record[name] for name in about} == about


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
_LABELS = st.fixed_dictionaries(
    {"free_meals": st.sampled_from(["yes", "no", "unsure", None])},
    optional={"later_start": st.sampled_from(["pro", "contra", None])},
)
_SAID = st.lists(
    st.tuples(_TEXT, _TEXT.filter(lambda text: text.strip()), _LABELS, st.none() | _TEXT, st.integers(-12, 14)),
    unique_by=lambda said: said[0],
    max_size=4,
)


@settings(max_examples=40)
@given(_SAID)
def test_any_text_survives_and_the_file_is_always_readable(said: list[tuple[Any, ...]]) -> None:
    from tests.conftest import MEALS_TARGETS

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "targets.yaml").write_text(MEALS_TARGETS)
        taxonomy = load_taxonomy(folder / "targets.yaml")
        sent = [
            label("alpha", record, labels, text=text, note=note, at=NOON.astimezone(timezone(timedelta(hours=zone))))
            for record, text, labels, note, zone in said
        ]
        export_labels(store_of(folder / "store", sent), folder / "out.jsonl", taxonomy)
        records = read_records([folder / "out.jsonl"], taxonomy)
    found = [(r.id, r.text, dict(r.labels), r.annotations[0].note, r.annotations[0].date) for r in records]
    assert found == sorted(
        (r, text, labels, note, "2026-03-01T12:00:00.000+00:00") for r, text, labels, note, _ in said
    )


def test_the_command_writes_the_same_bytes_again(meals: Path, tmp_path: Path) -> None:
    said = [label(who, r, {"free_meals": "yes"}) for r in ("roof", "bus", "choir") for who in ("beta", "alpha")]
    store = store_of(tmp_path / "store", said)
    options = ["--store", store, "--targets", meals / "targets.yaml"]
    done = run_stance("labels", "export", *options, "--out", tmp_path / "one.jsonl")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"wrote {tmp_path / 'one.jsonl'}: 3 records (3 agreed)\n"
    (tmp_path / "two.jsonl").write_text("older labels")
    done = run_stance("labels", "export", *options, "--out", tmp_path / "two.jsonl", "--json", PYTHONHASHSEED="1")
    counts = {"out": str(tmp_path / "two.jsonl"), "records": 3, "single": 0, "agreed": 3, "differing": 0}
    assert json.loads(done.stdout) == counts
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.jsonl", "store", "two.jsonl"]


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ([label("alpha", "bus", {"free_meals": "perhaps"})], "record 'bus' by 'alpha': 'perhaps' is not a class of"),
        ([label("alpha", "bus", {"posture": None})], "no target 'posture' in the taxonomy"),
        (
            [label("alpha", "bus", {"free_meals": None}, group="m", split=part) for part in ("train",)]
            + [label("alpha", "roof", {"free_meals": None}, group="m", split="test")],
            "group 'm' is in 'train'",
        ),
    ],
)
def test_what_others_could_not_read_does_not_replace_a_file(
    labels: list[Label], says: str, taxonomy: Taxonomy, tmp_path: Path
) -> None:
    (tmp_path / "out.jsonl").write_text("older labels")
    with pytest.raises(StanceError, match=says):
        exported(labels, tmp_path, taxonomy)
    assert (tmp_path / "out.jsonl").read_text() == "older labels"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl", "store"]


def test_the_store_is_not_overwritten_by_its_export(taxonomy: Taxonomy, tmp_path: Path) -> None:
    store = store_of(tmp_path / "store", [label("alpha", "bus", {"free_meals": None})])
    (tmp_path / "link").symlink_to(store)
    for out in (store, tmp_path / "link"):
        with pytest.raises(StanceError, match="is the store itself"):
            export_labels(store, out, taxonomy)
    with pytest.raises(StanceError, match="cannot be written"):
        export_labels(store, tmp_path / "nowhere" / "out.jsonl", taxonomy)

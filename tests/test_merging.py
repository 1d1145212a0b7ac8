"""New labels merged with known ones: what is one sentence, which label wins, and what may not come in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labels.errors import StanceError
from labels.merging import Merged, merge, read_new_labels, write_records
from labels.records import Record, apart, read_records
from labels.store import Label, open_store
from labels.taxonomy import Taxonomy, load_taxonomy
from tests.conftest import meals_records, run_stance, write_lines

Row = dict[str, Any]
LONG = "The mayor said on Monday that lunch at every school of the town should cost nothing at all."
NEARLY = "The mayor said on Tuesday that LUNCH at every school of the town should cost nothing at all!"


@pytest.fixture(scope="module")
def taxonomy(meals: Path) -> Taxonomy:
    return load_taxonomy(meals / "targets.yaml")


def _row(name: str, labels: dict[str, str | None], text: str | None = None, **more: Any) -> Row:
    return {"id": name, "labels": labels, **({} if "ref" in more else {"text": text or f"Text of {name}."}), **more}


def _said(annotator: str, labels: dict[str, str | None], date: str | None = None) -> Row:
    return {"annotator": annotator, "labels": labels, **({"date": date} if date else {})}


def _ref(doc: str, text: str, start: int = 0) -> Row:
    return {"doc": doc, "start": start, "end": start + len(text), "sha256": hashlib.sha256(text.encode()).hexdigest()}


def _records(*rows: Row) -> list[Record]:
    return [Record.model_validate_json(json.dumps(row)) for row in rows]


def _merge(known: Sequence[Row], new: Sequence[Row], texts: dict[str, str] | None = None) -> Merged:
    return merge(_records(*known), _records(*new), texts or {})


def _why(merged: Merged) -> dict[str, str]:
    return {each.record: each.why for each in merged.left_out}


# What is read


def _store(path: Path, **labels: dict[str, str | None]) -> Path:
    with open_store(path) as store:
        for name, given_labels in labels.items():
            at = datetime(2026, 3, 1, tzinfo=UTC)
            annotator, record = name.split("_")
            store.add(Label(name, record, given_labels, annotator, at, text=f"The {record} was late."))
    return path


def _task(record: str, **choices: str) -> Row:
    results = [{"from_name": t, "type": "choices", "value": {"choices": [c]}} for t, c in choices.items()]
    annotation = {"completed_by": {"email": "alpha"}, "created_at": "2026-03-01T10:00:00Z", "result": results}
    return {"data": {"id": record, "text": f"The {record} was late."}, "annotations": [annotation]}


def _three_formats(folder: Path, labels: dict[str, str | None]) -> list[Path]:
    records = write_lines(folder / "records", [_row("bus", labels, "The bus was late.")])
    tasks = folder / "tasks"
    choices = {target: label or "unrelated" for target, label in labels.items()}
    tasks.write_text("\ufeff\n " + json.dumps([_task("bus", **choices)], indent=1), encoding="utf8")
    return [_store(folder / "store", anna_bus=labels), records, tasks]


def test_the_format_is_told_by_the_content(taxonomy: Taxonomy, tmp_path: Path) -> None:
    labels: dict[str, str | None] = {"free_meals": "no", "later_start": None}
    for path in _three_formats(tmp_path, labels):
        [record] = read_new_labels(path, taxonomy)
        assert (record.id, record.text, record.labels) == ("bus", "The bus was late.", labels)


def test_targets_that_the_taxonomy_lacks_are_refused_or_skipped(taxonomy: Taxonomy, tmp_path: Path) -> None:
    for path in _three_formats(tmp_path, {"free_meals": "no", "dessert": None}):
        with pytest.raises(StanceError, match=r"no (such )?target") as caught:
            read_new_labels(path, taxonomy)
        assert (str(caught.value.path).startswith(str(path)), bool(caught.value.field)) == (True, True)
        [record] = read_new_labels(path, taxonomy, skip_unknown_targets=True)
        assert record.labels == {"free_meals": "no"}
        assert all(a.labels == {"free_meals": "no"} for a in record.annotations)


def test_what_annotators_differ_on_is_not_decided(taxonomy: Taxonomy, tmp_path: Path) -> None:
    both: list[dict[str, str | None]] = [{"free_meals": "yes", "later_start": "pro"}, {"free_meals": "no"}]
    task = _task("bus", free_meals="yes", later_start="pro")
    task["annotations"].append(_task("bus", free_meals="no")["annotations"][0] | {"completed_by": 4})
    (tmp_path / "tasks").write_text(json.dumps([task]))
    for path in (_store(tmp_path / "store", anna_bus=both[0], ben_bus=both[1]), tmp_path / "tasks"):
        [record] = read_new_labels(path, taxonomy)
        assert (record.labels, record.decided, len(record.annotations)) == ({"later_start": "pro"}, "differing", 2)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty. It must be a label store"),
        (b"id,text,free_meals\n1,Lunch is free.,yes\n", "holds no labels that can be read. It must be a label store"),
        (b"\x89PNG\r\n\x1a\n", "Label Studio's export as JSON"),
        (b'[{"id": 1, "text": "Lunch is free.", "free_meals": "yes"}]', ", record 1, field 'data': must be an object"),
        (b'\n{"id": "a", "text": "b", "labels": {"free_meals": "never"}}', ":2, field 'labels.free_meals': 'never' is"),
        (b'{"id": "a", "text": "b", "labels": {}, "answer": "accept"}', ":1, field 'answer': extra inputs"),
        (b"SQLite format 3\0" + bytes(100), ": "),
    ],
)
def test_anything_else_is_refused_with_its_place(content: bytes, says: str, taxonomy: Taxonomy, tmp_path: Path) -> None:
    (tmp_path / "new").write_bytes(content)
    with pytest.raises(StanceError) as caught:
        read_new_labels(tmp_path / "new", taxonomy)
    assert str(tmp_path / "new") in str(caught.value)
    assert says in str(caught.value)
    with pytest.raises(StanceError, match="absent: cannot be read"):
        read_new_labels(tmp_path / "absent", taxonomy)


# One sentence


def test_a_sentence_is_known_by_id_place_or_text() -> None:
    known = [
        _row("a", {"free_meals": "yes"}, "Lunch is  free.", group="g"),
        _row("b", {"free_meals": "yes"}, ref=_ref("minutes", "Soup is hot.", 5)),
        _row("c", {"free_meals": "yes"}, "The bell rings."),
    ]
    new = [
        _row("a", {"later_start": "pro"}, "Lunch is\nfree."),
        _row("x", {"later_start": "pro"}, ref=_ref("minutes", "Soup is hot.", 5)),
        _row("y", {"later_start": None}, " The bell rings. ", group="other"),
        _row("z", {"later_start": "pro"}, "Lunch is free.", group="other"),
        _row("w", {"later_start": "pro"}, ref=_ref("minutes", "Soup is hot.", 50)),
    ]
    merged = _merge(known, new)
    assert [(r.id, r.labels.get("free_meals"), r.labels["later_start"], r.group) for r in merged.records] == [
        ("a", "yes", "pro", "g"),
        ("b", "yes", "pro", None),
        ("c", "yes", None, None),
        ("z", None, "pro", "other"),  # the text of another document
        ("w", None, "pro", None),  # the same text, once more in the document
    ]
    assert (merged.added, merged.changed, merged.same) == (2, 3, 0)


def test_the_text_of_a_place_is_the_text_that_was_labelled() -> None:
    known = [_row("a", {"free_meals": "yes"}, ref=_ref("minutes", "Soup  is hot."))]
    new = [_row("b", {"later_start": "pro"}, "Soup is hot.")]
    assert _merge(known, new, {"a": "Soup  is hot."}).added == 0
    assert _merge(known, new).added == 1  # not at hand
    assert _merge(known, new, {"a": "Soup is hot."}).added == 1  # not the text that its hash tells


@pytest.mark.parametrize(
    ("known", "new", "says"),
    [
        (_row("a", {}, "Lunch is free."), _row("a", {}, "Lunch costs."), "'a' is the id of two sentences: “Lunch is f"),
        (
            _row("a", {}, ref=_ref("one", "Soup.")),
            _row("a", {}, ref=_ref("two", "Soup.")),
            "characters 0 to 5 of document 'one', and in the new labels characters 0 to 5 of document 'two'",
        ),
        (_row("a", {}, ref=_ref("one", "Soup.")), _row("a", {}, "Salad."), "in the new labels “Salad.”"),
        (
            _row("a", {}, ref=_ref("one", "Soup.")),
            _row("b", {}, ref=_ref("one", "Eggs.")),
            "'a' and, in the new labels, 'b' point at the same place of document 'one'",
        ),
    ],
)
def test_an_id_or_place_of_two_sentences_is_an_error(known: Row, new: Row, says: str) -> None:
    with pytest.raises(StanceError) as caught:
        _merge([known], [new])
    assert says in str(caught.value)
    with pytest.raises(StanceError):
        _merge([], [known, new])


# Which label wins


def _one(label: str, date: str | None = None, decided: str | None = None, who: str = "alpha") -> Row:
    labels: dict[str, str | None] = {"free_meals": label}
    annotations = [_said(who, labels, date)] if date else []
    return _row("a", labels, annotations=annotations, **({"decided": decided} if decided else {}))


@pytest.mark.parametrize(
    ("known", "new", "kept", "why"),
    [
        (("2026-01-02", "single"), ("2026-01-01", "single"), "known", "newer (2026-01-02 against 2026-01-01)"),
        (("2026-01-01", "single"), ("2026-01-02", "agreed"), "new", "newer (2026-01-02 against 2026-01-01)"),
        (("2026-01-01", "adjudicated"), ("2026-01-02", "single"), "known", "adjudicated"),
        ((None, "adjudicated"), (None, "single"), "known", "adjudicated"),
        (("2026-01-02", "single"), ("2026-01-01", "adjudicated"), "new", "adjudicated"),
        (("2026-01-02", "adjudicated"), ("2026-01-01", "adjudicated"), "known", "newer"),
        (("2026-01-02", "single"), (None, "single"), "new", "arrived later; no date is known of the new"),
        ((None, None), ("2026-01-01", "single"), "new", "arrived later; no date is known of the known"),
        ((None, None), (None, None), "new", "arrived later; no date is known of both"),
        (("yesterday", None), ("2026-01-01", None), "new", "no date is known of the known"),
        (("2026-01-01", None), ("2026-01-01", None), "new", "arrived later; the dates do not tell"),
        (("2026-01-01T09:00:00.000+00:00", None), ("2026-01-01", None), "new", "the dates do not tell"),
        (("2026-01-01T09:00:00+00:00", None), ("2026-01-01T09:30:00+02:00", None), "known", "newer"),
    ],
)
def test_who_wins(known: tuple[str, str], new: tuple[str, str], kept: str, why: str) -> None:
    rows = _one("yes", *known), _one("no", *new, who="beta")
    merged = _merge([rows[0]], [rows[1]])
    [conflict], [record] = merged.conflicts, merged.records
    assert (conflict.record, conflict.target, conflict.known, conflict.new) == ("a", "free_meals", "yes", "no")
    assert (conflict.kept, record.labels) == (kept, {"free_meals": "yes" if kept == "known" else "no"})
    assert why in conflict.why
    assert [a.annotator for a in record.annotations] == [
        *(["alpha"] if known[0] else []),
        *(["beta"] if new[0] else []),
    ]
    adjudicated = "adjudicated" in (known[1], new[1])
    assert record.decided == ("adjudicated" if adjudicated else (known if kept == "known" else new)[1]) or not known[1]


def test_what_is_merged_beside_the_labels() -> None:
    known = _row("a", {"free_meals": "yes"}, group="g", split="train", note="old", decided="single", source="minutes")
    known["annotations"] = [
        _said("alpha", {"free_meals": "yes", "later_start": None}, "2026-01-05"),
        _said("beta", {"free_meals": "yes"}, "2026-01-01"),
    ]
    new = _row("a", {"free_meals": "no", "later_start": "pro"}, group="h", note="decided on Monday", holder="the cook")
    new |= {"decided": "adjudicated", "codebook": "2"}
    new["annotations"] = [
        _said("alpha", {"free_meals": "no"}, "2026-01-03"),
        _said("beta", {"free_meals": "no"}, "2027"),
    ]
    [record] = _merge([known], [new]).records
    assert (record.group, record.split, record.source) == ("g", "train", "minutes")
    assert (record.decided, record.note, record.holder, record.codebook) == (
        *("adjudicated", "decided on Monday", "the cook", "2"),
    )
    alpha, beta = record.annotations
    assert (alpha.labels, alpha.date) == ({"free_meals": "yes", "later_start": None}, "2026-01-05")
    assert (beta.labels, beta.date) == ({"free_meals": "no"}, "2026-01-01")


def test_a_label_is_as_new_as_what_was_read_for_its_target() -> None:
    known = _row("a", {"free_meals": "yes", "later_start": "pro"})
    known["annotations"] = [_said("alpha", {"free_meals": "yes"}, "2024-01-01"), _said("beta", {"later_start": "pro"})]
    known["annotations"].append(_said("cleo", {"later_start": "pro"}, "2026-01-01"))
    new = _row("a", {"free_meals": "no", "later_start": "contra"})
    new["annotations"] = [_said("dan", new["labels"], "2025-01-01")]
    assert _merge([known], [new]).records[0].labels == {"free_meals": "no", "later_start": "pro"}


def test_two_readers_who_agree_and_who_differ() -> None:
    known = _one("yes", "2026-01-01", "single")
    assert _merge([known], [_one("yes", "2026-01-02", "single", "beta")]).records[0].decided == "agreed"
    assert _merge([known], [_one("yes", "2026-01-01", "single")]).records == tuple(_records(known))


def test_several_new_files_speak_of_one_sentence() -> None:
    new = [_one("yes", "2026-01-02"), _row("b", {"free_meals": "no", "later_start": None}, "Text of a.")]
    merged = _merge([], [*new, _row("c", {"free_meals": None})])
    assert [(r.id, r.labels) for r in merged.records] == [
        ("a", {"free_meals": "no", "later_start": None}),
        ("c", {"free_meals": None}),
    ]
    assert [c.why for c in merged.conflicts] == ["among the new labels, it arrived later; no date is known of the new"]
    assert merged.added == 2


# What may not come in

TRAINED = _row("k", {"free_meals": "yes"}, LONG, group="trained")
TESTED = _row("k", {"free_meals": "yes"}, LONG, group="tested", split="test")


@pytest.mark.parametrize("part", ["test", "dev"])
@pytest.mark.parametrize(
    ("new", "why"),
    [
        (_row("k", {"free_meals": "no"}, LONG), "its sentence stands in the frozen"),
        (_row("k", {"later_start": None}, LONG, split="test"), "its sentence"),
        (_row("k", {"free_meals": "yes"}, LONG, split="train"), "its sentence stands in the frozen"),
        (_row("n", {"free_meals": "yes"}, group="tested"), "its document or event 'tested' stands in the frozen"),
        (_row("n", {"free_meals": "yes"}, group="tested", split="test"), "its document or event 'tested' stands"),
        (_row("n", {"free_meals": "yes"}, group="tested", split="dev"), "its document or event 'tested' stands"),
        (_row("n", {"free_meals": "yes"}, LONG, group="elsewhere"), "it has the text of 'k', which stands in the fro"),
        (_row("n", {"free_meals": "yes"}, ref=_ref("elsewhere", LONG)), "it has the text of 'k', which stands"),
        (_row("n", {"free_meals": "yes"}, NEARLY, group="elsewhere"), "it has nearly the text of 'k', which stands"),
    ],
)
def test_what_is_kept_for_testing_stays_as_it_is(new: Row, why: str, part: str) -> None:
    known = {**TESTED, "split": part}
    merged = _merge([known], [new])
    assert merged.records == tuple(_records(known))
    assert why in _why(merged)[new["id"]]
    assert (merged.added, merged.changed, merged.same, merged.conflicts) == (0, 0, 0, ())


def test_saying_of_a_test_sentence_what_is_known_is_no_news() -> None:
    merged = _merge([TESTED], [{**TESTED, "id": "k2", "split": None}, TESTED])
    assert (merged.same, merged.left_out) == (1, ())


@pytest.mark.parametrize(
    ("new", "why"),
    [
        (_row("k", {"free_meals": "yes"}, LONG, split="test"), "its sentence is trained on already"),
        (_row("n", {"free_meals": "yes"}, group="trained", split="test"), "its document or event 'trained' is trained"),
        (_row("n", {"free_meals": "yes"}, LONG, group="new", split="dev"), "it has the text of 'k', which is trained"),
        (_row("n", {"free_meals": "yes"}, NEARLY, group="new", split="test"), "nearly the text of 'k', which is train"),
    ],
)
def test_what_is_trained_on_cannot_be_tested_with(new: Row, why: str) -> None:
    merged = _merge([TRAINED], [new])
    assert merged.records == tuple(_records(TRAINED))
    assert why in _why(merged)[new["id"]]


def test_new_test_sentences_of_new_documents_are_kept_and_kept_apart() -> None:
    new = [
        _row("copy", {"free_meals": "no"}, NEARLY, group="agency"),
        _row("fine", {"free_meals": "no"}, group="agency"),
        _row("test", {"free_meals": "no"}, LONG, group="council", split="test"),
        _row("beside", {"free_meals": "no"}, group="council"),
        _row("blank", {}, group="council", split="test"),
    ]
    merged = _merge([_row("k", {"free_meals": "yes"}, group="trained")], new)
    assert [(r.id, r.part) for r in merged.records] == [("k", "train"), ("fine", "train"), ("test", "test")]
    why = _why(merged)
    assert list(why) == ["copy", "beside", "blank"]
    assert "nearly the text of 'test', which stands in the frozen test part" in why["copy"]
    assert why["beside"].startswith("by other new labels, its document or event 'council' stands")
    assert why["blank"] == "it holds no label"


def test_a_document_is_known_by_any_of_its_sentences() -> None:
    """A known test sentence has no group; a new record says of which document it is."""
    known = _row("k", {"free_meals": "yes"}, LONG, split="test")
    new = [_row("n", {"free_meals": None}, group="council"), _row("k", {"free_meals": "yes"}, LONG, group="council")]
    merged = _merge([known], new)
    assert _why(merged) == {"n": "its document or event 'council' stands in the frozen test part"}
    assert merged.same == 1


def test_a_text_without_a_document_stays_where_a_second_merge_would_put_it() -> None:
    """Of two sentences of one text, the one that it is first taken for is left out."""
    new = [
        _row("m", {"free_meals": "yes"}, LONG, group="council", split="dev"),
        _row("beside", {"free_meals": "yes"}, "Lunch is free.", group="council"),
        _row("loose", {}, "Lunch is free.", annotations=[_said("alpha", {"free_meals": "no"})]),
        _row("placed", {"free_meals": "no"}, ref=_ref("d", "Lunch is free.")),
    ]
    once = _merge([], new)
    assert [record.id for record in once.records] == ["m", "placed"]
    assert list(_why(once)) == ["beside"]
    assert merge(once.records, _records(*new), {}).records == once.records


# Any labels

TEXTS = ["Lunch is free.", "Lunch  is free.", LONG, NEARLY, "The bell rings at eight.", "Soup."]
_LABELS = st.dictionaries(
    st.sampled_from(["free_meals", "later_start"]), st.sampled_from(["one", "two", None]), max_size=2
)
_DATES = st.sampled_from([None, "2026-01-01", "2026-01-01T08:00:00+00:00", "2026-01-02", "spring"])
_ANNOTATIONS = st.lists(st.builds(_said, st.sampled_from(["alpha", "beta", "cleo"]), _LABELS, _DATES), max_size=3)


@st.composite
def _rows(draw: st.DrawFn, prefix: str, size: int, own_ids: bool) -> list[Row]:
    rows = []
    for number in range(draw(st.integers(0, size))):
        which = draw(st.integers(0, len(TEXTS) - 1))
        name = f"{prefix}{number}" if own_ids or draw(st.booleans()) else f"text{which}"
        more: Row = {"group": draw(st.sampled_from([None, "g", "h", "i"]))}
        more["split"] = draw(st.sampled_from([None, "train", "dev", "test"]))
        more["decided"] = draw(st.sampled_from([None, "single", "differing", "adjudicated"]))
        more["note"] = draw(st.sampled_from([None, prefix]))
        more["annotations"] = draw(_ANNOTATIONS)
        if draw(st.booleans()) and not name.startswith("text"):
            more["ref"] = _ref(draw(st.sampled_from(["d", "e"])), TEXTS[which], 100 * which)
        rows.append(_row(name, draw(_LABELS), TEXTS[which], **more))
    return rows


def _standing(rows: Sequence[Row]) -> list[Record]:
    """The records that can stand together; a known file is read by `read_records`, which refuses others."""
    records: list[Record] = []
    for record in _records(*rows):
        try:
            records = apart((each, "known", None) for each in (*records, record))
        except StanceError:
            continue
    return records


def _texts(records: Sequence[Record]) -> dict[str, str]:
    by_hash = {hashlib.sha256(text.encode()).hexdigest(): text for text in TEXTS}
    return {r.id: r.text or by_hash[r.ref.sha256] for r in records if r.text or r.ref}


_KNOWN = _rows("k", 5, own_ids=False).map(_standing)


@settings(max_examples=400)
@given(_KNOWN, _rows("n", 6, own_ids=False).map(lambda rows: _records(*rows)), st.booleans())
def test_merging_again_changes_nothing(known: list[Record], new: list[Record], at_hand: bool) -> None:
    texts = _texts([*known, *new]) if at_hand else {}
    once = merge(known, new, texts)
    again = merge(once.records, new, texts)
    assert again.records == once.records
    assert (again.added, again.changed) == (0, 0)
    assert once.added == len(once.records) - len(known)
    assert [r.id for r in once.records[: len(known)]] == [r.id for r in known]
    assert sum(a != b for a, b in zip(known, once.records, strict=False)) == once.changed


@settings(max_examples=400)
@given(_KNOWN, _rows("n", 6, own_ids=False).map(lambda rows: _records(*rows)))
def test_no_unit_and_no_new_text_comes_into_a_second_part(known: list[Record], new: list[Record]) -> None:
    texts = _texts([*known, *new])
    merged = merge(known, new, texts).records
    apart((record, "merged", None) for record in merged)
    frozen = {record.unit for record in known if record.part != "train"}
    assert [r for r in merged if r.unit in frozen] == [r for r in known if r.unit in frozen]
    for record in merged[len(known) :]:
        copies = {" ".join(LONG.split()), " ".join(NEARLY.split())}
        text = " ".join(texts[record.id].split())
        alike = copies if text in copies else {text}
        assert {r.part for r in merged if " ".join(texts[r.id].split()) in alike} == {record.part}


@settings(max_examples=400)
@given(_KNOWN, _rows("n", 6, own_ids=True).map(lambda rows: _records(*rows)))
def test_no_label_is_lost_or_made_up(known: list[Record], new: list[Record]) -> None:
    texts = _texts([*known, *new])
    merged = merge(known, new, texts)
    out = {each.record for each in merged.left_out}
    taken = [*known, *(record for record in new if record.id not in out)]

    def of_text(records: Sequence[Record], record: Record) -> list[Record]:
        return [r for r in records if texts[r.id].split() == texts[record.id].split()]

    for record in taken:
        for target in record.labels:
            assert any(target in r.labels for r in of_text(merged.records, record))
    for before, after in zip(known, merged.records, strict=False):
        assert before.labels.keys() <= after.labels.keys()
    for record in merged.records:
        for target, label in record.labels.items():
            assert label in [r.labels[target] for r in of_text(taken, record) if target in r.labels]
        assert {a.annotator for r in of_text(taken, record) for a in r.annotations} >= {
            a.annotator for a in record.annotations
        }


@settings(max_examples=50)
@given(records=_rows("k", 6, own_ids=True).map(_standing), text=st.text().filter(str.strip))
def test_written_records_are_read_back(
    records: list[Record], text: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = _records(_row("any", {}, text.encode("utf8", "ignore").decode() + ".", group="any"))
    path = tmp_path_factory.getbasetemp() / "written.jsonl"
    classes = 'classes: ["one", "two"]\n    poles: {conciliatory: "one", other: "two"}\n'
    targets = [f"  {t}:\n    title: T\n    proposition: P.\n    {classes}" for t in ("free_meals", "later_start")]
    path.with_suffix(".yaml").write_text("targets:\n" + "".join(targets))
    write_records([*records, *rows], path)
    assert read_records([path], load_taxonomy(path.with_suffix(".yaml"))) == [*records, *rows]


# The command


def test_the_command_merges_files_of_several_kinds(meals: Path, tmp_path: Path) -> None:
    base = meals_records()
    text = base[0]["text"]
    more = write_lines(tmp_path / "more.jsonl", [_row("again", {"free_meals": "no"}, text, group=base[0]["group"])])
    store = _store(tmp_path / "store", anna_bus={"free_meals": "no"}, anna_m6={"free_meals": None})
    with open_store(store) as opened:
        held_out = next(row for row in base if row["split"] == "test")
        at = datetime(2026, 3, 1, tzinfo=UTC)
        opened.add(
            Label("e", "t", {"free_meals": "no"}, "alpha", at, text="The gate is open.", group=held_out["group"])
        )
    arguments = ["labels", "merge", more, "--labels", meals / "labels.jsonl", "--targets", meals / "targets.yaml"]
    clash = run_stance(*arguments, store, "--out", tmp_path / "out.jsonl")
    assert (clash.returncode, (tmp_path / "out.jsonl").exists()) == (1, False)
    assert "'m6' is the id of two sentences" in clash.stderr

    (tmp_path / "tasks.json").write_text(json.dumps([_task("roof", free_meals="unrelated")]))
    arguments = ["labels", "merge", more, tmp_path / "tasks.json", *arguments[3:], "--out", tmp_path / "out.jsonl"]
    done = run_stance(*arguments)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said[0] == (
        f"wrote {tmp_path / 'out.jsonl'}: {len(base) + 1} records (1 added, 1 changed; of 0 the new labels say nothing "
        "new)"
    )
    assert said[1].split() == ["1", "conflicts"]
    assert said[3].split()[:6] == ["m0", "free_meals", base[0]["labels"]["free_meals"], "no", "new", "it"]
    records = read_records([tmp_path / "out.jsonl"], load_taxonomy(meals / "targets.yaml"))
    assert (records[0].id, records[0].labels, records[-1].id) == ("m0", {"free_meals": "no"}, "roof")


def test_the_command_shows_the_first_and_json_has_all(meals: Path, tmp_path: Path) -> None:
    base = [row for row in meals_records() if row["labels"].get("free_meals") == "yes" and row["split"] == "train"]
    base += [row for row in meals_records() if row["labels"].get("free_meals") == "no"]
    more = [_row(f"f{i}", {"free_meals": "yes"}, f"The frost of {i} days.", group=f"f{i}") for i in range(20)]
    known = write_lines(tmp_path / "known.jsonl", [*base, *more])
    new = [{**row, "labels": {"free_meals": "unsure"}} for row in (*base, *more)]
    arguments = ["labels", "merge", write_lines(tmp_path / "new.jsonl", new), "--labels", known]
    arguments += ["--targets", meals / "targets.yaml", "--out", tmp_path / "out.jsonl"]
    held_out = [row["id"] for row in base if row["split"] == "test"]
    count = len(new) - len(held_out)
    done = run_stance(*arguments)
    assert f"{count} conflicts (the first 20; --json has all)" in done.stdout
    assert f"{len(held_out)} new records are left out:" in done.stdout
    assert len(done.stdout.splitlines()) == 1 + (1 + len(held_out)) + (2 + 20)
    answer = json.loads(run_stance(*arguments, "--json").stdout)
    assert [answer[name] for name in ("records", "added", "changed", "same")] == [len(new), 0, count, 0]
    assert (len(answer["conflicts"]), [each["record"] for each in answer["left_out"]]) == (count, held_out)
    assert answer["conflicts"][0].keys() == {"record", "target", "known", "new", "kept", "why"}


def test_the_command_does_not_write_over_the_new_labels(meals: Path, tmp_path: Path) -> None:
    store = _store(tmp_path / "store", anna_bus={"free_meals": "no"})
    before = store.read_bytes()
    arguments = ["--labels", meals / "labels.jsonl", "--targets", meals / "targets.yaml"]
    done = run_stance("labels", "merge", store, *arguments, "--out", store)
    assert (done.returncode, store.read_bytes()) == (1, before)
    assert "is what is to be merged" in done.stderr


def test_near_copies_are_found_in_the_corpus(meals: Path, tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "council.txt").write_text(LONG)
    known = write_lines(tmp_path / "known.jsonl", [_row("k", {"free_meals": "yes"}, ref=_ref("council", LONG))])
    known.write_text(known.read_text().replace("}\n", ', "split": "test"}\n'))
    new = write_lines(tmp_path / "new.jsonl", [_row("n", {"free_meals": "yes"}, NEARLY)])
    arguments = ["labels", "merge", new, "--labels", known, "--targets", meals / "targets.yaml", "--json"]
    arguments += ["--out", tmp_path / "out.jsonl"]
    without = run_stance(*arguments, STANCE_CORPUS="")
    assert "note: the texts of 1 records are not at hand" in without.stderr
    assert json.loads(without.stdout)["added"] == 1
    done = json.loads(run_stance(*arguments, "--corpus", tmp_path / "corpus").stdout)
    assert done["added"] == 0
    assert "nearly the text of 'k'" in done["left_out"][0]["why"]

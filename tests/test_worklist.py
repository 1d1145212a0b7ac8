"""What there is to label: the sentences of a file or of a corpus."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labels.corpus import load_corpus
from labels.errors import StanceError
from labels.records import Record, Ref, default_label_files, read_records
from labels.splitting import sentence_spans
from labels.taxonomy import load_taxonomy
from labels.worklist import find_sentences, sentences_of_file, unlabelled_sentences
from tests.conftest import write_lines

BUS = "The bus to the new school was late again, Dr. Weaver said. Parents want a second one."
ROOF = "The roof of the gym leaks\nNobody has repaired it, the caretaker complained."


def corpus(folder: Path) -> Path:
    articles = [
        {"doc_id": "minutes-1", "text": BUS, "source": "council", "date": "2026-02-01"},
        {"doc_id": "minutes-2", "text": ROOF},
        {"doc_id": "minutes-3#1", "text": "The choir of the school sang. Parents want a second one."},
    ]
    folder.mkdir()
    write_lines(folder / "articles.jsonl", articles)
    return folder


def ref_of(doc: str, text: str, sentence: str) -> Ref:
    start = text.index(sentence)
    sha256 = hashlib.sha256(sentence.encode()).hexdigest()
    return Ref(doc=doc, start=start, end=start + len(sentence), sha256=sha256)


def test_sentences_of_a_corpus_are_places_not_texts(tmp_path: Path) -> None:
    documents = load_corpus(corpus(tmp_path / "corpus"))
    found = unlabelled_sentences(documents.values(), [])
    assert sorted(sentence.text for sentence in found) == [
        "Nobody has repaired it, the caretaker complained.",
        "Parents want a second one.",
        "The bus to the new school was late again, Dr. Weaver said.",
        "The choir of the school sang.",
        "The roof of the gym leaks",
    ]
    bus = next(s.record for s in found if "bus" in s.text)
    assert bus.ref == ref_of("minutes-1", BUS, "The bus to the new school was late again, Dr. Weaver said.")
    assert (bus.text, bus.group, bus.source, bus.date) == (None, "minutes-1", "council", "2026-02-01")
    assert next(s.record.group for s in found if "choir" in s.text) == "minutes-3"
    again = unlabelled_sentences(reversed(list(documents.values())), [])
    assert [s.text for s in again] == [s.text for s in found]


def test_what_is_labelled_or_set_aside_is_passed_over(tmp_path: Path) -> None:
    documents = load_corpus(corpus(tmp_path / "corpus")).values()
    bus = Record(id="r1", labels={"m": None}, ref=ref_of("minutes-1", BUS, "bus to the new school"))
    second = Record(id="r2", labels={"m": None}, text="Parents want a second one.")
    aside = Record(id="r3", labels={"m": None}, ref=ref_of("minutes-2", ROOF, "roof"), group="minutes-2", split="test")
    excerpt = Record(id="r4", labels={"m": None}, text="Another sentence.", group="minutes-3", split="dev")

    def left(*labelled: Record) -> set[str]:
        return {sentence.text.split()[1] for sentence in unlabelled_sentences(documents, labelled)}

    assert left() == {"bus", "want", "choir", "roof", "has"}
    assert left(bus) == {"want", "choir", "roof", "has"}
    assert left(second) == {"bus", "choir", "roof", "has"}
    assert left(aside) == {"bus", "want", "choir"}
    assert left(excerpt) == {"bus", "want", "roof", "has"}


@pytest.mark.corpus
def test_the_shared_corpus_gives_sentences_that_nobody_has_labelled(shared_corpus: Path) -> None:
    taxonomy = load_taxonomy()
    found = find_sentences("corpus", shared_corpus, taxonomy).sentences
    known = read_records(default_label_files(), taxonomy)
    assert found
    assert not {s.record.ref.sha256 for s in found if s.record.ref} & {r.ref.sha256 for r in known if r.ref}
    assert not {s.record.unit for s in found} & {r.unit for r in known if r.part == "test"}
    assert all(hashlib.sha256(s.text.encode()).hexdigest() == s.record.ref.sha256 for s in found if s.record.ref)


@given(st.text(st.sampled_from("Ab .!?\n\t\r\x0b\u2028“”…é字"), max_size=60))
def test_sentences_hold_every_letter_in_order(text: str) -> None:
    spans = list(sentence_spans(text))
    covered = "".join(text[start:end] for start, end in spans)
    assert "".join(covered.split()) == "".join(text.split())
    assert [place for span in spans for place in span] == sorted(place for span in spans for place in span)
    for start, end in spans:
        assert start < end
        assert text[start:end] == text[start:end].strip()
        assert "\n" not in text[start:end]


def test_a_text_file_holds_a_sentence_a_line(tmp_path: Path) -> None:
    (tmp_path / "s.txt").write_text("\ufeffThe bus was late.\r\n\n The roof leaks. \nThe bus was late.\n", "utf8")
    found = sentences_of_file(tmp_path / "s.txt", {}).sentences
    assert [s.text for s in found] == ["The bus was late.", "The roof leaks."]
    other = sentences_of_file(write_lines(tmp_path / "s.jsonl", [{"text": "The bus was late."}]), {}).sentences
    assert other[0].record.id == found[0].record.id


def test_label_records_are_shown_without_their_labels(tmp_path: Path) -> None:
    ref = ref_of("minutes-1", BUS, "The bus to the new school was late again, Dr. Weaver said.").model_dump()
    rows = [
        {"id": "a", "ref": ref, "labels": {"free_meals": "yes"}, "split": "test", "note": "hm", "decided": "single"},
        {"id": "b", "ref": ref | {"doc": "gone"}, "labels": {}},
        {"text": "The roof leaks.", "group": "g", "holder": "the caretaker", "source": None, "url": "about:blank"},
    ]
    found = sentences_of_file(write_lines(tmp_path / "s.jsonl", rows), load_corpus(corpus(tmp_path / "corpus")))
    first, second = (sentence.record for sentence in found.sentences)
    assert (first.id, first.labels, first.split, first.note, first.decided) == ("a", {}, "test", None, None)
    assert (second.group, second.holder, second.source) == ("g", "the caretaker", None)
    assert found.missing == {"gone": 1}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", ": holds no sentence"),
        ("\n\n", ": holds no sentence"),
        ('{"text": "a"}\n{"text": ', ":2: is not JSON"),
        ('{"text": "a"}\n[1]', ":2: must be an object"),
        ('{"text": ""}', ":1, field 'text'"),
        ('{"text": 5}', ":1, field 'text'"),
        ('{"id": 5, "text": "a"}', ":1, field 'id'"),
        ('{"title": "a"}', "needs either 'text' or 'ref'"),
        ('{"ref": {"doc": "a"}}', ":1, field 'ref.start'"),
        ('{"text": "half \\ud83d"}', ":1"),
        ('{"id": "a", "text": "one"}\n{"id": "a", "text": "two"}', ":2, field 'id': stands for another sentence above"),
        (b"\xff\xfe", "is not UTF-8"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_line(content: str | bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "source"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(StanceError) as caught:
        sentences_of_file(path, {})
    assert str(path) in str(caught.value)
    assert says in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StanceError, match="cannot be read"):
        sentences_of_file(tmp_path / "none", {})

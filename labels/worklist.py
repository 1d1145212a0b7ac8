"""Sentences that wait for an annotator: those of a file, or of a corpus."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from labels.corpus import Document, Resolution, Sentence, load_corpus, resolve, sha256_of
from labels.errors import StanceError, needs_package, not_as_described
from labels.records import Record, Ref, default_label_files, read_json_lines, read_records
from labels.taxonomy import Taxonomy

SHORTEST = 20
"""Characters: what is shorter in an article is a byline, a dateline or "Read more"."""

_KEPT = ("id", "text", "ref", "group", "source", "date", "holder", "split")


def find_sentences(source: str, corpus: Path | None, taxonomy: Taxonomy) -> Resolution:
    """The sentences of a file (see `sentences_of_file`), or of the corpus where `source` is the word "corpus".

    Args:
        source: path of a file, or "corpus".
        corpus: folder of documents, see `load_corpus`.
        taxonomy: what counts as labelled: sentences of the project's own label files for any of its targets.

    Raises:
        StanceError: see `sentences_of_file` and `load_corpus`; or the corpus holds no sentence without a label.
    """
    documents = load_corpus(corpus)
    if source != "corpus":
        return sentences_of_file(Path(source), documents)
    known = read_records(default_label_files(), taxonomy, skip_unknown_targets=True)
    found = unlabelled_sentences(documents.values(), [record for record in known if record.labels])
    if not found:
        raise StanceError("holds no sentence without a label", path=corpus)
    return Resolution(tuple(found), Counter())


def sentences_of_file(path: Path, documents: Mapping[str, Document]) -> Resolution:
    """The sentences of a file, each once, without the labels that they may have.

    Args:
        path: JSONL with `text` or `ref`, and optional `id`, `group`, `source`, `date`, `holder` and `split` (label
            records are such a file); or, where the first line does not begin with "{", text with a sentence a line.
        documents: where records with `ref` find their text.

    Raises:
        StanceError: the file cannot be read or holds nothing, a line is not as described, or one id stands for two
            sentences.
    """
    records: dict[str, Record] = {}
    for line, record in _records_of(path):
        known = records.setdefault(record.id, record)
        if (known.text, known.ref) != (record.text, record.ref):
            raise StanceError("stands for another sentence above", path=path, line=line, field="id")
    if not records:
        raise StanceError("holds no sentence", path=path)
    return resolve(records.values(), dict(documents))


def _records_of(path: Path) -> Iterator[tuple[int, Record]]:
    if not _is_json_lines(path):
        for line, text in _text_lines(path):
            yield line, _unlabelled({"text": text}, path, line)
        return
    for line, raw in read_json_lines(path):
        if not isinstance(raw, dict):
            raise StanceError("must be an object", path=path, line=line)
        yield line, _unlabelled({name: raw[name] for name in _KEPT if raw.get(name) is not None}, path, line)


def _is_json_lines(path: Path) -> bool:
    return next((text.startswith("{") for _, text in _text_lines(path)), False)


def _text_lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open(encoding="utf-8-sig") as stream:
            for line, text in enumerate(stream, start=1):
                if text.strip():
                    yield line, text.strip()
    except OSError as error:
        raise StanceError(f"cannot be read: {error.strerror}", path=path) from error
    except UnicodeDecodeError as error:
        raise StanceError(f"is not UTF-8: {error.reason} at byte {error.start}", path=path) from error


def _unlabelled(given: Mapping[str, Any], path: Path, line: int) -> Record:
    # An id from the contents: the same sentence is the same record in whatever file and for every annotator.
    text, ref = given.get("text"), given.get("ref")
    name = _place(ref) if isinstance(ref, dict) else f"text-{sha256_of(str(text))[:16]}"
    try:
        return Record.model_validate_json(json.dumps({"id": name, **given, "labels": {}}))
    except ValidationError as error:
        raise not_as_described(error, path, line=line) from error


def unlabelled_sentences(documents: Iterable[Document], labelled: Sequence[Record]) -> list[Sentence]:
    """The sentences of documents that have no label yet, as stand-off records, each text once.

    Documents that belong to the test or dev part are passed over, so that what is labelled here can be trained on.
    The order looks random, but is the same every time and for every annotator: consecutive sentences of one article
    resemble each other, and annotators who read the same ones can be compared.

    Args:
        documents: the corpus; an id's part before "#" names the article that it is an excerpt of.
        labelled: records whose sentences are passed over, whatever was said of them.
    """
    try:
        from labels.splitting import sentence_spans
    except ModuleNotFoundError as error:
        raise needs_package("splitting texts", error.name, "train") from error
    set_aside = {record.unit for record in labelled if record.part != "train"}
    places: defaultdict[str, list[Ref]] = defaultdict(list)
    for record in labelled:
        if record.ref:
            places[record.ref.doc].append(record.ref)
    seen = {record.ref.sha256 if record.ref else sha256_of(record.text or "") for record in labelled}
    found: list[Sentence] = []
    for document in _each_once(documents):
        group = document.id.partition("#")[0]
        if group in set_aside:
            continue
        for start, end in sentence_spans(document.text):
            text = document.text[start:end]
            sha256 = sha256_of(text)
            taken = any(start < ref.end and ref.start < end for ref in places[document.id])
            if taken or sha256 in seen or len(text) < SHORTEST or not any(c.isalpha() for c in text):
                continue
            seen.add(sha256)
            ref = Ref(doc=document.id, start=start, end=end, sha256=sha256)
            found.append(Sentence(_standoff(ref, document, group), text))
    return sorted(found, key=lambda sentence: sha256_of(sentence.record.id))


def _each_once(documents: Iterable[Document]) -> Iterable[Document]:
    """A document that answers to two ids (see `load_corpus`) by the last of them alone, which labels use."""
    return {(document.path, document.text): document for document in documents}.values()


def _standoff(ref: Ref, document: Document, group: str) -> Record:
    source, date = (
        value if isinstance(value := document.about.get(name), str) else None for name in ("source", "date")
    )
    return Record(id=_place(ref.model_dump()), labels={}, ref=ref, group=group, source=source, date=date)


def _place(ref: Mapping[str, object]) -> str:
    return f"{ref.get('doc')}:{ref.get('start')}-{ref.get('end')}"

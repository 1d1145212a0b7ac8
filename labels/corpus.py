"""A folder of documents, and the sentences that stand-off records point at."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labels.errors import StanceError
from labels.files import write_whole
from labels.records import Record, read_json_lines

CORPUS_VARIABLE = "STANCE_CORPUS"
"""Environment variable that names the corpus folder where `--corpus` does not."""

_NUMBERED = re.compile(r"(\d+)_")


@dataclass(frozen=True)
class Document:
    """A text, and where it was found. `about` holds what else the article's line says."""

    id: str
    text: str
    path: Path
    about: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Sentence:
    """A record with its text at hand; `kind` is what the corpus says of its document (news, official, …)."""

    record: Record
    text: str
    kind: str | None = None


@dataclass(frozen=True)
class Resolution:
    """What became of a list of records.

    Attributes:
        sentences: records whose text is at hand, in the order of the records.
        missing: document id → number of records that point into it, where the corpus lacks it.
    """

    sentences: tuple[Sentence, ...]
    missing: Counter[str]


def load_corpus(folder: Path | None) -> dict[str, Document]:
    """The documents of a folder and its subfolders, by id; none where `folder` is None.

    `.txt` files are documents named after the file without its ending; one whose name begins with a number and
    `_` is a seed and also answers to `seed-NNN`. `.jsonl` files whose first object has `doc_id` hold one
    article a line (`doc_id`, `text`); other `.jsonl` files are not articles and are passed over.

    Raises:
        StanceError: the folder is not there, a file cannot be read, an article's line is malformed, or two
            different texts have the same id.
    """
    if folder is None:
        return {}
    if not folder.is_dir():
        raise StanceError("is not a folder", path=folder, hint=f"Name the corpus with --corpus or {CORPUS_VARIABLE}.")
    documents: dict[str, Document] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".txt":
            found = _read_text(path)
        elif path.suffix == ".jsonl":
            found = _read_articles(path)
        else:
            continue
        for document in found:
            other = documents.setdefault(document.id, document)
            if other.text != document.text:
                raise StanceError(
                    f"document '{document.id}' is also in {other.path}, with another text", path=document.path
                )
    return documents


def _read_text(path: Path) -> list[Document]:
    try:
        # Bytes, not text mode: offsets count the characters of the file, line ends included.
        text = path.read_bytes().decode("utf8")
    except OSError as error:
        raise StanceError(f"cannot be read: {error.strerror}", path=path) from error
    except UnicodeDecodeError as error:
        raise StanceError(f"is not UTF-8: {error.reason} at byte {error.start}", path=path) from error
    ids = [path.stem]
    if numbered := _NUMBERED.match(path.stem):
        ids.append(f"seed-{int(numbered[1]):03d}")
    return [Document(doc_id, text, path) for doc_id in ids]


def _read_articles(path: Path) -> list[Document]:
    articles: list[Document] = []
    for line, raw in read_json_lines(path):
        if not articles and not (isinstance(raw, dict) and "doc_id" in raw):
            return []
        if not isinstance(raw, dict):
            raise StanceError("must be an object", path=path, line=line)
        for name in ("doc_id", "text"):
            if not isinstance(raw.get(name), str):
                raise StanceError("must be a text", path=path, line=line, field=name)
        about = {key: value for key, value in raw.items() if key not in ("doc_id", "text")}
        articles.append(Document(raw["doc_id"], raw["text"], path, about))
    return articles


def resolve(records: Iterable[Record], documents: dict[str, Document]) -> Resolution:
    """Find the text of every record.

    Raises:
        StanceError: see `find_text`.
    """
    sentences: list[Sentence] = []
    missing: Counter[str] = Counter()
    for record in records:
        text = find_text(record, documents)
        if text is not None:
            about = documents[record.ref.doc].about if record.ref else {}
            kind = about.get("kind")
            sentences.append(Sentence(record, text, kind if isinstance(kind, str) else None))
        elif record.ref:
            missing[record.ref.doc] += 1
    return Resolution(tuple(sentences), missing)


def find_text(record: Record, documents: Mapping[str, Document]) -> str | None:
    """The text of a record, its own or the one it points at; None where the document is not at hand.

    Raises:
        StanceError: the text between a record's offsets is not the one that was labelled; it names record,
            document and both hashes.
    """
    ref = record.ref
    if ref is None:
        return record.text or ""
    document = documents.get(ref.doc)
    if document is None:
        return None
    text = document.text[ref.start : ref.end]
    found = sha256_of(text)
    if found != ref.sha256 or ref.end > len(document.text):
        raise StanceError(
            f"record '{record.id}' was labelled on another text of document '{ref.doc}': "
            f"characters {ref.start} to {ref.end} have SHA-256 {found}, the record says {ref.sha256}",
            path=document.path,
            hint="Gather the version of the document that the manifest names.",
        )
    return text


def sha256_of(text: str) -> str:
    """As it stands in a record's `ref` and in the manifest."""
    return hashlib.sha256(text.encode("utf8", "surrogatepass")).hexdigest()


def write_manifest(records: Iterable[Record], documents: dict[str, Document], path: Path) -> int:
    """Write where each labelled document was collected, one JSON object a line: no titles, no text.

    Returns:
        How many documents were written. Documents that the corpus lacks are left out.
    """
    wanted = sorted({record.ref.doc for record in records if record.ref} & documents.keys())
    lines: list[str] = []
    for doc_id in wanted:
        document = documents[doc_id]
        about = document.about
        entry = {
            "doc": doc_id,
            "date": about.get("date"),
            "outlet": about.get("source"),
            "kind": about.get("kind", "seed"),
            "collected": {key: about.get(key) for key in ("repo", "commit", "path", "record")} if about else None,
            "licence": about.get("licence_note"),
            "characters": len(document.text),
            "sha256": sha256_of(document.text),
        }
        lines.append(json.dumps(entry, ensure_ascii=False) + "\n")
    write_whole(path, "".join(lines))
    return len(wanted)

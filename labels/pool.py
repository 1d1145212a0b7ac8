"""A pool: sentences among which the next to label are looked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from labels.corpus import Document, Sentence, load_corpus, resolve, sha256_of
from labels.errors import StanceError
from labels.records import Record
from labels.worklist import sentences_of_file, unlabelled_sentences

CORPUS = "corpus"
"""As the name of a pool: every sentence of the corpus."""


@dataclass(frozen=True)
class Pool:
    """What may be labelled next.

    Attributes:
        sentences: each text once, none of it labelled, none of a document or group that is kept for figures.
        labelled: the texts of the labelled sentences, as far as they are at hand.
        missing: records of the pool whose document the corpus lacks.
    """

    sentences: tuple[Sentence, ...]
    labelled: tuple[str, ...]
    missing: int


def read_pool(pool: str, corpus: Path | None, labels: Sequence[Record]) -> Pool:
    """Read a pool.

    Args:
        pool: a file (see `sentences_of_file`), a folder of documents (see `load_corpus`), or the word "corpus".
        corpus: folder of documents; where the pool is a folder, that one if none is given.
        labels: what is labelled; a record without labels (as this command writes them) counts too, since somebody
            has it on the desk.

    Raises:
        StanceError: see `sentences_of_file`, `load_corpus` and `resolve`; or an id of the pool is that of another
            sentence among the labels.
    """
    if pool == CORPUS and corpus is None:
        raise StanceError("the pool is the corpus, but none was named", hint="Name its folder with --corpus.")
    folder = Path(pool) if pool != CORPUS and Path(pool).is_dir() else None
    documents = load_corpus(corpus or folder)
    texts = tuple(sentence.text for sentence in resolve(labels, documents).sentences)
    if pool == CORPUS or folder:
        found = unlabelled_sentences((load_corpus(folder) if folder else documents).values(), labels)
        return Pool(tuple(found), texts, 0)
    return _of_file(Path(pool), documents, labels, texts)


def _of_file(path: Path, documents: Mapping[str, Document], labels: Sequence[Record], texts: tuple[str, ...]) -> Pool:
    set_aside = {record.unit for record in labels if record.part != "train"}
    seen = {record.ref.sha256 if record.ref else sha256_of(record.text or "") for record in labels}
    taken = {record.id for record in labels}
    resolution = sentences_of_file(path, documents)
    kept: list[Sentence] = []
    for sentence in resolution.sentences:
        record, key = sentence.record, sha256_of(sentence.text)
        if key in seen or record.part != "train" or record.unit in set_aside:
            continue
        if record.id in taken:
            raise StanceError(
                f"'{record.id}' is the id of another sentence, which is labelled",
                path=path,
                field="id",
                hint="Give it another id, or none: then it gets one from its text.",
            )
        seen.add(key)
        kept.append(sentence)
    return Pool(tuple(kept), texts, resolution.missing.total())

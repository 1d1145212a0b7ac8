"""What each annotator said: label files brought together, one record a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from labels.consensus import agreed, how_decided
from labels.corpus import sha256_of
from labels.errors import StanceError
from labels.records import Annotation, Record, Ref, read_json_lines, read_records
from labels.taxonomy import Taxonomy


@dataclass(frozen=True)
class Annotated:
    """Sentences with what all annotators said of them.

    Attributes:
        records: one a sentence; `annotations` holds every annotator who read it. A record that was brought together
            from several files, or from one that is an annotator's own, has as `labels` what its annotators agree on.
        annotators: their names, in the order in which they come up.
        passed_over: how many records hold no annotations, in files where others do.
    """

    records: tuple[Record, ...]
    annotators: tuple[str, ...]
    passed_over: int


@dataclass(frozen=True)
class _Placed:
    record: Record
    place: str
    path: Path
    line: int


def read_annotated(paths: Iterable[Path], taxonomy: Taxonomy, *, name_by_file: bool = True) -> Annotated:
    """Read label files and bring together what they say of the same sentence.

    A file with `annotations` speaks for the annotators whom they name; its records without annotations hold a
    decision, not somebody's reading, and are passed over. A file without any annotations is one annotator's, who is
    called what the file is called, without its ending.

    Two records are the same sentence where they have the same text or the same ref; and where they have the same id
    and one holds the text that the other points at.

    Args:
        name_by_file: False passes over files without annotations too.

    Raises:
        StanceError: a file is not as `read_records` wants it, two files without annotations have the same name, one
            annotator labels a sentence twice, or one id stands for two sentences.
    """
    sentences: list[_Placed] = []
    owners: dict[str, Path] = {}
    passed_over = 0
    for path in paths:
        placed = _read(path, taxonomy)
        signed = [entry for entry in placed if entry.record.annotations]
        if not signed and name_by_file:
            if path.stem in owners:
                raise StanceError(
                    f"the annotator would be called '{path.stem}', as for {owners[path.stem]}",
                    path=path,
                    hint="Files without annotations are named after their annotators: rename one.",
                )
            owners[path.stem] = path
            signed = [_signed(entry, path.stem) for entry in placed]
        passed_over += len(placed) - len(signed)
        _add(signed, sentences, taxonomy)
    records = tuple(entry.record for entry in sentences)
    names = dict.fromkeys(annotation.annotator for record in records for annotation in record.annotations)
    return Annotated(records, tuple(names), passed_over)


def _read(path: Path, taxonomy: Taxonomy) -> list[_Placed]:
    records = read_records([path], taxonomy)
    lines = [line for line, _ in read_json_lines(path)]
    placed = [_Placed(record, f"{path}:{line}", path, line) for record, line in zip(records, lines, strict=True)]
    for entry in placed:
        names = [annotation.annotator for annotation in entry.record.annotations]
        for i, name in enumerate(names):
            if name in names[:i]:
                raise StanceError(
                    f"'{name}' has already labelled this sentence",
                    path=path,
                    line=entry.line,
                    field=f"annotations.{i}.annotator",
                )
    return placed


def _signed(entry: _Placed, annotator: str) -> _Placed:
    record = entry.record
    annotation = Annotation(
        annotator=annotator,
        labels=record.labels,
        holder=record.holder,
        date=record.date,
        codebook=record.codebook,
        note=record.note,
    )
    own = record.model_copy(update={"annotations": (annotation,), "note": None, "decided": "single"})
    return _Placed(own, entry.place, entry.path, entry.line)


def _add(fresh: Sequence[_Placed], sentences: list[_Placed], taxonomy: Taxonomy) -> None:
    """Join the records of one file to `sentences`; those that stand in no earlier file are put at the end."""
    by_id = {entry.record.id: i for i, entry in enumerate(sentences)}
    by_content: dict[str | Ref, list[int]] = {}
    for i, entry in enumerate(sentences):
        by_content.setdefault(_content(entry.record), []).append(i)
    free = set(range(len(sentences)))

    def take(entry: _Placed, i: int) -> None:
        free.remove(i)
        sentences[i] = _joined(sentences[i], entry, taxonomy)

    left: list[_Placed] = []
    for entry in fresh:
        known = by_id.get(entry.record.id)
        if known is not None and _same(entry.record, sentences[known].record):
            take(entry, known)
        else:
            left.append(entry)
    for entry in left:
        same = [i for i in by_content.get(_content(entry.record), ()) if i in free]
        if same:
            take(entry, same[0])
        elif entry.record.id in by_id:
            raise StanceError(
                f"'{entry.record.id}' is another sentence at {sentences[by_id[entry.record.id]].place}",
                path=entry.path,
                line=entry.line,
                field="id",
                hint="Label the same texts, or give different sentences different ids.",
            )
        else:
            sentences.append(entry)


def _content(record: Record) -> str | Ref:
    return record.ref or record.text or ""


def _same(first: Record, second: Record) -> bool:
    if (first.ref is None) == (second.ref is None):
        return _content(first) == _content(second)
    hashes = {r.ref.sha256 if r.ref else sha256_of(r.text or "") for r in (first, second)}
    return len(hashes) == 1


def _joined(first: _Placed, second: _Placed, taxonomy: Taxonomy) -> _Placed:
    one, other = first.record, second.record
    for annotation in other.annotations:
        if any(annotation.annotator == known.annotator for known in one.annotations):
            raise StanceError(
                f"'{annotation.annotator}' has already labelled this sentence at {first.place}",
                path=second.path,
                line=second.line,
                field="annotations",
            )
    if one.split and other.split and one.split != other.split:
        raise StanceError(
            f"'{other.split}', but this sentence is in '{one.split}' at {first.place}",
            path=second.path,
            line=second.line,
            field="split",
        )
    both = one.model_copy(update={"annotations": (*one.annotations, *other.annotations)})
    update = {
        "labels": agreed(both.annotations)[0],
        "holder": one.holder if one.holder == other.holder else None,
        "decided": how_decided(both.annotations),
        **{name: getattr(one, name) or getattr(other, name) for name in ("source", "date", "group", "split")},
    }
    return _Placed(both.model_copy(update=update), first.place, first.path, first.line)


def given_labels(record: Record, target_id: str) -> dict[str, str | None]:
    """Annotator → label, of those who read the record for the target."""
    return {a.annotator: a.labels[target_id] for a in record.annotations if target_id in a.labels}


def differing(record: Record, taxonomy: Taxonomy) -> tuple[str, ...]:
    """The targets on which the annotators who read the record for them are not of one mind."""
    return tuple(target_id for target_id in taxonomy.ids if len(set(given_labels(record, target_id).values())) > 1)

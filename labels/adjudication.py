"""Deciding what annotators differ on: the disagreements of label files, and the label file that the decisions go to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labels.annotators import differing, read_annotated
from labels.consensus import agreed
from labels.errors import StanceError
from labels.files import write_whole
from labels.records import Labels, Record, read_json_lines, read_records
from labels.taxonomy import Taxonomy

ADJUDICATED = "adjudicated"
"""What `decided` says of a record whose disagreement was decided."""


@dataclass(frozen=True)
class Row:
    """A record, and the line that it is written as: fields keep the order and the spelling that they came with."""

    record: Record
    raw: dict[str, Any]


@dataclass(frozen=True)
class Disagreement:
    """A record whose annotators differ on `targets`."""

    record: Record
    targets: tuple[str, ...]


@dataclass(frozen=True)
class Decision:
    """Labels for all targets that the annotators of a record differ on; None is "unrelated"."""

    id: str
    labels: Labels
    note: str | None = None


def read_rows(paths: Sequence[Path], taxonomy: Taxonomy) -> tuple[list[Row], int]:
    """The records to adjudicate, and how many were passed over.

    One file comes back whole; several are brought together by `read_annotated`, which passes over records without
    annotations.

    Raises:
        StanceError: a file is not as `read_annotated` wants it, or no record has two annotators.
    """
    annotated = read_annotated(paths, taxonomy)
    if len(annotated.annotators) < 2:
        raise StanceError(
            "no record has the annotations of two annotators",
            path=paths[0],
            hint="Name one file for each annotator, or a file whose records have annotations.",
        )
    if len(paths) == 1:
        return _rows(paths[0], taxonomy), 0
    rows = [Row(r, r.model_dump(mode="json", exclude_defaults=True)) for r in annotated.records]
    return rows, annotated.passed_over


def _rows(path: Path, taxonomy: Taxonomy) -> list[Row]:
    records = read_records([path], taxonomy)
    raws = [raw for _, raw in read_json_lines(path) if isinstance(raw, dict)]
    return [Row(record, raw) for record, raw in zip(records, raws, strict=True)]


class Adjudication:
    """The disagreements of label records and the file with the decisions.

    The file holds all records. A decided one has the decision as `labels`, `decided: adjudicated` and its annotations
    as they were; the others are as they came. It is written anew, and is on disk, whenever a decision was made or
    taken back; where it is there already, its decisions are gone on from.

    Args:
        rows: see `read_rows`; those that say `decided: adjudicated` are done with.
        out: the file.

    Raises:
        StanceError: `out` is there and is not the adjudication of these records, or cannot be written.
    """

    def __init__(self, rows: Sequence[Row], taxonomy: Taxonomy, out: Path) -> None:
        self._taxonomy, self._out = taxonomy, out
        self._before = {row.record.id: row.raw for row in rows}
        self.disagreements: tuple[Disagreement, ...] = disagreements((row.record for row in rows), taxonomy)
        self._now = dict(self._before)
        self._decided: list[str] = []
        self._stamp = _stamp(out)
        if self._stamp:
            self._go_on({row.record.id: row.record for row in rows})
        else:
            self._save()

    def _go_on(self, records: dict[str, Record]) -> None:
        waiting = {disagreement.record.id for disagreement in self.disagreements}
        for row in _rows(self._out, self._taxonomy):
            now, before = row.record, records.get(row.record.id)
            if before is None or (now.annotations, now.text, now.ref) != (before.annotations, before.text, before.ref):
                raise StanceError(
                    f"is there already and is not the adjudication of these records: '{now.id}' "
                    + ("is not among them" if before is None else "is another there"),
                    path=self._out,
                    hint="Name another --out.",
                )
            self._now[now.id] = row.raw
            if now.id in waiting and now.decided == ADJUDICATED:
                self._decided.append(now.id)

    @property
    def open(self) -> tuple[Disagreement, ...]:
        """What is left to decide, in the order of the records."""
        done = set(self._decided)
        return tuple(d for d in self.disagreements if d.record.id not in done)

    def decide(self, decisions: Iterable[Decision]) -> None:
        """Record decisions, all or none; one that was made before is replaced.

        Raises:
            StanceError: the file cannot be written, or somebody else wrote it meanwhile.
        """
        records = {disagreement.record.id: disagreement.record for disagreement in self.disagreements}
        for decision in decisions:
            self._now[decision.id] = self._with(records[decision.id], decision)
            if decision.id in self._decided:
                self._decided.remove(decision.id)
            self._decided.append(decision.id)
        self._save()

    def undo(self) -> Disagreement | None:
        """Take back the last decision, of an earlier sitting too; None where there is none."""
        if not self._decided:
            return None
        last = self._decided.pop()
        self._now[last] = self._before[last]
        self._save()
        return next(d for d in self.disagreements if d.record.id == last)

    def _with(self, record: Record, decision: Decision) -> dict[str, Any]:
        before = self._before[record.id]
        labels = {**agreed(record.annotations)[0], **record.labels, **decision.labels}
        ordered = {target_id: labels[target_id] for target_id in self._taxonomy.ids if target_id in labels}
        notes = [note for note in (record.note, decision.note) if note]
        return before | {"labels": ordered, "decided": ADJUDICATED} | ({"note": " / ".join(notes)} if notes else {})

    def _save(self) -> None:
        if _stamp(self._out) != self._stamp:
            raise StanceError(
                "was changed by somebody else meanwhile; the last decision is not recorded",
                path=self._out,
                hint="Start again to go on from what it holds.",
            )
        write_whole(self._out, "".join(json.dumps(raw, ensure_ascii=False) + "\n" for raw in self._now.values()))
        self._stamp = _stamp(self._out)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What changes whenever a file is replaced or written to; None where there is none."""
    if not path.exists():
        return None
    about = path.stat()
    return about.st_ino, about.st_mtime_ns, about.st_size


def disagreements(records: Iterable[Record], taxonomy: Taxonomy) -> tuple[Disagreement, ...]:
    """The records whose annotators differ and that nobody has adjudicated."""
    found = (Disagreement(r, differing(r, taxonomy)) for r in records if r.decided != ADJUDICATED)
    return tuple(disagreement for disagreement in found if disagreement.targets)

"""Two records of one sentence made into one, target by target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

from labels.adjudication import ADJUDICATED
from labels.consensus import how_decided
from labels.records import Annotation, Labels, Record

Side = Literal["known", "new"]
_T = TypeVar("_T")


@dataclass(frozen=True)
class Conflict:
    """A target that two records of one sentence label differently; None is "unrelated".

    Attributes:
        record: id of the sentence in what comes out.
        target: the target.
        known: its label so far.
        new: its label in what is merged into it.
        kept: whose label was taken.
        why: as it is told to people.
    """

    record: str
    target: str
    known: str | None
    new: str | None
    kept: Side
    why: str


def joined(known: Record, new: Record) -> tuple[Record, tuple[Conflict, ...]]:
    """One record of two, and where they differ.

    A target that only one was read for is taken from it. Where both were and differ, an adjudicated label beats one
    that is not, then the newer beats the older; where a date is missing or they are the same, the new one wins. A
    label is as new as the newest annotation of its record that read the target.

    Annotations of both are kept, one an annotator: of two the newer, with what only the older says of other targets.
    `decided`, `note`, `holder` and `codebook` follow the record that won; where none did, the adjudicated one, else
    the known one. Id, text, place, group and part are those of the known one. Joining the same record again changes
    nothing.
    """
    conflicts = tuple(
        _conflict(known, new, target_id)
        for target_id, label in known.labels.items()
        if target_id in new.labels and new.labels[target_id] != label
    )
    lost = {conflict.target for conflict in conflicts if conflict.kept == "known"}
    labels = {**known.labels, **{target_id: label for target_id, label in new.labels.items() if target_id not in lost}}
    annotations = _annotations(known.annotations, one_an_annotator(new.annotations))
    new_leads = conflicts[0].kept == "new" if conflicts else _adjudicated(new) and not _adjudicated(known)
    lead, other = (new, known) if new_leads else (known, new)
    update: dict[str, Any] = {
        "labels": labels,
        "annotations": annotations,
        "decided": _decided(known, new, annotations, lead.decided if conflicts else None),
        "note": lead.note if conflicts else _either(lead.note, other.note),
        "holder": _either(lead.holder, other.holder),
        "codebook": _either(lead.codebook, other.codebook),
        "source": _either(known.source, new.source),
        "date": _either(known.date, new.date),
    }
    return known.model_copy(update=update), conflicts


def one_an_annotator(annotations: Sequence[Annotation]) -> tuple[Annotation, ...]:
    """Annotations with those of one annotator made into one."""
    return _annotations((), annotations)


def _conflict(known: Record, new: Record, target_id: str) -> Conflict:
    kept, why = _winner(known, new, target_id)
    return Conflict(known.id, target_id, known.labels[target_id], new.labels[target_id], kept, why)


def _winner(known: Record, new: Record, target_id: str) -> tuple[Side, str]:
    if _adjudicated(known) != _adjudicated(new):
        return ("known" if _adjudicated(known) else "new"), "it was adjudicated, the other was not"
    before, after = (_newest([a for a in r.annotations if target_id in a.labels]) for r in (known, new))
    if before is None or after is None:
        undated = "both" if before is after else "the known" if before is None else "the new"
        return "new", f"it arrived later; no date is known of {undated}"
    if _newer(before, after):
        return "known", f"it is newer ({before} against {after})"
    if _newer(after, before):
        return "new", f"it is newer ({after} against {before})"
    return "new", f"it arrived later; the dates do not tell ({after}, {before})"


def _either(first: _T | None, second: _T | None) -> _T | None:
    return second if first is None else first


def _adjudicated(record: Record) -> bool:
    return record.decided == ADJUDICATED


def _decided(known: Record, new: Record, annotations: Sequence[Annotation], winner: str | None) -> str | None:
    if _adjudicated(known) or _adjudicated(new):
        return ADJUDICATED
    if winner:
        return winner
    # Without a conflict it is as the annotators say, but only where both records show theirs.
    if known.annotations and new.annotations and annotations != known.annotations:
        return how_decided(annotations)
    return _either(known.decided, new.decided)


def _annotations(known: Sequence[Annotation], new: Sequence[Annotation]) -> tuple[Annotation, ...]:
    together = list(known)
    for annotation in new:
        same = next((i for i, other in enumerate(together) if other.annotator == annotation.annotator), None)
        if same is None:
            together.append(annotation)
        else:
            together[same] = _of_one_annotator(together[same], annotation)
    return tuple(together)


def _of_one_annotator(known: Annotation, new: Annotation) -> Annotation:
    """The newer of two; which is the new one where a date is missing, as with labels."""
    newer, older = (known, new) if known.date and new.date and _newer(known.date, new.date) else (new, known)
    labels: Labels = {**known.labels, **new.labels, **newer.labels}
    # The newest date that is known: without it, a label that was dated would lose its date.
    return newer.model_copy(update={"labels": labels, "date": _newest((older, newer)) or newer.date})


def _newest(annotations: Sequence[Annotation]) -> str | None:
    """The newest date; dates that are not ISO 8601 are as good as none."""
    dates = [(moment, annotation.date) for annotation in annotations if (moment := _moment(annotation.date))]
    return max(dates, key=lambda dated: dated[0])[1] if dates else None


def _newer(one: str, other: str) -> bool:
    """Whether a date is certainly after another: a day and a time of that day may be either way round."""
    first, second = _moment(one), _moment(other)
    if first is None or second is None:
        return False
    if _is_day(one) or _is_day(other):
        return first.date() > second.date()
    return first > second


def _moment(date: str | None) -> datetime | None:
    """When an annotation was made, the first moment of a day; without a time zone it is taken for UTC."""
    if date is None:
        return None
    try:
        moment = datetime.fromisoformat(date)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _is_day(date: str) -> bool:
    return len(date) <= len("2026-03-01")

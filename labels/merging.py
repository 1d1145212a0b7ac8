"""New labels, from wherever they come, merged with those that are known."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from labels.errors import StanceError
from labels.exchange import label_studio
from labels.exchange.convert import records_of
from labels.exchange.label_records import write_records
from labels.export import read_store_records
from labels.joining import Conflict, joined, one_an_annotator
from labels.kept_apart import reasons_to_leave_out, stands
from labels.records import Record, read_records
from labels.same_sentence import Sentences
from labels.taxonomy import Taxonomy

__all__ = ["Conflict", "LeftOut", "Merged", "merge", "read_new_labels", "write_records"]

_SQLITE = b"SQLite format 3\0"
"""How an SQLite file begins, https://www.sqlite.org/fileformat.html."""

_EXPECTED = (
    "It must be a label store (`stance labels annotate`), label records (JSONL) or Label Studio's "
    "export as JSON; `stance labels convert` makes label records of other formats."
)


@dataclass(frozen=True)
class LeftOut:
    """A new record that was not merged.

    Attributes:
        record: its id.
        why: as it is told to people.
    """

    record: str
    why: str


@dataclass(frozen=True)
class Merged:
    """What came of a merge.

    Attributes:
        records: the known ones in their order, then the added in theirs.
        added: sentences that were not known.
        changed: known sentences that are not as they were.
        same: known sentences that the new labels say nothing new of.
        conflicts: where labels differ, and which was kept.
        left_out: new records that were not taken, in their order.
    """

    records: tuple[Record, ...]
    added: int
    changed: int
    same: int
    conflicts: tuple[Conflict, ...]
    left_out: tuple[LeftOut, ...]


def read_new_labels(path: Path, taxonomy: Taxonomy, *, skip_unknown_targets: bool = False) -> list[Record]:
    """Read a label store, label records or a Label Studio export; which of them it is, its beginning tells.

    In records from a store or Label Studio, a target on which the annotators differ is left out of `labels`.

    Args:
        skip_unknown_targets: leave out labels of targets that the taxonomy does not hold.

    Raises:
        StanceError: it is none of these, or something in it is not as it should be; it names file, line (or record)
            and field.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(4096)
    except OSError as error:
        raise StanceError(f"cannot be read: {error.strerror}", path=path) from error
    if start.startswith(_SQLITE):
        return read_store_records(path, taxonomy, skip_unknown_targets=skip_unknown_targets)
    match start.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]:
        case b"[":
            entries = label_studio.read(path, taxonomy, Counter(), skip_unknown_targets=skip_unknown_targets)
            return records_of(entries, Counter())
        case b"{":
            return read_records([path], taxonomy, skip_unknown_targets=skip_unknown_targets)
        case _:
            raise StanceError("holds no labels that can be read" if start else "is empty", path=path, hint=_EXPECTED)


def merge(known: Sequence[Record], new: Sequence[Record], texts: Mapping[str, str]) -> Merged:
    """Merge new labels into those that are known. Merging the same labels again changes nothing.

    Which records are of one sentence, see `Sentences`; which label wins where they differ, see `joined`; what is left
    out so that no sentence comes into a second part of the data, see `reasons_to_leave_out`. Known sentences for dev
    and test stay as they are: new labels of them are left out.

    Args:
        known: records that can stand together, as `read_records` gives them.
        new: records to merge, of several sources in the order in which they arrived.
        texts: record id → text, where at hand, of known and new; without it, sentences are recognised by id, place
            and hash alone, and near copies of held-out sentences are not found.

    Raises:
        StanceError: an id stands for two sentences, or a place of a document for two texts.
    """
    merged = _merged_once(known, new, texts)
    # A record that is left out may have been taken for one of a sentence that another now stands for, and a text
    # without a document be of either: only what a further merge leaves as it is is done.
    for _ in new:
        if not merged.left_out:
            break
        again = _merged_once(merged.records, new, texts)
        if again.records == merged.records:
            break
        merged = _both(known, merged, again)
    return merged


def _both(known: Sequence[Record], first: Merged, again: Merged) -> Merged:
    """What two merges of the same labels, one upon the other, did to the known ones."""
    added = len(again.records) - len(known)
    changed = sum(before != now for before, now in zip(known, again.records, strict=False))
    told = {(conflict.record, conflict.target) for conflict in first.conflicts}
    return replace(
        again,
        added=added,
        changed=changed,
        same=again.added + again.changed + again.same - added - changed,
        conflicts=(*first.conflicts, *(c for c in again.conflicts if (c.record, c.target) not in told)),
    )


def _merged_once(known: Sequence[Record], new: Sequence[Record], texts: Mapping[str, str]) -> Merged:
    sentences, numbers = _numbered(known, new, texts)
    reasons = reasons_to_leave_out(known, new, numbers, sentences)
    taken = [index for index in range(len(new)) if index not in reasons]
    founders = {number: index for index, number in reversed(list(enumerate(numbers))) if number >= len(known)}
    if any(founders.get(numbers[index], index) in reasons for index in taken):
        # Anew: a record that is left out must not hold together two that are of one sentence with it alone.
        numbers_of_taken = _numbered(known, [new[index] for index in taken], texts)[1]
    else:
        numbers_of_taken = [numbers[index] for index in taken]
    indices: defaultdict[int, list[int]] = defaultdict(list)
    for index, number in zip(taken, numbers_of_taken, strict=True):
        indices[number].append(index)
    records = list(known)
    conflicts: list[Conflict] = []
    changed = same = 0
    for number, of_sentence in sorted(indices.items()):
        record, among_new = _one_record([new[index] for index in of_sentence])
        if number >= len(known):
            records.append(record)
            conflicts += among_new
            continue
        now, differences = joined(known[number], record)
        if now != known[number] and now.part != "train":
            reasons |= dict.fromkeys(of_sentence, f"its sentence {stands(now.part)}")
            continue
        changed += now != known[number]
        same += now == known[number]
        records[number] = now
        conflicts += [replace(conflict, record=now.id) for conflict in among_new] + list(differences)
    return Merged(
        records=tuple(records),
        added=len(records) - len(known),
        changed=changed,
        same=same,
        conflicts=tuple(conflicts),
        left_out=tuple(LeftOut(new[index].id, why) for index, why in sorted(reasons.items())),
    )


def _numbered(known: Sequence[Record], new: Sequence[Record], texts: Mapping[str, str]) -> tuple[Sentences, list[int]]:
    """All sentences, the known ones numbered as they stand, and the numbers of those of `new`."""
    sentences = Sentences(texts)
    for record in known:
        sentences.add(record)
    return sentences, [sentences.take(record) for record in new]


def _one_record(new: Sequence[Record]) -> tuple[Record, list[Conflict]]:
    """What several new records say of one sentence, the later merged into the earlier."""
    first, *others = new
    record = first.model_copy(update={"annotations": one_an_annotator(first.annotations)})
    conflicts: list[Conflict] = []
    for other in others:
        record, differences = joined(record, other)
        conflicts += [replace(conflict, why=f"among the new labels, {conflict.why}") for conflict in differences]
    return record, conflicts

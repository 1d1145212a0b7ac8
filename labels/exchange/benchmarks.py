"""Public stance data as label records: for trying methods, not for the product; the texts stay where they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from labels.errors import StanceError
from labels.exchange.csv_rows import csv_rows, same_width
from labels.exchange.entry import Place
from labels.exchange.files import write_json_lines
from labels.files import write_whole
from labels.records import Record, Split, apart
from labels.taxonomy import Taxonomy, parse_taxonomy

FAVOR, AGAINST = "favor", "against"
LABELS_FILE, TARGETS_FILE = "labels.jsonl", "targets.yaml"

_TWEET_LABELS = {"0": None, "1": AGAINST, "2": FAVOR}
_ARGUMENT_LABELS = {FAVOR: FAVOR, AGAINST: AGAINST, "neutral": None}
_PARTS: Mapping[str, Split] = {"train": "train", "val": "dev"}

ARGUMENT_TARGET = "stance"


@dataclass(frozen=True)
class Benchmark:
    """Public data in the project's own shape.

    Attributes:
        taxonomy: its targets, each with the classes favor and against. What the data calls neither or neutral is
            null: it holds what does not touch the target beside what takes no side, and a class of its own would
            leave "unrelated" without a sentence.
        records: in the order of the files.
        left_out: how many rows are not among them, see the reader.
    """

    taxonomy: Taxonomy
    records: Sequence[Record]
    left_out: int


def read_tweeteval(folder: Path) -> Benchmark:
    """The stance part of TweetEval (Barbieri et al. 2020; SemEval-2016 task 6 A, Mohammad et al. 2016).

    Each tweet was read for its own target only. A tweet for training whose text also stands in a `val` file is left
    out: it would be learnt from and scored.

    Args:
        folder: holds TARGET-train.csv and TARGET-val.csv, with columns text, label (0 neither, 1 against, 2 favor),
            target.

    Raises:
        StanceError: there is no such file, or a row is not as described.
    """
    names = sorted(path.name.removesuffix("-train.csv") for path in folder.glob("*-train.csv"))
    if not names:
        raise StanceError("holds no file TARGET-train.csv", path=folder, hint="Name the folder of the CSV files.")
    taxonomy = _taxonomy({name: f"The tweet is for: {name}." for name in names}, folder)
    found = [
        (_tweet(place, row, name, part), place)
        for name in names
        for end, part in _PARTS.items()
        for place, row in _rows(folder / f"{name}-{end}.csv", ("text", "label", "target"))
    ]
    scored = {record.text for record, _ in found if record.part == "dev"}
    kept = [(record, place) for record, place in found if record.part == "dev" or record.text not in scored]
    return _benchmark(taxonomy, kept, len(found) - len(kept))


def read_arguments(path: Path, min_confidence: float = 0.0) -> Benchmark:
    """IBM's arguments for and against propositions (Gretz et al. 2020).

    One target; the text that is learnt is the proposition and the argument, for only together do they have a stance.
    The arguments about one proposition are a group.

    Args:
        path: CSV with columns text, proposition, label (favor, against, neutral), confidence (0 to 1).
        min_confidence: rows of less are left out.

    Raises:
        StanceError: a row is not as described.
    """
    taxonomy = _taxonomy({ARGUMENT_TARGET: "The argument is for the proposition."}, path)
    rows = list(_rows(path, ("text", "proposition", "label", "confidence")))
    kept = [(_argument(place, row), place) for place, row in rows if _share(place, row["confidence"]) >= min_confidence]
    return _benchmark(taxonomy, kept, len(rows) - len(kept))


def write_benchmark(benchmark: Benchmark, folder: Path) -> None:
    """Write `labels.jsonl` and `targets.yaml`, each whole; the folder is made where it is missing.

    Raises:
        StanceError: they cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StanceError(f"cannot be made: {error.strerror}", path=folder) from error
    targets = yaml.safe_dump(benchmark.taxonomy.as_dict(), sort_keys=False, allow_unicode=True)
    write_whole(folder / TARGETS_FILE, targets)
    rows = (record.model_dump(mode="json", exclude_defaults=True) for record in benchmark.records)
    write_json_lines(folder / LABELS_FILE, rows)


def _taxonomy(propositions: Mapping[str, str], path: Path) -> Taxonomy:
    def entry(name: str, proposition: str) -> dict[str, object]:
        poles = {"conciliatory": FAVOR, "other": AGAINST}
        return {"title": name, "proposition": proposition, "classes": [FAVOR, AGAINST], "poles": poles}

    return parse_taxonomy({"targets": {name: entry(name, text) for name, text in propositions.items()}}, path)


def _benchmark(taxonomy: Taxonomy, found: Sequence[tuple[Record, Place]], left_out: int) -> Benchmark:
    return Benchmark(taxonomy, apart((record, place.path, place.number) for record, place in found), left_out)


def _rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[Place, dict[str, str]]]:
    header: list[str] | None = None
    for place, cells in csv_rows(path):
        if header is not None:
            same_width(cells, header, place)
            yield place, dict(zip(header, cells, strict=True))
        elif missing := [name for name in columns if name not in cells]:
            raise place.error("is missing in the header", missing[0], f"It must have {', '.join(columns)}.")
        else:
            header = cells
    if header is None:
        raise StanceError("is empty", path=path)


def _tweet(place: Place, row: Mapping[str, str], name: str, part: Split) -> Record:
    if row["target"] != name:
        raise place.error(f"'{row['target']}', but the file is named after '{name}'", "target")
    return Record(
        id=f"{place.path.stem}-{place.number}",
        text=_text(place, row, "text"),
        labels={name: _label(place, row["label"], _TWEET_LABELS)},
        source="tweeteval",
        split=part,
    )


def _argument(place: Place, row: Mapping[str, str]) -> Record:
    proposition = _text(place, row, "proposition")
    return Record(
        id=f"argument-{place.number}",
        text=f"{proposition}: {_text(place, row, 'text')}",
        labels={ARGUMENT_TARGET: _label(place, row["label"], _ARGUMENT_LABELS)},
        source="arguments",
        group=proposition,
        split="train",
    )


def _text(place: Place, row: Mapping[str, str], field: str) -> str:
    if not (text := row[field].strip()):
        raise place.error("must be a text that is not empty", field)
    return text


def _label(place: Place, given: str, labels: Mapping[str, str | None]) -> str | None:
    if given not in labels:
        raise place.error(f"'{given}' is not a label of this data ({', '.join(labels)})", "label")
    return labels[given]


def _share(place: Place, given: str) -> float:
    try:
        value = float(given)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise place.error(f"'{given}' is not a number from 0 to 1", "confidence")
    return value

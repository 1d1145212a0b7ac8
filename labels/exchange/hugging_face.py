"""A folder as `datasets.Dataset.save_to_disk` writes it: a ClassLabel column for each target.

The classes of a column are `unrelated` (read, not touched) and those of the target; null where it was not read. What
each annotator said stands in the column `annotations`, with choices as texts.

Source: https://huggingface.co/docs/datasets/process#save
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from labels.corpus import Sentence
from labels.errors import StanceError, needs_package
from labels.exchange.entry import (
    ABOUT,
    DETAILS,
    Entry,
    Place,
    about_in,
    about_record,
    annotation_in,
    choice_of,
    details_of,
    label_chosen,
    target_named,
    text_in,
)
from labels.files import replacing_folder
from labels.records import Annotation, Labels
from labels.taxonomy import Taxonomy

ANNOTATIONS = "annotations"

_FIXED = (*ABOUT, "text", ANNOTATIONS)
_MARKS = ("state.json", "dataset_dict.json")
_SPLITS = {"train": "train", "validation": "dev", "dev": "dev", "test": "test"}
"""Part of the data, by the name of a dataset in a DatasetDict."""


def write(sentences: Sequence[Sentence], taxonomy: Taxonomy, path: Path) -> Counter[str]:
    """Write a dataset folder; an older one there is replaced.

    Raises:
        StanceError: a target has the name of another column, or something else is there already.
    """
    library = _library()
    for target_id in taxonomy.ids:
        if target_id in _FIXED:
            raise StanceError(
                f"a dataset has a column '{target_id}' already", field=f"targets.{target_id}", hint="Rename the target."
            )
    rows = [_row(sentence, taxonomy) for sentence in sentences]
    features = _features(taxonomy)
    dataset = library.Dataset.from_dict({name: [row[name] for row in rows] for name in features}, features=features)
    with replacing_folder(path, _MARKS, "a dataset") as folder, _without_bars():
        dataset.save_to_disk(str(folder))
    return Counter()


def _library() -> Any:
    try:
        import datasets
    except ImportError as error:
        raise needs_package("the format 'datasets'", error.name, "train") from error
    return datasets


def _features(taxonomy: Taxonomy) -> Any:
    library = _library()
    text = library.Value("string")
    annotation = {"annotator": text, "labels": dict.fromkeys(taxonomy.ids, text), **dict.fromkeys(DETAILS, text)}
    targets = {target.id: library.ClassLabel(names=list(target.outcomes)) for target in taxonomy}
    return library.Features(
        {"text": text, **targets, **dict.fromkeys(ABOUT, text), ANNOTATIONS: library.List(annotation)}
    )


def _row(sentence: Sentence, taxonomy: Taxonomy) -> dict[str, Any]:
    record = sentence.record
    said = [
        {
            "annotator": annotation.annotator,
            "labels": _choices(annotation.labels, taxonomy),
            **dict.fromkeys(DETAILS),
            **details_of(annotation),
        }
        for annotation in record.annotations
    ]
    about = {**dict.fromkeys(ABOUT), **about_record(record)}
    return {"text": sentence.text, **_choices(record.labels, taxonomy), **about, ANNOTATIONS: said}


def _choices(labels: Labels, taxonomy: Taxonomy) -> dict[str, str | None]:
    return {name: choice_of(labels[name]) if name in labels else None for name in taxonomy.ids}


@contextmanager
def _without_bars() -> Iterator[None]:
    library = _library()
    before = library.are_progress_bars_disabled()
    library.disable_progress_bars()
    try:
        yield
    finally:
        if not before:
            library.enable_progress_bars()


def read(path: Path, taxonomy: Taxonomy, left_out: Counter[str]) -> Iterator[Entry]:
    """Rows of a Dataset, or of all in a DatasetDict, whose names say `split` where there is no such column."""
    number = 0
    for split, dataset in _load(path):
        names = _class_names(dataset.features, taxonomy, path)
        for row in dataset:
            number += 1
            place = Place(path, number, lines=False)
            if split is not None and "split" not in names:
                row["split"] = _SPLITS.get(split, split)
            yield _entry(row, names, taxonomy, place)


def _load(path: Path) -> list[tuple[str | None, Any]]:
    library = _library()
    if not any((path / mark).is_file() for mark in _MARKS):
        raise StanceError("is not a folder that `save_to_disk` of datasets wrote", path=path)
    try:
        found = library.load_from_disk(str(path))
    except Exception as error:  # pyarrow, fsspec and json each raise their own for a damaged folder
        raise StanceError(f"cannot be read as a dataset: {error}", path=path) from error
    return list(found.items()) if isinstance(found, library.DatasetDict) else [(None, found)]


def _class_names(features: Mapping[str, Any], taxonomy: Taxonomy, path: Path) -> dict[str, list[str] | None]:
    """For each column the names of its classes, None where it holds texts.

    Raises:
        StanceError: a column is unknown.
    """
    for name in features:
        if name not in _FIXED and name not in taxonomy.ids:
            raise StanceError(
                f"is neither a target of the taxonomy ({', '.join(taxonomy.ids)}) nor one of {', '.join(_FIXED)}",
                path=path,
                field=name,
                hint="Name the right --targets file, or take the column out (`remove_columns`).",
            )
    return {name: getattr(feature, "names", None) for name, feature in features.items()}


def _entry(row: Mapping[str, Any], names: Mapping[str, list[str] | None], taxonomy: Taxonomy, place: Place) -> Entry:
    labels: dict[str, str | None] = {}
    for target in taxonomy:
        value = row.get(target.id)
        classes = names.get(target.id)
        if classes is not None and value is not None:
            # -1 is the library's own mark for a class that is not known.
            value = classes[value] if value >= 0 else None
        if value is not None:
            labels[target.id] = label_chosen(value, target, place, target.id)
    about = about_in({"id": f"{place.path.name}-{place.number}", **row}, place)
    said = row.get(ANNOTATIONS) or []
    if not isinstance(said, list):
        raise place.error("must be a list", ANNOTATIONS)
    annotations = tuple(
        _annotation(raw, taxonomy, replace(place, within=f"{ANNOTATIONS}.{n}.")) for n, raw in enumerate(said)
    )
    return Entry(place, about, text_in(row, place), labels, annotations)


def _annotation(raw: object, taxonomy: Taxonomy, place: Place) -> Annotation:
    choices = raw.get("labels") if isinstance(raw, dict) else None
    if not isinstance(raw, dict) or not isinstance(choices, dict):
        raise place.error("must be a struct of annotator and labels")
    labels: dict[str, str | None] = {}
    for name, choice in choices.items():
        if choice is not None:
            target = target_named(name, taxonomy, place, f"labels.{name}")
            labels[name] = label_chosen(choice, target, place, f"labels.{name}")
    return annotation_in(place, raw.get("annotator"), labels, raw)

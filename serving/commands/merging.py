"""`stance labels merge`: new labels into those that are known, and what came of it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from labels.corpus import load_corpus, resolve
from labels.errors import StanceError
from labels.records import default_label_files, read_records
from labels.taxonomy import DEFAULT_TARGETS, UNRELATED, load_taxonomy
from serving.commands.console import Corpus, Json, Labels, Targets, err, example, labels_app, out, print_json

if TYPE_CHECKING:
    from labels.merging import Merged

SHOWN = 20
"""Conflicts, and records that are left out, that are printed for people; `--json` has all."""


@labels_app.command("merge", epilog=example("stance labels merge labels.db --labels known.jsonl --out merged.jsonl"))
def labels_merge(
    new: Annotated[list[Path], typer.Argument(help="Label store, label records (JSONL) or Label Studio export.")],
    out_file: Annotated[Path, typer.Option("--out", help="Label file (JSONL) to write; replaced if it is there.")],
    labels: Labels = None,
    targets: Targets = DEFAULT_TARGETS,
    corpus: Corpus = None,
    as_json: Json = False,
) -> None:
    """Merge new labels with known ones, and say where they differ and what is left out."""
    from labels.merging import merge, read_new_labels, write_records

    if any(out_file.exists() and path.exists() and out_file.samefile(path) for path in new):
        raise StanceError("is what is to be merged", path=out_file, hint="Name another --out.")
    taxonomy = load_taxonomy(targets)
    known = read_records(labels or default_label_files(), taxonomy)
    arrived = [record for path in new for record in read_new_labels(path, taxonomy)]
    found = resolve([*known, *arrived], load_corpus(corpus))
    if found.missing:
        err.print(
            f"note: the texts of {found.missing.total()} records are not at hand (--corpus DIR); near copies of theirs "
            "are not looked for."
        )
    merged = merge(known, arrived, {sentence.record.id: sentence.text for sentence in found.sentences})
    write_records(merged.records, out_file)
    if as_json:
        rest = {name: [asdict(each) for each in getattr(merged, name)] for name in ("conflicts", "left_out")}
        counts = {name: getattr(merged, name) for name in ("added", "changed", "same")}
        print_json({"out": str(out_file), "records": len(merged.records), **counts, **rest})
        return
    out.print(
        f"wrote {out_file}: {len(merged.records)} records ({merged.added} added, {merged.changed} changed; of "
        f"{merged.same} the new labels say nothing new)",
        markup=False,
    )
    _print_left_out(merged)
    _print_conflicts(merged)


def _print_left_out(merged: Merged) -> None:
    if merged.left_out:
        out.print(f"{len(merged.left_out)} new records are left out{_first(len(merged.left_out))}:")
    for each in merged.left_out[:SHOWN]:
        out.print(f"  {each.record}: {each.why}", markup=False)


def _print_conflicts(merged: Merged) -> None:
    if not merged.conflicts:
        return
    title = f"{len(merged.conflicts)} conflicts{_first(len(merged.conflicts))}"
    table = Table(title=title, title_justify="left", box=None)
    for column in ("id", "target", "known", "new", "kept", "why"):
        table.add_column(column)
    for each in merged.conflicts[:SHOWN]:
        row = (each.record, each.target, each.known or UNRELATED, each.new or UNRELATED, each.kept, each.why)
        table.add_row(*(Text(cell) for cell in row))
    out.print(table)


def _first(count: int) -> str:
    return f" (the first {SHOWN}; --json has all)" if count > SHOWN else ""

"""`stance labels resolve` and `manifest`: label files and their corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from labels.corpus import CORPUS_VARIABLE, load_corpus, resolve, write_manifest
from labels.records import default_label_files, read_records
from labels.taxonomy import DEFAULT_TARGETS, load_taxonomy
from serving.commands.console import Corpus, Json, Labels, Targets, example, labels_app, out, print_json


@labels_app.command("resolve", epilog=example("stance labels resolve --labels mine.jsonl --corpus DIR"))
def labels_resolve(
    labels: Labels = None, targets: Targets = DEFAULT_TARGETS, corpus: Corpus = None, as_json: Json = False
) -> None:
    """Say how many stand-off labels find their text in the corpus, and which do not."""
    records = read_records(labels or default_label_files(), load_taxonomy(targets))
    resolution = resolve(records, load_corpus(corpus))
    own = sum(record.ref is None for record in records)
    resolved = len(resolution.sentences) - own
    if as_json:
        counts = {"records": len(records), "own_text": own, "resolved": resolved}
        print_json({**counts, "unresolved": resolution.missing.total(), "missing": dict(resolution.missing)})
        return
    out.print(
        f"{len(records)} records: {own} hold their text, {resolved} resolve, {resolution.missing.total()} do not."
    )
    if resolution.missing and corpus is None:
        out.print(f"No corpus was named: --corpus DIR, or {CORPUS_VARIABLE}.")
        return
    for doc, count in sorted(resolution.missing.items()):
        out.print(f"  {doc}: not in the corpus, {count} records")


@labels_app.command("manifest", epilog=example("stance labels manifest --corpus DIR --out manifest.jsonl"))
def labels_manifest(
    out_file: Annotated[Path, typer.Option("--out", help="File to write.")],
    labels: Labels = None,
    targets: Targets = DEFAULT_TARGETS,
    corpus: Corpus = None,
) -> None:
    """Write where each labelled document was collected (no titles, no text), so that others can gather them."""
    records = read_records(labels or default_label_files(), load_taxonomy(targets))
    count = write_manifest(records, load_corpus(corpus), out_file)
    out.print(f"wrote {out_file}: {count} documents")

"""`stance labels annotate` and `export`: labels made by hand, and the store that they go into."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from labels.corpus import CORPUS_VARIABLE
from labels.errors import StanceError
from labels.taxonomy import CODEBOOK, DEFAULT_TARGETS, load_taxonomy
from serving.commands.console import Corpus, Json, Targets, err, example, labels_app, out, print_json

Store = Annotated[Path, typer.Option("--store", help="Label store (SQLite); it is made where there is none.")]


@labels_app.command(
    "annotate", epilog=example("stance labels annotate --source sentences.txt --store labels.db --annotator reader-1")
)
def labels_annotate(
    source: Annotated[
        str,
        typer.Option(
            "--source",
            help="What to label: JSONL with text or ref, plain text with a sentence a line, "
            "or the word corpus: sentences of the --corpus documents that have no label yet.",
        ),
    ],
    store: Store,
    annotator: Annotated[str, typer.Option("--annotator", help="Your name, as it is kept with every label.")],
    targets: Targets = DEFAULT_TARGETS,
    corpus: Corpus = None,
    codebook: Annotated[
        str | None,
        typer.Option(
            "--codebook",
            help="Version of the codebook that you follow.",
            show_default=f"{CODEBOOK} with the project's own targets",
        ),
    ] = None,
) -> None:
    """Label sentences by hand, one at a time, in the terminal; what is saved is not shown again."""
    if not annotator.strip():
        raise typer.BadParameter("must be a name", param_hint="--annotator")
    if source == "corpus" and corpus is None:
        raise typer.BadParameter(f"--source corpus needs --corpus DIR (or {CORPUS_VARIABLE})")
    try:
        from labels.terminal import ClosedError, Terminal, label_by_hand
    except ImportError as error:
        raise StanceError("labelling by hand needs a Unix terminal", hint="On Windows, use WSL.") from error
    from labels.annotate import Sitting
    from labels.store import open_store
    from labels.worklist import find_sentences

    terminal = Terminal()
    taxonomy = load_taxonomy(targets)
    work = find_sentences(source, corpus, taxonomy)
    if work.missing:
        err.print(
            f"note: {work.missing.total()} sentences are left out: the corpus lacks the {len(work.missing)} documents "
            "that they stand in (--corpus DIR)."
        )
    if codebook is None and targets == DEFAULT_TARGETS:
        codebook = CODEBOOK
    with open_store(store) as opened:
        sitting = Sitting(work.sentences, opened, taxonomy, annotator.strip(), lambda: datetime.now(UTC), codebook)
        try:
            if sitting.left:
                label_by_hand(sitting, terminal)
        except ClosedError as closed:
            # Nobody is left to read anything; what Python holds back for the terminal must not fail either.
            for stream in (sys.stdout, sys.stderr):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            raise typer.Exit(128 + int(closed.args[0])) from None
    skipped = f", {sitting.skipped} skipped" if sitting.skipped else ""
    out.print(
        f"{store}: {sitting.labelled} labelled by {annotator.strip()}{skipped}, {sitting.left} left", markup=False
    )


@labels_app.command("export", epilog=example("stance labels export --store labels.db --out mine.jsonl"))
def labels_export(
    store: Annotated[Path, typer.Option("--store", help="Label store.")],
    out_file: Annotated[Path, typer.Option("--out", help="Label file (JSONL) to write.")],
    targets: Targets = DEFAULT_TARGETS,
    as_json: Json = False,
) -> None:
    """Write a store's labels as a label file that `train` reads: a record a sentence, whoever labelled it."""
    from labels.consensus import DIFFERING
    from labels.export import export_labels

    decided = export_labels(store, out_file, load_taxonomy(targets))
    if as_json:
        print_json({"out": str(out_file), "records": sum(decided.values()), **decided})
        return
    how = ", ".join(f"{count} {name}" for name, count in decided.items() if count)
    out.print(f"wrote {out_file}: {sum(decided.values())} records{f' ({how})' if how else ''}", markup=False)
    if decided[DIFFERING]:
        out.print("Where annotators differ the target is left out; the record's note says who said what.")

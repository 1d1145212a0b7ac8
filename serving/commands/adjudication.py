"""`stance labels adjudicate`: decide what annotators differ on."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from labels.adjudication import Adjudication, Disagreement, disagreements, read_rows
from labels.codebook import codebook_sections
from labels.corpus import load_corpus, resolve
from labels.decisions import export_disagreements, read_decisions
from labels.errors import StanceError
from labels.taxonomy import DEFAULT_TARGETS, load_taxonomy
from serving.commands.console import Corpus, Targets, err, example, labels_app, out
from serving.dialogue import Dialogue


@labels_app.command(
    "adjudicate", epilog=example("stance labels adjudicate reader-1.jsonl reader-2.jsonl --out decided.jsonl")
)
def labels_adjudicate(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="A label file with annotations, or one file for each annotator."),
    ],
    out_file: Annotated[
        Path | None, typer.Option("--out", help="Label file to write; one that is there already is gone on with.")
    ] = None,
    targets: Targets = DEFAULT_TARGETS,
    corpus: Corpus = None,
    export: Annotated[
        Path | None, typer.Option("--export", help="Only write the disagreements to this file, to be filled in.")
    ] = None,
    decisions: Annotated[
        Path | None, typer.Option("--decisions", help="Take decisions from this filled-in file.")
    ] = None,
) -> None:
    """Decide what annotators differ on, in the terminal or by a file; what each of them said is kept."""
    if (out_file is None) == (export is None):
        raise typer.BadParameter("give either --out FILE or --export FILE")
    if export and decisions:
        raise typer.BadParameter("--decisions goes with --out")
    taxonomy = load_taxonomy(targets)
    rows, passed_over = read_rows(files, taxonomy)
    if passed_over:
        err.print(f"note: {passed_over} records without annotations are left out.")
    waiting = disagreements((row.record for row in rows), taxonomy)
    if export:
        count = export_disagreements(waiting, _texts(waiting, corpus), export)
        out.print(f"wrote {export}: {count} disagreements; fill in each 'decision'", markup=False)
    elif decisions and out_file:
        # Read before --out is touched: all are applied, or nothing is written.
        made = read_decisions(decisions, waiting, taxonomy)
        adjudication = Adjudication(rows, taxonomy, out_file)
        adjudication.decide(made)
        _print_state(adjudication, out_file)
    elif out_file:
        if not sys.stdin.isatty():
            raise StanceError(
                "there is no terminal to ask in", hint="Use --export FILE, fill it in, and --decisions FILE."
            )
        texts = _texts(waiting, corpus)
        adjudication = Adjudication(rows, taxonomy, out_file)
        Dialogue(adjudication, taxonomy, texts, codebook_sections(targets, taxonomy.ids)).run()
        _print_state(adjudication, out_file)


def _print_state(adjudication: Adjudication, out_file: Path) -> None:
    done = len(adjudication.disagreements) - len(adjudication.open)
    out.print(f"wrote {out_file}: {done} of {len(adjudication.disagreements)} disagreements decided", markup=False)


def _texts(waiting: Iterable[Disagreement], corpus: Path | None) -> dict[str, str]:
    """Record id → sentence, of those whose text is at hand."""
    records = [disagreement.record for disagreement in waiting]
    return {s.record.id: s.text for s in resolve(records, load_corpus(corpus)).sentences}

"""`stance analyze`, and `stance documents evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from labels.records import default_label_files
from serving.commands.console import (
    Corpus,
    Json,
    Labels,
    ModelFolder,
    ModelInUse,
    app,
    check_targets,
    err,
    example,
    model_in_use,
    out,
    print_json,
    progress,
)

if TYPE_CHECKING:
    from serving.analysis.documents import Analysis
    from serving.analysis.totals import Total
    from training.resampling import Figure

documents_app = typer.Typer(help="Totals of documents.", no_args_is_help=True)
app.add_typer(documents_app, name="documents")

_NAMES = {"author": "the author", "others": "those quoted or reported", "nobody": "nobody's position"}
_ROWS = 15
_SHOWN = 90


@app.command(epilog=example("stance analyze article.txt", "stance analyze articles.jsonl --json > documents.jsonl"))
def analyze(
    file: Annotated[
        str,
        typer.Argument(
            help='A document, or JSONL ({"text", optional "title", "date", "source"}); - for standard input.'
        ),
    ],
    model: ModelInUse = None,
    aliases: Annotated[
        Path | None, typer.Option("--aliases", help="Alias file. Default: STANCE_ALIASES, else the one that ships.")
    ] = None,
    target: Annotated[list[str] | None, typer.Option("--target", help="Only this target; may be repeated.")] = None,
    as_json: Json = False,
) -> None:
    """Read documents whole: who says what on which target, and what it adds up to, the author apart from others."""
    from serving.analysis.aliases import load_aliases
    from serving.analysis.documents import analyze as analyzed
    from serving.analysis.documents import as_json as to_json
    from serving.analysis.documents import read_documents
    from serving.analysis.files import documents_from
    from serving.analysis.tagger import shipped_tagger
    from training.model_folder import load_model

    documents, names = documents_from(file), load_aliases(aliases)
    trained, tagger = load_model(model_in_use(model)), shipped_tagger()
    check_targets(target, trained.taxonomy.ids)
    with progress() as report:
        found = analyzed(
            documents, read_documents(documents), trained, names, tagger, targets=target or None, progress=report
        )
    if tagger is None:
        err.print("no tagger of holders is installed: they are told by quotations and verbs alone")
    for one in found:
        if as_json:
            print_json(to_json(one))
        else:
            _print_readable(one)


def _print_readable(analysis: Analysis) -> None:
    document, reading = analysis.document, analysis.reading
    title = ", ".join(part for part in (document.title, document.source, document.date) if part)
    out.print(title or f"{' '.join(document.text.split())[:_SHOWN]} …", style="bold", markup=False)
    out.print(f"  {len(reading.sentences)} sentences, {len(reading.quotations)} quotations", markup=False)
    for target, by_voice in analysis.totals.items():
        for voice, summed in by_voice.items():
            out.print(f"\n  {target}, {_NAMES[voice]}: {_said(summed)}", markup=False)
            for number in summed.evidence:
                start, end = reading.sentences[number]
                score = analysis.scores[number]["targets"][target]["score"]
                shown = " ".join(reading.text[start:end].split())
                cut = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]} …"
                out.print(f"    {score:+.2f}  {number:>3}  {cut}", markup=False)
    if analysis.table:
        out.print()
        out.print(_table(analysis))


def _said(summed: Total) -> str:
    interval = "" if summed.low is None else f" [{summed.low:+.2f} to {summed.high:+.2f}]"
    unsure = f", {summed.unsure} of them not sure enough" if summed.unsure else ""
    return f"{summed.score:+.2f}{interval} from {summed.sentences} sentence{'s' * (summed.sentences > 1)}{unsure}"


def _table(analysis: Analysis) -> Table:
    shown = [target for target, by_voice in analysis.totals.items() if "others" in by_voice]
    table = Table(
        "holder", "of", "sentences", *shown, title="score (sentences) by holder", title_justify="left", box=None
    )
    for row in analysis.table[:_ROWS]:
        cells = (row.targets.get(target) for target in shown)
        said = (f"{cell.score:+.2f} ({cell.sentences})" if cell else "" for cell in cells)
        name = "several" if row.kind == "several" else row.holder or "not named"
        table.add_row(name, row.of or "", str(row.sentences), *said)
    if len(analysis.table) > _ROWS:
        table.caption = f"and {len(analysis.table) - _ROWS} more: --json has them all"
    return table


@documents_app.command("evaluate", epilog=example("stance documents evaluate --split test --corpus DIR"))
def evaluate(
    model: ModelFolder = None,
    labels: Labels = None,
    corpus: Corpus = None,
    split: Annotated[
        str | None,
        typer.Option(help="Part of the data to score: test or dev. Default: what was held out of training."),
    ] = None,
    as_json: Json = False,
) -> None:
    """How near a model's totals of documents come to those of their labels."""
    from serving.analysis.comparison import compare_totals, held_out_of, scored_part
    from training.model_folder import load_model
    from training.train import read_labelled

    scored = load_model(model, cache=True)
    if split is None:
        totalled = held_out_of(scored)
    else:
        data = read_labelled(tuple(labels or default_label_files()), scored.taxonomy, corpus, skip_unknown_targets=True)
        with progress() as report:
            totalled = scored_part(scored, data, split, report)
    found = compare_totals(totalled)
    if as_json:
        print_json({target: compared.as_dict() for target, compared in found.items()})
        return
    table = Table(
        "target", "documents", "correlation", "mean difference", "of always the mean", "in the interval", box=None
    )
    for target, compared in found.items():
        figures = (_figure(f) for f in (compared.correlation, compared.difference, compared.floor, compared.inside))
        table.add_row(target, str(compared.documents), *figures)
    out.print(table)


def _figure(figure: Figure) -> str:
    if figure["value"] is None:
        return "too few"
    return f"{figure['value']:.2f} [{figure['low']:.2f}–{figure['high']:.2f}]"

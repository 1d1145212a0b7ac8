"""`stance holders`: train the tagger that says whose stance a sentence voices, and score it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from labels.records import Split, default_label_files
from labels.taxonomy import DEFAULT_TARGETS, load_taxonomy
from serving.commands.console import Corpus, Json, Labels, Targets, app, example, out, print_json, progress

holders_app = typer.Typer(help="Whose stance a sentence voices: train and score the tagger.", no_args_is_help=True)
app.add_typer(holders_app, name="holders")

TaggerFolder = Annotated[
    Path | None, typer.Option("--model", help="Folder of a holder tagger. Default: the one that ships.")
]


@holders_app.command(epilog=example("stance holders train --labels mine.jsonl --out taggers/mine"))
def train(
    out_dir: Annotated[Path, typer.Option("--out", help="Folder of the tagger to write.")],
    labels: Labels = None,
    targets: Targets = DEFAULT_TARGETS,
    corpus: Corpus = None,
    as_json: Json = False,
) -> None:
    """Train a tagger on the field `holder` of the training part of label files."""
    from training.holder_labels import read_holders
    from training.holder_learning import learn

    sentences = read_holders(tuple(labels or default_label_files()), load_taxonomy(targets), corpus, "train")
    with progress() as report:
        tagger = learn(sentences, progress=report).save(out_dir)
    if as_json:
        print_json({"version": tagger.version, "out": str(out_dir), **tagger.about, "metrics": tagger.metrics})
        return
    data = tagger.about["data"]
    out.print(f"wrote {out_dir}: {tagger.version}, {data['sentences']} sentences, {data['groups']} groups")
    _print_figures(tagger.metrics)


@holders_app.command(epilog=example("stance holders evaluate --split test --corpus DIR"))
def evaluate(
    model: TaggerFolder = None,
    labels: Labels = None,
    targets: Targets = DEFAULT_TARGETS,
    corpus: Corpus = None,
    split: Annotated[
        str | None,
        typer.Option(help="Part of the data to score: test or dev. Default: what was held out when it was trained."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say how well a tagger finds holders, beside rules, the floor "nearest name" and two passes of labelling."""
    from training.holder_labels import read_holders
    from training.holder_learning import scored
    from training.holder_tagger import load_tagger

    tagger = load_tagger(model)
    if split is None:
        metrics = {"version": tagger.version, **tagger.metrics}
    else:
        sentences = read_holders(
            tuple(labels or default_label_files()), load_taxonomy(targets), corpus, _scored_part(split)
        )
        metrics = scored(tagger, sentences)
    if as_json:
        print_json(metrics)
    else:
        _print_figures(metrics)


def _scored_part(split: str) -> Split:
    if split == "test":
        return "test"
    if split == "dev":
        return "dev"
    raise typer.BadParameter("must be test or dev", param_hint="--split")


_COLUMNS = {
    "kind_accuracy": "kind right",
    "kind_macro_f1": "macro-F1",
    "exact_f1": "exact F1",
    "overlap_f1": "overlap F1",
    "all_right": "all right",
}
_ROWS = {"tagger": "tagger", "rules": "rules", "floor": "nearest name", "passes": "first pass against second"}


def _print_figures(metrics: Mapping[str, Any]) -> None:
    if "method" in metrics:
        out.print(metrics["method"])
    for name, title in (("all", "All sentences"), ("twice", "Labelled in two passes")):
        if name not in metrics:
            continue
        of = metrics[name]
        table = Table(
            title=f"{title}: {of['tagger']['sentences']}, {of['groups']} groups", title_justify="left", box=None
        )
        table.add_column("")
        for column in _COLUMNS.values():
            table.add_column(column, justify="right")
        for who, row in _ROWS.items():
            if who in of:
                table.add_row(row, *(_interval(of[who][key]) for key in _COLUMNS))
        out.print(table)
    if stated := metrics.get("all", {}).get("probability"):
        out.print(f"probabilities: Brier score {stated['brier']}, calibration error {stated['calibration_error']}")


def _interval(figure: Mapping[str, float | None]) -> str:
    if figure["value"] is None:
        return "–"
    if figure["low"] is None or figure["high"] is None:
        return f"{figure['value']:.3f}"
    return f"{figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"

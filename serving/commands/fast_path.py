"""`stance fast-path`: a student that answers the clear sentences of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from labels.errors import StanceError
from labels.records import default_label_files
from serving.commands.console import Corpus, Json, Labels, ModelFolder, app, example, out, print_json, progress

fast_path_app = typer.Typer(
    help="The fast path: a student that answers the clear sentences, so that the encoder reads the others only.",
    no_args_is_help=True,
)
app.add_typer(fast_path_app, name="fast-path")


@fast_path_app.command(
    "train", epilog=example("stance fast-path train --model models/mine --corpus DIR --out models/mine-fast")
)
def fast_path_train(
    out_dir: Annotated[
        Path, typer.Option("--out", help="Model folder to write: the same model, with a fast path; may be --model.")
    ],
    model: ModelFolder = None,
    labels: Labels = None,
    corpus: Corpus = None,
    as_json: Json = False,
) -> None:
    """Train a fast path for a model, on the labels that the model itself was trained on and the rest of the corpus."""
    from training.fast_path_training import train_fast_path
    from training.model_folder import load_model, save_model
    from training.train import read_labelled, sentences_to_teach

    teacher = load_model(model)
    files = tuple(labels or default_label_files())
    data = read_labelled(files, teacher.taxonomy, corpus, skip_unknown_targets=True)
    with progress() as report:
        made = train_fast_path(teacher, data.part("train"), sentences_to_teach(data, files, corpus), progress=report)
    saved = save_model(replace(teacher, fast_path=made), out_dir)
    if saved.fast_path is None:
        raise StanceError(f"{teacher.version} was written by another version of this program", hint="Train it again.")
    if as_json:
        print_json({"version": saved.version, "out": str(out_dir), **made.figures})
        return
    out.print(f"wrote {out_dir}: {saved.version} with a fast path")
    out.print(_curve(made.figures))
    out.print()
    _print_figures("Held-out sentences", made.figures["held_out"])


@fast_path_app.command("evaluate", epilog=example("stance fast-path evaluate --model models/mine-fast --corpus DIR"))
def fast_path_evaluate(
    model: ModelFolder = None,
    labels: Labels = None,
    corpus: Corpus = None,
    split: Annotated[str, typer.Option(help="Part of the data to score: test or dev.")] = "test",
    as_json: Json = False,
) -> None:
    """Score a model with and without its fast path, on sentences that it was not trained on."""
    from training.fast_path_figures import evaluate_fast_path
    from training.model_folder import load_model
    from training.train import read_labelled

    scored = load_model(model, cache=True)
    data = read_labelled(tuple(labels or default_label_files()), scored.taxonomy, corpus, skip_unknown_targets=True)
    with progress() as report:
        figures = evaluate_fast_path(scored, data, split, report)
    if as_json:
        print_json(figures)
    else:
        _print_figures(f"Sentences of the part '{split}'", figures)


def _points(figure: Mapping[str, float | None] | None, scale: float = 100.0, unit: str = "") -> str:
    if figure is None or figure["value"] is None:
        return "–"
    low, high = figure["low"], figure["high"]
    span = "" if low is None or high is None else f" [{scale * low:.2f}, {scale * high:.2f}]"
    return f"{scale * figure['value']:.2f}{unit}{span}"


def _curve(figures: Mapping[str, Any]) -> Table:
    table = Table(title="Held-out sentences: how far the gate could open", title_justify="left", box=None)
    for column in ("answered by the fast path", "macro-F1 lost, points [95%]", "at most, with 90%", "opened"):
        table.add_column(column, justify="right")
    for row in figures["curve"]:
        opened = "yes" if row["opened"] else "no"
        table.add_row(f"{row['share']:.0%}", _points(row["lost"]), f"{100 * row['bound']:.2f}", opened)
    return table


def _print_figures(title: str, figures: Mapping[str, Any]) -> None:
    macro, sure = figures["macro_f1"], figures["sure"]
    out.print(f"{title}: {figures['sentences']} of {figures['groups']} groups", style="bold", markup=False)
    rows = {
        "answered by the fast path, %": _points(figures["fast"]),
        "macro-F1 lost, points": f"{_points(figures['lost'])} ({macro['model']} → {macro['with_fast_path']})",
        **{f"  {target_id}": _points(of) for target_id, of in figures["targets"].items()},
        "calibration error of its answers": _points(figures["ece"], 1.0),
        "  of the model about the same": _points(figures["model_ece"], 1.0),
        "wrong of those it is sure of, %": f"{_points(sure['wrong'])} of {sure['answers']}",
    }
    for name, value in rows.items():
        out.print(f"  {name:<34} {value}", markup=False)

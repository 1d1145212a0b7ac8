"""`stance benchmark`: methods tried on public stance data, which is not part of the product."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from serving.commands.console import Json, app, err, example, out, print_json, progress

if TYPE_CHECKING:
    from labels.exchange.benchmarks import Benchmark

benchmark_app = typer.Typer(help="Try methods on public stance data.", no_args_is_help=True)
prepare_app = typer.Typer(help="Label records and a taxonomy of public stance data.", no_args_is_help=True)
app.add_typer(benchmark_app, name="benchmark")
benchmark_app.add_typer(prepare_app, name="prepare")

Out = Annotated[Path, typer.Option("--out", help="Folder for labels.jsonl and targets.yaml.")]


@prepare_app.command("tweeteval", epilog=example("stance benchmark prepare tweeteval tweeteval_stance --out tweets"))
def tweeteval(
    folder: Annotated[Path, typer.Argument(help="Folder of TARGET-train.csv and TARGET-val.csv.")], out_dir: Out
) -> None:
    """The stance part of TweetEval: train becomes the part train, val the part dev."""
    from labels.exchange.benchmarks import read_tweeteval

    _write(read_tweeteval(folder), out_dir, "tweets for training stand in val too")


@prepare_app.command(
    "ibm", epilog=example("stance benchmark prepare ibm ibm_argq30k_stance.csv --min-confidence 0.9 --out arguments")
)
def ibm(
    file: Annotated[Path, typer.Argument(help="CSV of propositions and arguments.")],
    out_dir: Out,
    min_confidence: Annotated[float, typer.Option(min=0, max=1, help="Leave out rows of less confidence.")] = 0.0,
) -> None:
    """IBM's arguments for and against propositions: all of them for training."""
    from labels.exchange.benchmarks import read_arguments

    _write(read_arguments(file, min_confidence), out_dir, "arguments are of less confidence")


def _write(benchmark: Benchmark, out_dir: Path, why_left_out: str) -> None:
    from labels.exchange.benchmarks import write_benchmark

    write_benchmark(benchmark, out_dir)
    if benchmark.left_out:
        err.print(f"note: {benchmark.left_out} rows are left out: these {why_left_out}.", markup=False)
    targets = ", ".join(benchmark.taxonomy.ids)
    out.print(f"wrote {out_dir}: {len(benchmark.records)} records; targets: {targets}", markup=False)


@benchmark_app.command(
    "score", epilog=example("stance benchmark score --labels tweets/labels.jsonl --models models/frozen models/started")
)
def score(
    models: Annotated[list[Path], typer.Option("--models", help="Model folder; may be repeated.")],
    labels: Annotated[Path, typer.Option(help="The labels.jsonl that `stance benchmark prepare` wrote.")],
    split: Annotated[str, typer.Option(help="Part of the data to score.")] = "dev",
    as_json: Json = False,
) -> None:
    """F_avg pooled over all targets, and each model's difference from the first on the same sentences."""
    from training.benchmark import benchmark
    from training.model_folder import load_model
    from training.train import read_labelled

    loaded = [(folder, load_model(folder, cache=True)) for folder in models]
    data = read_labelled([labels], loaded[0][1].taxonomy, None)
    with progress() as report:
        figures = benchmark(loaded, data, split, report)
    if as_json:
        print_json(figures)
        return
    if figures["left_out_as_trained_on"]:
        err.print(f"note: {figures['left_out_as_trained_on']} sentences are left out: a model was trained on them.")
    out.print(_table(figures))


@benchmark_app.command(
    "cross-validate",
    epilog=example(
        "stance benchmark cross-validate --labels tweets/labels.jsonl --targets tweets/targets.yaml --recipe floor"
    ),
)
def cross_validate(
    recipe: Annotated[list[str], typer.Option(help="Name of a recipe, or a recipe file of your own; may be repeated.")],
    labels: Annotated[Path, typer.Option(help="The labels.jsonl that `stance benchmark prepare` wrote.")],
    targets: Annotated[Path, typer.Option(help="The targets.yaml beside it.")],
    start: Annotated[
        Path | None, typer.Option(help="Fine-tuned model folder that fine-tuned recipes begin with.")
    ] = None,
    as_json: Json = False,
) -> None:
    """The same figures of recipes, on the sentences for training, held out in turn: there are more of them."""
    from labels.taxonomy import load_taxonomy
    from training.benchmark import cross_validated
    from training.families import HelpFrom
    from training.help_from import adapters_of
    from training.recipes import load_recipe
    from training.train import read_labelled

    recipes = [load_recipe(name) for name in recipe]
    data = read_labelled([labels], load_taxonomy(targets), None)
    with progress() as report:
        figures = cross_validated(recipes, data, HelpFrom(start=adapters_of(start) if start else None), report)
    if as_json:
        print_json(figures)
        return
    out.print(_table(figures))


def _table(figures: Mapping[str, Any]) -> Table:
    from training.pages import interval

    title = f"{figures['sentences']} sentences, {figures['groups']} groups of the part {figures['split']}"
    table = Table(title=title, title_justify="left", box=None)
    table.add_column("model")
    table.add_column("recipe")
    table.add_column("pooled F_avg", justify="right")
    table.add_column("minus the first", justify="right")
    for row in figures["models"]:
        minus = interval(row["minus_first"], 3) if "minus_first" in row else ""
        table.add_row(row.get("folder", ""), row["recipe"], interval(row["pooled_pole_f1"], 3), minus)
    return table

"""`stance propositions`: train the model for issues without labels, and score it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from labels.records import default_label_files
from labels.taxonomy import DEFAULT_TARGETS, Taxonomy, load_taxonomy
from labels.wordings import DEFAULT_WORDINGS, Wordings, read_wordings
from serving.commands.console import Corpus, Json, Labels, Targets, app, example, out, print_json, progress

propositions_app = typer.Typer(
    help="Issues without labels, given as propositions: train the model for them, and score it.", no_args_is_help=True
)
app.add_typer(propositions_app, name="propositions")


WordingsFile = Annotated[
    Path | None,
    typer.Option("--wordings", help="Issues in other words (YAML). Default: the project's, for its targets."),
]


@propositions_app.command(epilog=example("stance propositions train --labels mine.jsonl --out models/propositions"))
def train(
    out_dir: Annotated[Path, typer.Option("--out", help="Folder of the model to write.")],
    labels: Labels = None,
    targets: Targets = DEFAULT_TARGETS,
    corpus: Corpus = None,
    wordings: WordingsFile = None,
    arguments: Annotated[
        Path | None,
        typer.Option("--arguments", help="Public arguments to learn from first (CSV, docs/propositions.md)."),
    ] = None,
    recipe: Annotated[Path | None, typer.Option("--recipe", help="Recipe (YAML). Default: the project's own.")] = None,
    beside: Annotated[
        Path | None, typer.Option("--beside", help="Model folder to compare with. Default: the one that ships.")
    ] = None,
    score_test: Annotated[
        bool, typer.Option("--score-test", help="Score the part `test` too, once all is settled.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Train on the issues of label files, each left out in turn for the figures."""
    from labels.exchange.benchmarks import read_arguments
    from training.model_folder import load_model
    from training.pairs import Arguments
    from training.relation_recipe import DEFAULT_RELATION_RECIPE, load_relation_recipe
    from training.relation_training import train_relations
    from training.train import read_labelled

    how = load_relation_recipe(recipe or DEFAULT_RELATION_RECIPE)
    taxonomy = load_taxonomy(targets)
    words = _wordings(wordings, targets, taxonomy)
    public = Arguments.of(read_arguments(arguments)) if arguments else Arguments([], [], [])
    data = read_labelled(tuple(labels or default_label_files()), taxonomy, corpus)
    with progress() as report:
        trained = train_relations(
            data, words, public, how, beside=load_model(beside), score_test=score_test, progress=report
        )
        model = trained.save(out_dir)
    if as_json:
        print_json({"version": model.version, "out": str(out_dir), **model.about, "metrics": model.metrics})
        return
    about = model.about["data"]
    out.print(f"wrote {out_dir}: {model.version}, {about['sentences']} sentences, {about['groups']} groups")
    _print_figures(model.metrics)


@propositions_app.command(epilog=example("stance propositions evaluate"))
def evaluate(
    model: Annotated[
        Path | None, typer.Option("--model", help="Folder of such a model. Default: the one that ships.")
    ] = None,
    labels: Labels = None,
    targets: Targets = DEFAULT_TARGETS,
    corpus: Corpus = None,
    wordings: WordingsFile = None,
    split: Annotated[
        str | None,
        typer.Option(help="Part of --labels to score: train, dev or test. Default: the figures of its training."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say how well a model judges issues that it was not taught: those left out in its training, or labels of yours."""
    from training.relation_model import load_relation_model
    from training.relation_scoring import scored
    from training.train import read_labelled

    trained = load_relation_model(model)
    if split is None:
        metrics = {"version": trained.version, **trained.metrics}
    elif split not in ("train", "dev", "test"):
        raise typer.BadParameter("must be train, dev or test", param_hint="--split")
    else:
        taxonomy = load_taxonomy(targets)
        data = read_labelled(tuple(labels or default_label_files()), taxonomy, corpus)
        with progress() as report:
            metrics = scored(trained, data, split, _wordings(wordings, targets, taxonomy), report)
    if as_json:
        print_json(metrics)
    else:
        _print_figures(metrics)


def _wordings(path: Path | None, targets: Path, taxonomy: Taxonomy) -> dict[str, Wordings]:
    return read_wordings(path or (DEFAULT_WORDINGS if targets == DEFAULT_TARGETS else None), taxonomy)


def _print_figures(metrics: Mapping[str, Any]) -> None:
    if "method" in metrics:
        out.print(metrics["method"])
    if taught := metrics.get("taught"):
        out.print(f"it was taught {', '.join(taught)}: figures of these are not those of issues without labels")
    for name, title in (("held_out", "Held-out sentences"), ("test", "Test part"), ("scored", "Sentences")):
        if name in metrics:
            _print_part(metrics[name], title)


_SYSTEMS = {
    "zero_shot": "zero-shot",
    "supervised": "supervised",
    "bi_encoder": "embeddings apart",
    "sentence_only": "sentence only",
    "majority": "always unrelated",
}


def _print_part(of: Mapping[str, Any], title: str) -> None:
    table = Table(title=f"{title}: {of['sentences']}, {of['groups']} groups", title_justify="left", box=None)
    for column in ("issue", "favor/against", "", "macro-F1", "F_avg"):
        table.add_column(column)
    shown = {name: label for name, label in _SYSTEMS.items() if name in of["systems"]}
    for issue, first in of["systems"]["zero_shot"]["targets"].items():
        sides = "/".join(str(first["classes"][side]["support"]) for side in ("favor", "against"))
        for name, label in shown.items():
            here = of["systems"][name]["targets"][issue]
            lead = (issue, sides) if name == "zero_shot" else ("", "")
            table.add_row(*lead, label, _interval(here["macro_f1"]), _interval(here["pole_f1"]))
    out.print(table)
    overall = Table(title="All issues", title_justify="left", box=None)
    for column in ("", "mean macro-F1", "mean F_avg", "(issue, side) F1"):
        overall.add_column(column)
    for name, label in shown.items():
        figures = of["systems"][name]["overall"]
        keys = ("mean_macro_f1", "issue_pole_f1", "issue_side_f1")
        overall.add_row(label, *(_interval(figures[key]) for key in keys))
    out.print(overall)
    for name, found in of["behaviour"].items():
        out.print(f"{name.replace('_', ' ')}: {_interval(found['share'])} of {found['of']}")


def _interval(figure: Mapping[str, float | None]) -> str:
    if figure["value"] is None:
        return "–"
    if figure["low"] is None or figure["high"] is None:
        return f"{figure['value']:.2f}"
    return f"{figure['value']:.2f} [{figure['low']:.2f}, {figure['high']:.2f}]"

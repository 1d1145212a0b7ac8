"""`stance evaluate`, `compare` and `recipes`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from labels.files import write_whole
from labels.records import DEFAULT_LABELS, SCORED_ONLY, default_label_files
from labels.taxonomy import DEFAULT_TARGETS, load_taxonomy
from serving.commands.console import (
    Corpus,
    Json,
    Labels,
    ModelFolder,
    Targets,
    app,
    err,
    example,
    out,
    print_json,
    progress,
)

Split = Annotated[str, typer.Option(help="Part of the data to score: test or dev.")]


@app.command(
    epilog=example(
        "stance evaluate --model models/mine --labels labels/data/authored.jsonl mine.jsonl --out reports/mine"
    )
)
def evaluate(
    out_dir: Annotated[Path, typer.Option("--out", help="Folder for report.html, metrics.json and model-card.md.")],
    model: ModelFolder = None,
    labels: Labels = None,
    corpus: Corpus = None,
    split: Split = "test",
    contrast: Annotated[
        Path | None,
        typer.Option(help="Label file of contrast sets. Default: the project's own, beside the project's own labels."),
    ] = None,
    learning_curve: Annotated[
        Path | None,
        typer.Option(help="JSON file of a learning curve, see `stance learning-curve`."),
    ] = None,
    with_texts: Annotated[
        bool,
        typer.Option("--with-texts", help="Show the sentences of the surest errors in report.html; for your own eyes."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Score a model on sentences that it was not trained on, and write a report."""
    from training.dataset import column, texts_of
    from training.evaluation import evaluate
    from training.learning_curve import read_learning_curve
    from training.model_folder import load_model
    from training.report import write_report
    from training.train import read_labelled

    trained = load_model(model, cache=True)
    curve = read_learning_curve(learning_curve) if learning_curve else None
    files = tuple(labels or default_label_files())
    data = read_labelled(files, trained.taxonomy, corpus, skip_unknown_targets=True)
    sets = [contrast] if contrast else [] if labels else [DEFAULT_LABELS / name for name in SCORED_ONLY]
    contrasts = read_labelled(sets, trained.taxonomy, corpus, skip_unknown_targets=True) if sets else None
    with progress() as report:
        metrics = evaluate(trained, data, split, contrast=contrasts, learning_curve=curve, progress=report)
    part = data.part(split)
    texts = dict(zip(column(part, "id"), texts_of(part), strict=True)) if with_texts else None
    written = write_report(metrics, out_dir, texts)
    if as_json:
        print_json(metrics)
        return
    for path in written:
        out.print(f"wrote {path}")
    _print_evaluation(metrics)


def _print_evaluation(metrics: Mapping[str, Any]) -> None:
    for name, figures in metrics["sets"].items():
        title = f"{'Twice-labelled' if name == 'twice' else 'All'} {metrics['split']} sentences: {figures['sentences']}"
        out.print(figures_table(title, figures["model"], figures.get("floor"), figures.get("agreement")))
    if lacking := metrics["data"].get("floor_lacks"):
        out.print(
            f"no floor: no training sentence in these files was read for {', '.join(lacking)}; "
            "name the files (and --corpus) that the model was trained on, too",
            markup=False,
        )
    if worst := metrics["slices"]["worst"]:
        from training.pages import interval
        from training.slices import DIMENSIONS

        out.print(
            f"worst slice: {DIMENSIONS[worst['dimension']][0]}: {worst['name']}, {worst['sentences']} sentences, "
            f"{interval(worst['error_ratio'])} times the errors that its labels would lead one to expect",
            markup=False,
        )


@app.command(
    "learning-curve",
    epilog=example("stance learning-curve --recipe floor --sizes 500 1000 2000 --corpus DIR --out curve.json"),
)
def learning_curve(
    out_file: Annotated[
        Path, typer.Option("--out", help="JSON file to write, for `stance evaluate --learning-curve`.")
    ],
    recipe: Annotated[list[str], typer.Option(help="Name or file of a recipe; may be repeated.")],
    sizes: Annotated[list[int], typer.Option("--sizes", help="Number of sentences; may be repeated.")],
    peer: Annotated[
        list[str] | None, typer.Option(help="Also a peer, on the samples of the first recipe: setfit.")
    ] = None,
    model: Annotated[
        list[Path] | None,
        typer.Option(help="Model folder of one of the recipes: its held-out sentences stand for all, untrained anew."),
    ] = None,
    samples: Annotated[int, typer.Option(min=1, help="How many samples of each size.")] = 3,
    measure: Annotated[
        str, typer.Option(help="Figure to draw: mean_macro_f1, issue_side_f1 or issue_pole_f1.")
    ] = "mean_macro_f1",
    labels: Labels = None,
    targets: Targets = DEFAULT_TARGETS,
    corpus: Corpus = None,
    as_json: Json = False,
) -> None:
    """Train on more and more of the training part, and score on groups of it that are held out."""
    from training.learning_curve import learner_of, learning_curve
    from training.model_folder import load_model
    from training.pages import OVERALL_TITLES
    from training.recipes import load_recipe
    from training.setfit_peer import setfit_peer
    from training.train import read_labelled

    if measure not in OVERALL_TITLES:
        raise typer.BadParameter(f"must be {', '.join(OVERALL_TITLES)}", param_hint="--measure")
    if set(peer or ()) - {"setfit"}:
        raise typer.BadParameter("there is only the peer setfit", param_hint="--peer")
    if min(sizes) < 1:
        raise typer.BadParameter("must be at least 1", param_hint="--sizes")
    chosen = [load_recipe(name) for name in recipe]
    known = {folder.recipe.name: folder for folder in map(load_model, model or ())}
    if strangers := set(known) - {one.name for one in chosen}:
        raise typer.BadParameter(f"of none of the recipes: {', '.join(sorted(strangers))}", param_hint="--model")
    data = read_labelled(tuple(labels or default_label_files()), load_taxonomy(targets), corpus)
    learners = [(one, learner_of(one), known.get(one.name)) for one in chosen]
    if peer:
        learners.append((chosen[0], setfit_peer(), None))
    points: list[dict[str, Any]] = []
    with progress() as report:
        for one, learner, trained in learners:
            curve = learning_curve(
                data, one, sizes, learner=learner, known=trained, measure=measure, samples=samples, progress=report
            )
            points += [point.model_dump() for point in curve]
    write_whole(out_file, json.dumps(points, indent=2) + "\n")
    if as_json:
        print_json(points)
        return
    cells = [["recipe", "sentences", OVERALL_TITLES[measure]]]
    cells += [[point["name"], str(point["sentences"]), _plainly(point)] for point in points]
    out.print(_plain_table("Held-out sentences of the training part", cells))
    out.print(f"wrote {out_file}")


def _plainly(point: Mapping[str, Any]) -> str:
    from training.pages import interval

    return interval({"value": point["figure"], "low": point["low"], "high": point["high"]})


@app.command(epilog=example("stance compare models/mine models/other --labels mine.jsonl --out reports/comparison"))
def compare(
    model_a: Annotated[Path, typer.Argument(help="Model folder.")],
    model_b: Annotated[Path, typer.Argument(help="Model folder that it is compared with.")],
    labels: Labels = None,
    corpus: Corpus = None,
    split: Split = "test",
    out_dir: Annotated[
        Path | None, typer.Option("--out", help="Folder for comparison.html and comparison.json.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare two models on sentences that neither was trained on."""
    from training.comparison import compare, shared_targets
    from training.model_folder import load_model
    from training.report import write_comparison
    from training.train import read_labelled

    first, second = load_model(model_a, cache=True), load_model(model_b, cache=True)
    files = tuple(labels or default_label_files())
    taxonomy = shared_targets([first, second])
    data = read_labelled(files, taxonomy, corpus, skip_unknown_targets=True)
    sets = [] if labels else [DEFAULT_LABELS / name for name in SCORED_ONLY]
    contrasts = read_labelled(sets, taxonomy, corpus, skip_unknown_targets=True) if sets else None
    with progress() as report:
        compared = compare(first, second, data, split, contrast=contrasts, progress=report)
    written = write_comparison(compared, out_dir) if out_dir else []
    if as_json:
        print_json(compared)
        return
    for path in written:
        out.print(f"wrote {path}")
    if compared["left_out_as_trained_on"]:
        err.print(f"note: {compared['left_out_as_trained_on']} sentences are left out: a model was trained on them.")
    out.print(_comparison_table(compared))
    out.print(f"on opposite sides: {len(compared['changed_sides'])} answers")


@app.command(epilog=example("stance recipes --models models/floor models/mine"))
def recipes(
    models: Annotated[list[Path], typer.Option("--models", help="Model folder; may be repeated.")],
    markdown: Annotated[bool, typer.Option("--markdown", help="A Markdown table.")] = False,
    as_json: Json = False,
) -> None:
    """The held-out figures that model folders carry, side by side."""
    from training.model_folder import load_model
    from training.recipe_table import cells, recipe_row
    from training.recipe_table import markdown as as_markdown

    if markdown and as_json:
        raise typer.BadParameter("--markdown and --json exclude each other")
    rows = [recipe_row(folder, load_model(folder)) for folder in models]
    if as_json:
        print_json(rows)
        return
    table = cells(rows)
    if markdown:
        print(as_markdown(table))
    else:
        out.print(_plain_table("Held-out figures of the training parts", table))
    if len({row["data"] for row in rows}) > 1:
        err.print("note: the models were trained on different sentences, so their figures are not of the same ones.")


def _plain_table(title: str, cells: Sequence[Sequence[str]]) -> Table:
    table = Table(title=title, title_justify="left", box=None)
    for number, name in enumerate(cells[0]):
        table.add_column(name, justify="right" if number > 1 else "left")
    for row in cells[1:]:
        table.add_row(*row)
    return table


def _comparison_table(compared: Mapping[str, Any]) -> Table:
    from training.pages import OVERALL_TITLES, interval

    a, b = (compared["models"][name]["version"] for name in "ab")
    rows = [["", "A: macro-F1", "B: macro-F1", "A − B", "McNemar p (Holm)"]]
    for target_id, minus in compared["a_minus_b"]["targets"].items():
        figures = [compared[name]["targets"][target_id]["macro_f1"] for name in "ab"]
        p = compared["mcnemar"][target_id]["p_holm"]
        rows.append([target_id, *map(interval, [*figures, minus["macro_f1"]]), f"{p:.3f}"])
    for key, title in OVERALL_TITLES.items():
        figures = [compared[name]["overall"][key] for name in "ab"]
        rows.append([title, *map(interval, [*figures, compared["a_minus_b"]["overall"][key]]), ""])
    table = _plain_table(f"A: {a}   B: {b}   {compared['sentences']} {compared['split']} sentences", rows)
    table.columns[1].justify = "right"
    return table


def figures_table(
    title: str,
    model: Mapping[str, Any],
    floor: Mapping[str, Any] | None = None,
    agreement: Mapping[str, Any] | None = None,
) -> Table:
    """Targets and what stands for all of them, a pair of columns a system."""
    from training.pages import OVERALL_TITLES, UNDEFINED, interval
    from training.resampling import TOO_FEW_GROUPS

    undefined = False
    given = {name: of for name, of in (("model", model), ("floor", floor), ("agreement", agreement)) if of}
    table = Table(title=title, title_justify="left", box=None)
    table.add_column("target")
    for name in given:
        table.add_column(f"{name}: macro-F1", justify="right")
        table.add_column("F_avg", justify="right")
    for target_id in model["targets"]:
        figures = [of["targets"][target_id][name] for of in given.values() for name in ("macro_f1", "pole_f1")]
        cells = [interval(figure) for figure in figures]
        table.add_row(target_id, *cells, end_section=target_id == list(model["targets"])[-1])
        undefined = undefined or UNDEFINED in cells
    for key, heading in OVERALL_TITLES.items():
        # Each stands under the column that it is the mean of; the pairs have a measure of their own.
        cells = [interval(of["overall"][key]) for of in given.values()]
        second = key == "issue_pole_f1"
        table.add_row(heading, *(text for cell in cells for text in (("", cell) if second else (cell, ""))))
        undefined = undefined or UNDEFINED in cells
    notes = [f"{UNDEFINED} undefined: these sentences hold too few labels for it"] if undefined else []
    if model["groups"] < TOO_FEW_GROUPS:
        documents = "document says" if model["groups"] == 1 else "documents say"
        notes.append(f"{model['groups']} {documents} little, and intervals from so few come out too narrow")
    if notes:
        table.caption, table.caption_justify = "\n".join(notes), "left"
    return table

"""`stance train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from labels.records import default_label_files
from labels.taxonomy import DEFAULT_TARGETS, load_taxonomy
from serving.commands.console import (
    Corpus,
    Json,
    Labels,
    SkipUnknown,
    Targets,
    app,
    err,
    out,
    print_json,
    progress,
)
from serving.commands.evaluation import figures_table


@app.command()
def train(
    out_dir: Annotated[Path, typer.Option("--out", help="Model folder to write.")],
    labels: Labels = None,
    targets: Targets = DEFAULT_TARGETS,
    corpus: Corpus = None,
    recipe: Annotated[str, typer.Option(help="Name of a recipe, or a recipe file of your own.")] = "frozen-encoder",
    skip_unknown_targets: SkipUnknown = False,
    as_json: Json = False,
) -> None:
    """Train a classifier on the training part of label files and write a model folder."""
    from training.model_folder import save_model
    from training.recipes import load_recipe
    from training.train import read_labelled, train

    chosen = load_recipe(recipe)
    files = tuple(labels or default_label_files())
    data = read_labelled(files, load_taxonomy(targets), corpus, skip_unknown_targets=skip_unknown_targets)
    if data.missing:
        err.print(
            f"note: {data.missing.total()} records are left out: the corpus lacks the {len(data.missing)} documents "
            "that they point into (`stance labels resolve` lists them)."
        )
    with progress() as report:
        model = save_model(train(data, chosen, report), out_dir)
    counts = model.data["classes"]
    for target_id, classes in counts.items():
        if never := [label for label, count in classes.items() if count == 0 and label != "not read"]:
            err.print(
                f"note: {target_id}: no training sentence is {' or '.join(never)}, so none will ever be answered."
            )
    if as_json:
        print_json({"version": model.version, "out": str(out_dir), "data": model.data, "metrics": model.metrics})
        return
    out.print(f"wrote {out_dir}: {model.version}, {model.data['sentences']} sentences, {model.data['groups']} groups")
    if "targets" in model.metrics:
        out.print(figures_table(f"Held-out figures of the training part ({chosen.folds} folds)", model.metrics))

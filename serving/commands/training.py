"""`stance train`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labels.records import default_label_files
from labels.taxonomy import DEFAULT_TARGETS, load_taxonomy
from serving.commands.console import (
    Corpus,
    Json,
    Labels,
    ModelFolder,
    SkipUnknown,
    Targets,
    app,
    err,
    example,
    out,
    print_json,
    progress,
)
from serving.commands.evaluation import figures_table

if TYPE_CHECKING:
    from training.model_folder import Model
    from training.recipes import Recipe


Precision = Annotated[
    float | None,
    typer.Option(
        help="Answer a pole only where at least this share of such answers is right, between 0 and 1. "
        "Default: as the recipe says."
    ),
]
ErrorRate = Annotated[
    float | None,
    typer.Option(
        help="Mark answers as not sure enough, so that at most this share of the others is wrong, between 0 and 1. "
        "Default: as the recipe says."
    ),
]


@app.command(
    epilog=example(
        "stance train --labels mine.jsonl --out models/mine",
        "stance train --recipe fine-tuned --corpus DIR --out models/fine",
    )
)
def train(
    out_dir: Annotated[Path, typer.Option("--out", help="Model folder to write.")],
    labels: Labels = None,
    targets: Targets = DEFAULT_TARGETS,
    corpus: Corpus = None,
    recipe: Annotated[str, typer.Option(help="Name of a recipe, or a recipe file of your own.")] = "frozen-encoder",
    teacher: Annotated[
        list[Path] | None,
        typer.Option(help="Model folder to learn from beside the labels; may be repeated."),
    ] = None,
    start: Annotated[Path | None, typer.Option(help="Fine-tuned model folder to begin with.")] = None,
    precision: Precision = None,
    error_rate: ErrorRate = None,
    skip_unknown_targets: SkipUnknown = False,
    as_json: Json = False,
) -> None:
    """Train a classifier on the training part of label files and write a model folder."""
    from training.help_from import adapters_of, taught_by
    from training.model_folder import load_model, save_model
    from training.recipes import load_recipe
    from training.train import read_labelled, train

    chosen = _asking(load_recipe(recipe), precision, error_rate)
    files = tuple(labels or default_label_files())
    data = read_labelled(files, load_taxonomy(targets), corpus, skip_unknown_targets=skip_unknown_targets)
    if data.missing:
        err.print(
            f"note: {data.missing.total()} records are left out: the corpus lacks the {len(data.missing)} documents "
            "that they point into (`stance labels resolve` lists them)."
        )
    # Before teachers are asked, which may take long.
    adapters = adapters_of(start) if start else None
    with progress() as report:
        taught = taught_by([load_model(folder) for folder in teacher or []], chosen, data, files, corpus, report)
        model = save_model(train(data, chosen, report, replace(taught, start=adapters)), out_dir)
    counts = model.data["classes"]
    for target_id, classes in counts.items():
        if never := [label for label, count in classes.items() if count == 0 and label != "not read"]:
            err.print(
                f"note: {target_id}: no training sentence is {' or '.join(never)}, so none will ever be answered."
            )
    _say_what_was_written(model, out_dir, as_json)


@app.command(epilog=example("stance decide --precision 0.8 --out models/precise"))
def decide(
    out_dir: Annotated[Path, typer.Option("--out", help="Model folder to write.")],
    model: ModelFolder = None,
    precision: Precision = None,
    error_rate: ErrorRate = None,
    as_json: Json = False,
) -> None:
    """Make the same model answer for another precision or error rate, without training it again."""
    from training.model_folder import load_model, save_model
    from training.train import decided

    known = load_model(model)
    changed = replace(known, recipe=_asking(known.recipe, precision, error_rate))
    _say_what_was_written(save_model(decided(changed), out_dir), out_dir, as_json)


def _asking(recipe: Recipe, precision: float | None, error_rate: float | None) -> Recipe:
    from training.recipes import AbstentionSettings, DecisionSettings

    if precision is not None:
        asked = DecisionSettings(objective="precision", precision=_share(precision, "--precision"))
        recipe = recipe.model_copy(update={"decision": asked})
    if error_rate is not None:
        stated = AbstentionSettings(error_rate=_share(error_rate, "--error-rate"))
        recipe = recipe.model_copy(update={"abstention": stated})
    return recipe


def _say_what_was_written(model: Model, out_dir: Path, as_json: bool) -> None:
    _note_never_sure(model.metrics["answers"])
    if as_json:
        print_json({"version": model.version, "out": str(out_dir), "data": model.data, "metrics": model.metrics})
        return
    out.print(f"wrote {out_dir}: {model.version}, {model.data['sentences']} sentences, {model.data['groups']} groups")
    if "targets" in model.metrics:
        out.print(figures_table(f"Held-out figures ({model.metrics['method']})", model.metrics))


def _share(value: float, option: str) -> float:
    if not 0 < value < 1:
        raise typer.BadParameter("must be a share between 0 and 1, such as 0.8", param_hint=option)
    return value


def _note_never_sure(answers: Mapping[str, Any]) -> None:
    """Say which answers can never be sure enough, and which poles are never answered."""
    for kind, named in (("unrelated", '"unrelated"'), ("touched", 'anything but "unrelated"')):
        unsure = [k for k, figures in answers.items() if figures["abstention"][kind]["threshold"] is None]
        if unsure:
            err.print(
                f"note: always marked as not sure enough when it answers {named}, because held-out sentences do not "
                f"show that this is right often enough: {', '.join(unsure)}.",
                markup=False,
            )
    for target_id, figures in answers.items():
        poles = figures["decision"].get("poles", {})
        if never := [pole for pole, of in poles.items() if of["threshold"] is None]:
            err.print(f"note: {target_id}: {' and '.join(never)} cannot be answered at that precision.", markup=False)

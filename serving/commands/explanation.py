"""`stance explain` and `stance faithfulness`: what carried the scores of a text, and whether that is so."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from labels.errors import StanceError
from labels.records import default_label_files
from serving.commands.console import (
    Corpus,
    Json,
    Labels,
    ModelFolder,
    ModelInUse,
    app,
    check_targets,
    example,
    model_in_use,
    out,
    print_json,
    progress,
)

OwnLabels = Annotated[
    list[Path] | None,
    typer.Option("--labels", help="Label file of your own, for examples beside the project's; may be repeated."),
]


@app.command("explain", epilog=example('stance explain "Seoul offered to halt the drills." --target posture'))
def explain_text(
    text: Annotated[str, typer.Argument(help="A sentence.")],
    model: ModelInUse = None,
    target: Annotated[list[str] | None, typer.Option("--target", help="Only this target; may be repeated.")] = None,
    labels: OwnLabels = None,
    as_json: Json = False,
) -> None:
    """Say which words carried the scores of a sentence, and which labelled sentences are nearest to it."""
    from serving.explaining import explain_texts
    from serving.scoring import score_texts
    from training.model_folder import load_model
    from training.nearest import index_examples, read_examples

    if not text.strip():
        raise typer.BadParameter("the text is empty")
    trained = load_model(model_in_use(model))
    check_targets(target, trained.taxonomy.ids)
    with progress() as report:
        index = index_examples(trained, read_examples(trained.taxonomy, labels or ()), report)
        (result,) = score_texts(trained, [text], target or None)
        (why,) = explain_texts(trained, [text], [result], index, report)
    if as_json:
        print_json({"model": {"version": trained.version}, "text": text, **result, "explanation": why})
    else:
        _print(text, result, why, bool(target))


def _print(text: str, result: Mapping[str, Any], why: Mapping[str, Any], named: bool) -> None:
    out.print(text, style="bold", markup=False)
    touched = [id_ for id_, of in result["targets"].items() if named or of["label"] != "unrelated" or of["abstained"]]
    for target_id in touched:
        answer, given = result["targets"][target_id], why["targets"][target_id]
        unsure = "   not sure enough" if answer["abstained"] else ""
        out.print(f"\n{target_id}: {answer['label']}, score {answer['score']:+.2f}{unsure}", markup=False)
        for each in given["words"]:
            out.print(f"  {each['contribution']:+.2f}  {each['text']}", markup=False)
        if not given["words"]:
            out.print("  no word by itself carries it")
        if given["definition"]:
            out.print(f"  {answer['label']}: the sentence {given['definition']}", markup=False)
        if rule := given["rule"]:
            out.print(f"  rule {rule['number']}: {rule['text']}", markup=False)
            out.print(f"    as in: {rule['example']}", markup=False)
    if not touched:
        out.print("touches none of the targets")
    if why["words_in_piece"] > 1:
        out.print(f"\nthe text is long: {why['words_in_piece']} words at a time were left out", markup=False)
    if result["truncated"]:
        out.print("\nonly its beginning was read: the text is longer than the model takes")
    if why["examples"]:
        out.print("\nnearest labelled sentences", markup=False)
    for near in why["examples"]:
        said = ", ".join(f"{id_} {label}" for id_, label in near["labels"].items() if label != "unrelated")
        out.print(f"  {near['similarity']:.2f}  {near['text']}\n        {said or 'touches nothing'}", markup=False)


@app.command("examples", epilog=example("stance examples --model models/mine --out models/mine"))
def keep_examples(
    out_dir: Annotated[
        Path, typer.Option("--out", help="Model folder to write: the same model, with the vectors; may be --model.")
    ],
    model: ModelFolder = None,
) -> None:
    """Put the vectors of the project's labelled sentences into a model folder, for the first explanation to be fast."""
    from training.model_folder import load_model, save_model
    from training.nearest import read_examples, with_vectors

    trained = load_model(model)
    examples = read_examples(trained.taxonomy)
    with progress() as report:
        saved = save_model(with_vectors(trained, examples, report), out_dir)
    if saved.examples is None:
        raise StanceError(f"{trained.version} was written by another version of this program", hint="Train it again.")
    out.print(f"wrote {out_dir}: {saved.version} with the vectors of {len(examples)} sentences", markup=False)


@app.command("faithfulness", epilog=example("stance faithfulness --corpus DIR --sentences 200"))
def faithfulness_of(
    model: ModelFolder = None,
    labels: Labels = None,
    corpus: Corpus = None,
    split: Annotated[str, typer.Option(help="Part of the data to take sentences from: train, dev or test.")] = "train",
    sentences: Annotated[int, typer.Option(min=1, help="How many, drawn at random.")] = 1000,
    as_json: Json = False,
) -> None:
    """Measure whether the words that explanations name carry the scores: without them, does a score move further?"""
    import numpy as np

    from training.dataset import texts_of, units_of
    from training.faithfulness import faithfulness
    from training.model_folder import load_model
    from training.train import part_at_hand, read_labelled

    explained = load_model(model)
    files = tuple(labels or default_label_files())
    part = part_at_hand(read_labelled(files, explained.taxonomy, corpus, skip_unknown_targets=True), split)
    drawn = np.random.default_rng(0).permutation(len(part))[:sentences].tolist()
    texts, units = texts_of(part), units_of(part)
    with progress() as report:
        figures = faithfulness(explained, [texts[n] for n in drawn], [units[n] for n in drawn], progress=report)
    if as_json:
        print_json({"version": explained.version, "split": split, "drawn": len(drawn), **figures})
    else:
        _print_figures(figures)


def _print_figures(figures: Mapping[str, Any]) -> None:
    from training.pages import interval

    table = Table(title="How far a score moves, in points, without …", title_justify="left", box=None)
    ways = ["named", "random", "longest"]
    for column in ("target", "scores", "words", *ways, *(f"named − {by}" for by in ways[1:])):
        table.add_column(column, justify="left" if column == "target" else "right")
    for name, row in {**figures["targets"], "overall": figures["overall"]}.items():
        shown = [*ways, *(f"named_minus_{by}" for by in ways[1:])]
        table.add_row(name, str(row["scores"]), f"{row['words']:.1f}", *(interval(row[each]) for each in shown))
    out.print(table)
    out.print(
        f"{figures['sentences']} sentences of {figures['groups']} groups take a side; "
        f"no word was named for {figures['nothing_named']} scores"
    )

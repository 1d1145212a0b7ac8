"""`stance explain`: what carried the scores of a text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from serving.commands.console import Json, ModelFolder, app, out, print_json, progress

OwnLabels = Annotated[
    list[Path] | None,
    typer.Option(
        "--labels", help="Label file of your own, for examples beside the project's; may be given several times."
    ),
]


@app.command("explain")
def explain_text(
    text: Annotated[str, typer.Argument(help="A sentence.")],
    model: ModelFolder = None,
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
    trained = load_model(model)
    for target_id in target or ():
        if target_id not in trained.taxonomy.ids:
            raise typer.BadParameter(f"no target '{target_id}'; the model has {', '.join(trained.taxonomy.ids)}")
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

"""`stance retrain`: from new labels to a model that serves, or to a clear no."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from serving.commands.console import By, Corpus, Json, Why, app, err, example, out, print_json, progress

NOT_PROMOTED = 3
"""Exit code where the candidate stays a candidate."""


@app.command(epilog=example('stance retrain mine.jsonl --corpus DIR --why "labels of the spring"'))
def retrain(
    new: Annotated[
        list[Path] | None,
        typer.Argument(help="New labels: label records (JSONL), a label store, or a Label Studio export."),
    ] = None,
    *,
    why: Why = "new labels",
    by: By,
    recipe: Annotated[str | None, typer.Option(help="Name or file of a recipe. Default: the champion's.")] = None,
    teacher: Annotated[
        list[Path] | None,
        typer.Option(help="Model folder to learn from beside the labels; may be repeated. Default: the champion."),
    ] = None,
    targets: Annotated[
        Path | None, typer.Option("--targets", help="Taxonomy file. Default: the champion's taxonomy.")
    ] = None,
    labels: Annotated[
        list[Path] | None,
        typer.Option("--labels", help="Label files that the champion was trained on, where they are not known."),
    ] = None,
    corpus: Corpus = None,
    rule: Annotated[Path | None, typer.Option(help="Rule file. Default: training/promotion.yaml.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Promote whatever the rule says; the registry keeps that for ever.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Train a candidate on new and known labels, and promote it if the rule holds (exit code 3 where it does not)."""
    from training.home import home_folder
    from training.retraining import Retraining, retrain
    from training.retraining_lock import retraining_lock

    if not new and recipe is None:
        raise typer.BadParameter("name new labels, or another --recipe")
    asked = Retraining(
        new=tuple(new or ()),
        by=by,
        why=why,
        corpus=corpus,
        targets=targets,
        recipe=recipe,
        rule=rule,
        known=tuple(labels or ()),
        force=force,
        teachers=tuple(teacher or ()),
    )
    home = home_folder()
    with retraining_lock(home), progress() as report:
        decision = retrain(asked, home, report, lambda stage: err.print(f"{stage} …"))
    if as_json:
        print_json(decision)
    else:
        _say(decision)
    if not decision["promoted"]:
        raise typer.Exit(NOT_PROMOTED)


def _say(decision: Mapping[str, Any]) -> None:
    from training.decision_words import asked_for, check_name, verdict
    from training.pages import interval, plain

    counts = decision["labels"]
    out.print(
        f"labels: {counts['added']} added, {counts['changed']} changed, {counts['same']} known before, "
        f"{len(counts['left_out'])} left out, {len(counts['conflicts'])} conflicts"
    )
    table = Table(
        title=f"Candidate {decision['version']} and champion {decision['parent']} on {decision['test']['sentences']} "
        "test sentences",
        title_justify="left",
        box=None,
    )
    for column in ("", "candidate", "champion", "difference", "asked for", "holds"):
        table.add_column(column, justify="left" if column in ("", "asked for", "holds") else "right")
    for check in decision["checks"]:
        table.add_row(
            check_name(check),
            plain(check["candidate"]),
            plain(check["champion"]),
            interval(check["difference"], 3) if check["difference"] else "–",
            asked_for(check),
            "yes" if check["passed"] else "NO",
        )
    out.print(table)
    out.print(f"{verdict(decision)}: {decision['version']} ({sum(decision['seconds'].values()):.1f} s)")
    out.print(f"wrote {decision['report']}/decision.html", soft_wrap=True)

"""`stance labels agreement`: how far annotators agree."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from labels.annotators import read_annotated
from labels.corpus import load_corpus, resolve
from labels.files import write_whole
from labels.records import default_label_files
from labels.screen import visible
from labels.taxonomy import DEFAULT_TARGETS, UNRELATED, load_taxonomy
from serving.commands.console import Corpus, Json, Targets, example, labels_app, out, print_json

SHOWN = 10
"""How many sentences that annotators differ on are printed."""


@labels_app.command(
    "agreement", epilog=example("stance labels agreement reader-1.jsonl reader-2.jsonl --html agreement.html")
)
def labels_agreement(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE]...",
            help="Label files with annotations, or one file for each annotator, who is named after it. "
            "Default: the project's own, as far as they hold annotations.",
        ),
    ] = None,
    targets: Targets = DEFAULT_TARGETS,
    corpus: Corpus = None,
    html: Annotated[Path | None, typer.Option("--html", help="Page to write.")] = None,
    as_json: Json = False,
) -> None:
    """Say how far annotators agree, by target and over all, and where they differ most."""
    from training.agreement import agreement
    from training.pages import agreement_page

    taxonomy = load_taxonomy(targets)
    annotated = read_annotated(files or default_label_files(), taxonomy, name_by_file=bool(files))
    figures = agreement(annotated, taxonomy)
    differing = {difference["id"]: difference for difference in figures["differences"]}
    records = [record for record in annotated.records if record.id in differing]
    for sentence in resolve(records, load_corpus(corpus)).sentences:
        differing[sentence.record.id]["text"] = sentence.text
    if html:
        write_whole(html, agreement_page(figures))
    if as_json:
        print_json(figures)
        return
    _print_figures(figures)
    if html:
        out.print(f"wrote {html}", markup=False)


def _print_figures(figures: Mapping[str, Any]) -> None:
    sentences = figures["sentences"]
    readers = ", ".join(f"{name} ({count})" for name, count in figures["annotators"].items())
    out.print(f"Annotators and how many sentences they read: {readers}", markup=False)
    out.print(
        f"{sentences['compared']} sentences in {figures['groups']} groups were read by two or more; "
        f"on {sentences['differing']} they differ somewhere."
    )
    if sentences["read_by_one"]:
        out.print(f"{sentences['read_by_one']} sentences were read by one annotator only and are not counted.")
    if sentences["without_annotations"]:
        out.print(f"{sentences['without_annotations']} records without annotations are not counted.")
    out.print()
    out.print(_by_target(figures))
    out.print()
    for target_id, about in figures["by_target"].items():
        for pair in about["confusion"]:
            out.print(_confusion(target_id, pair, [UNRELATED, *figures["targets"][target_id]["classes"]]))
    if figures["differences"]:
        out.print("\nThey differ most on:")
    for difference in figures["differences"][:SHOWN]:
        out.print(f"  {difference['id']}  {visible(difference.get('text', ''))}", style="bold", markup=False)
        for target_id, given in difference["targets"].items():
            said = ", ".join(f"{name} {label or UNRELATED}" for name, label in given.items())
            out.print(f"      {target_id}: {said}", markup=False)


def _by_target(figures: Mapping[str, Any]) -> Table:
    from training.pages import interval

    overall = figures["overall"]
    two = "mean_kappa" in overall
    counts = {"read by both": "read_by_two"} if two else {"read by two": "read_by_two", "by all": "read_by_all"}
    named = {"agreement": "agreement", **({"kappa": "kappa"} if two else {}), "alpha": "alpha"}
    table = Table(title="Agreement, with 95% intervals from resampling groups", title_justify="left", box=None)
    table.add_column("target")
    for heading in (*counts, *named, "ordinal alpha"):
        table.add_column(heading, justify="right")
    for target_id, about in figures["by_target"].items():
        cells = [str(about[key]) for key in counts.values()] + [interval(about[key]) for key in named.values()]
        table.add_row(target_id, *cells, interval(about["alpha_ordinal"]) if "alpha_ordinal" in about else "")
    means = [overall["agreement"], *(overall[f"mean_{key}"] for key in named.values() if key != "agreement")]
    blank = [""] * len(counts)
    table.add_row(
        "over all (mean alpha)" if not two else "over all (mean kappa, alpha)",
        *blank,
        *map(interval, means),
        style="bold",
    )
    table.add_row("(issue, side) F1", *blank, interval(overall["issue_side_f1"]), style="bold")
    return table


def _confusion(target_id: str, pair: Mapping[str, Any], outcomes: list[str]) -> Table:
    first, second = pair["annotators"]
    table = Table(title=escape(f"{target_id}: {first} in rows, {second} in columns"), title_justify="left", box=None)
    table.add_column("", min_width=12)
    for label in outcomes:
        table.add_column(escape(label), justify="right")
    for label, row in zip(outcomes, pair["counts"], strict=True):
        table.add_row(escape(label), *map(str, row))
    return table

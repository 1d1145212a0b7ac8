"""`stance bench`: what scoring costs on this machine."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from serving.commands.console import Json, ModelFolder, app, err, out, print_json, progress


@app.command()
def bench(
    texts: Annotated[
        Path | None, typer.Option("--texts", help='JSONL ({"text"}), or plain text, a sentence a line.')
    ] = None,
    corpus: Annotated[Path | None, typer.Option("--corpus", help="Folder of documents; their sentences.")] = None,
    model: ModelFolder = None,
    seconds: Annotated[float, typer.Option(min=0.1, max=600, help="That each way of scoring gets, about.")] = 3.0,
    quick: Annotated[bool, typer.Option("--quick", help="Only see that it works; the figures say nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Measure scoring beside the encoder alone: in process, over HTTP, and in the plain transformers pipeline.

    Without --texts or --corpus: the project's own authored sentences. A service is started on a free port of loopback
    and stopped again.
    """
    from serving.bench.run import QUICK, Plan
    from serving.bench.run import bench as measure
    from serving.bench.texts import bench_texts

    if texts and corpus:
        raise typer.BadParameter("give --texts or --corpus")
    # Asked to stop, it stops its service too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with progress() as report:
        figures = measure(bench_texts(texts, corpus), QUICK if quick else Plan(seconds=seconds), model, report)
    if as_json:
        print_json(figures)
    else:
        _print(figures)


_WAYS = {
    "raw": "encoder alone, tokenised before",
    "raw_with_tokenising": "encoder and tokenising",
    "in_process": "scoring in process",
    "fast_path": "scoring in process, with the fast path",
    "http_64": "HTTP, 64 texts a request",
    "transformers": "transformers pipeline (torch)",
    "http_1_client": "HTTP, 1 client",
    "http_16_clients": "HTTP, 16 clients",
}


def _print(figures: Mapping[str, Any]) -> None:
    machine, about = figures["machine"], figures["texts"]
    out.print(
        f"{figures['model']}; {about['number']} texts of {about['tokens_mean']} tokens on average; "
        f"{figures['plan']['rounds']} rounds of {figures['plan']['texts_a_round']}; {machine['cores']} cores",
        markup=False,
    )
    for table in (_throughput(figures), _single(figures["single_text"]), _aims(figures)):
        out.print()
        out.print(table)
    worker = figures["worker"]
    out.print(
        f"\nready after {_range(worker['ready_seconds'])} s; the worker holds {_range(worker['megabytes'])} MB, "
        f"at most {worker['peak_megabytes']} MB",
        markup=False,
    )
    if machine["load_before"] > 0.5:
        err.print(f"note: the machine was busy (load {machine['load_before']}): trust ratios, not absolute figures.")


def _range(spread: Mapping[str, float]) -> str:
    return f"{spread['median']:,} [{spread['low']:,}–{spread['high']:,}]"


def _table(title: str, *columns: str) -> Table:
    # Not markup: "[" is a bracket.
    table = Table(title=Text(title), title_justify="left", box=None)
    table.add_column(columns[0])
    for column in columns[1:]:
        table.add_column(column, justify="right")
    return table


def _throughput(figures: Mapping[str, Any]) -> Table:
    table = _table("Many texts: median [lowest–highest] of the rounds", "", "sentences/s", "of the encoder alone")
    for name, row in figures["throughput"].items():
        if "skipped" in row:
            table.add_row(_WAYS[name], "skipped", row["skipped"])
        else:
            table.add_row(_WAYS[name], _range(row["sentences_per_second"]), _range(row["of_raw"]))
        if "share" in row:
            table.add_row(f"  which answers {row['share']:.0%}; times in process", "", _range(row["times_in_process"]))
    ceiling = figures["ceiling"]
    table.add_row("its multiplications alone, float32", _range(ceiling["sentences_per_second"]), "")
    table.add_row("encoder alone, of those", "", _range(ceiling["raw_of_ceiling"]))
    return table


def _single(single: Mapping[str, Any]) -> Table:
    table = _table("One text at a time, milliseconds", "", "p50", "p95", "p99", "p50 over the encoder's", "refused")
    for name, row in single.items():
        shown = [str(row.get(share, "–")) for share in ("p50", "p95", "p99")]
        over = _range(row["p50_over_raw"]) if "p50_over_raw" in row else "–"
        table.add_row(_WAYS[name], *shown, over, str(row.get("refused", "")))
    return table


def _aims(figures: Mapping[str, Any]) -> Table:
    table = _table("Aimed at", "", "measured", "wanted", "reached")
    for aim in figures["aims"]:
        wanted = f"≥ {aim['least']}" if aim["least"] is not None else f"≤ {aim['most']}"
        said = {True: "yes", False: "no", None: "–"}[aim["reached"]]
        table.add_row(aim["what"], "not measured" if aim["value"] is None else str(aim["value"]), wanted, said)
    return table

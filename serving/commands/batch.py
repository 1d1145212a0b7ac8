"""`stance batch score`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from serving.commands.console import (
    Fast,
    Json,
    ModelInUse,
    app,
    example,
    model_in_use,
    out,
    print_json,
    progress,
)

batch_app = typer.Typer(help="Score files of any size.", no_args_is_help=True)
app.add_typer(batch_app, name="batch")

SOME_BAD = 3
"""Exit code: done, but rows were bad."""


class Kind(StrEnum):
    """Kinds of output."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"
    DATASETS = "datasets"


class EngineName(StrEnum):
    """Who scores."""

    LOCAL = "local"
    RAY = "ray"


@batch_app.callback()
def batch() -> None:
    """Score files of any size."""


@batch_app.command(
    epilog=example(
        "stance batch score articles.jsonl scores.parquet",
        "stance batch score export.csv scores.csv --text-column body --max-bad 100",
    )
)
def score(
    source: Annotated[
        Path, typer.Argument(metavar="IN", help=".jsonl, .csv, .tsv, .parquet, a folder of .txt files, or a dataset.")
    ],
    to_file: Annotated[Path, typer.Argument(metavar="OUT", help=".jsonl, .csv, .parquet, or a dataset folder.")],
    to: Annotated[Kind | None, typer.Option("--to", help="Kind of OUT. Default: by its ending.")] = None,
    text_column: Annotated[str, typer.Option("--text-column", help="Where the text stands.")] = "text",
    split: Annotated[
        bool, typer.Option("--split-sentences", help="Texts are articles: a row out for each sentence.")
    ] = False,
    model: ModelInUse = None,
    fast: Fast = False,
    max_bad: Annotated[
        int | None, typer.Option("--max-bad", min=0, help="Score nothing if more rows than that are bad.")
    ] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Throw away what an earlier run left.")] = False,
    engine: Annotated[EngineName, typer.Option("--engine", help="This process, or a Ray cluster.")] = EngineName.LOCAL,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Workers of Ray. Default: one for each two cores.")
    ] = None,
    ray_address: Annotated[
        str | None, typer.Option("--ray-address", help="Address of a Ray cluster. Default: one is started here.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Score a file of any size, in constant memory; the same command goes on where it was broken off.

    Exit code 0: every row was scored; 3: done, but bad rows were left out (OUT.bad.jsonl says which and why); 1: not
    done.
    """
    from serving.batch.layout import Layout
    from serving.batch.run import Request, score_file

    if engine is EngineName.LOCAL and (workers or ray_address):
        raise typer.BadParameter("--workers and --ray-address are for --engine ray")
    request = Request(source, to_file, to, text_column, Layout(split, fast), model_in_use(model), max_bad, restart)
    with progress({"scoring": "rows"}) as report:
        if engine is EngineName.RAY:
            from serving.batch.ray_engine import ray_engine

            chosen = ray_engine(workers, ray_address)
            done = score_file(request, report, lambda model: chosen)
        else:
            done = score_file(request, report)
    if as_json:
        print_json(done)
    else:
        _print(done)
    if done["bad"]:
        raise typer.Exit(SOME_BAD)


def _print(done: dict[str, Any]) -> None:
    before = done["rows"] - done["bad"] - done["scored_now"]
    out.print(f"{done['out']}: {done['written']:,} rows, scored by {done['model']}", markup=False)
    if done["truncated"]:
        out.print(f"  of {done['truncated']:,} only the beginning was read")
    if before:
        out.print(f"  {before:,} of {done['rows']:,} rows had been scored before")
    if done["scored_now"]:
        out.print(f"  {done['seconds']:,.0f} s, {done['rows_per_second']:,.0f} rows/s")
    if done["bad"]:
        out.print(f"  {done['bad']:,} bad rows were left out: {done['bad_file']}", markup=False)

"""`stance bench`: what scoring costs on this machine."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from labels.errors import StanceError, needs_package
from serving.commands.console import Json, ModelFolder, ModelInUse, app, err, example, out, print_json, progress

bench_app = typer.Typer(invoke_without_command=True)
app.add_typer(bench_app, name="bench")


@bench_app.callback(epilog=example("stance bench", "stance bench --texts feed.txt --json > bench.json"))
def bench(
    context: typer.Context,
    texts: Annotated[
        Path | None, typer.Option("--texts", help='JSONL ({"text"}), or plain text, a sentence a line.')
    ] = None,
    corpus: Annotated[Path | None, typer.Option("--corpus", help="Folder of documents; their sentences.")] = None,
    model: ModelFolder = None,
    seconds: Annotated[
        float, typer.Option(min=0.1, max=600, help="Seconds that each way of scoring gets, about.")
    ] = 3.0,
    quick: Annotated[bool, typer.Option("--quick", help="Only see that it works; the figures say nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Measure scoring beside the encoder alone: in process, over HTTP, and in the plain transformers pipeline.

    Without --texts or --corpus: the project's own authored sentences. A service is started on a free port of loopback
    and stopped again.
    """
    if context.invoked_subcommand:
        return
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


@bench_app.command("feeds", epilog=example("stance bench feeds --articles 100"))
def bench_of_feeds(
    texts: Annotated[
        Path | None, typer.Option("--texts", help='What articles are made of: JSONL ({"text"}), or a sentence a line.')
    ] = None,
    articles: Annotated[int, typer.Option(min=1, help="How many.")] = 100,
    feeds: Annotated[int, typer.Option(min=1, help="Feeds that they are divided into.")] = 4,
    holders: Annotated[
        bool, typer.Option("--holders/--no-holders", help="As for `stance feeds run`: find out who voices what.")
    ] = True,
    model: ModelInUse = None,
    as_json: Json = False,
) -> None:
    """Measure a run of `stance feeds`, from feeds on loopback to stored scores, and what each step takes of it.

    Without --texts: articles made of the project's own authored sentences.
    """
    try:
        from serving.bench.feeds import bench_feeds
    except ModuleNotFoundError as error:
        raise needs_package("`stance bench feeds`", error.name, "feeds") from None
    from serving.bench.texts import bench_texts

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with progress() as report:
        figures = bench_feeds(bench_texts(texts, None), articles, feeds, model, report, holders=holders)
    if as_json:
        print_json(figures)
        return
    out.print(
        f"{figures['model']}; {figures['articles']} articles of {figures['feeds']} feeds, "
        f"{figures['sentences']} sentences, in {figures['seconds']} s ({figures['processor_seconds']} s of processor "
        f"time); {figures['machine']['cores']} cores\n"
        f"{figures['articles_per_second']} articles/s, {figures['sentences_per_second']} sentences/s\n",
        markup=False,
    )
    table = _table("Of the time", "", "share")
    for stage, share in figures["shares"].items():
        table.add_row(stage, f"{share:.1%}")
    for shown in (table, "", _aims(figures)):
        out.print(shown)
    _note_load(figures["machine"])


@bench_app.command("overload", epilog=example("stance bench overload --seconds 30 --json > load.json"))
def bench_past_capacity(
    texts: Annotated[
        Path | None, typer.Option("--texts", help='JSONL ({"text"}), or plain text, a sentence a line.')
    ] = None,
    each: Annotated[int, typer.Option("--each", min=1, max=256, help="Texts of a request.")] = 1,
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="Seconds of each phase.")] = 60.0,
    model: ModelFolder = None,
    as_json: Json = False,
) -> None:
    """Ask a service for 80% of what it can answer, then for four times that (needs the extra `load`).

    The service is started on a free port of loopback and stopped again; see docs/load.md.
    """
    from serving.bench.overload import Plan, overload
    from serving.bench.texts import bench_texts

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with progress() as report:
        figures = overload(bench_texts(texts, None), Plan(seconds, each), model, report)
    if as_json:
        print_json(figures)
        return
    out.print(f"capacity: {figures['capacity']['requests_per_second']} requests a second of {each} texts", markup=False)
    out.print(_past_capacity(figures))
    out.print(
        f"p99 of what was accepted, past capacity over usual: {figures['p99_ratio']}; failed: {figures['failed']}"
    )
    _note_load(figures["machine"])


def _past_capacity(figures: Mapping[str, Any]) -> Table:
    columns = (
        "requests/s",
        "accepted",
        "p50 ms",
        "p99 ms",
        "refused",
        "p50 ms",
        "p99 ms",
        "failed",
        "worker MB",
        "load",
    )
    table = _table("", "", *columns)
    for name, which in (("80% of capacity", "usual"), ("4 × capacity", "past")):
        phase = figures[which]
        row = [f"{phase['reached']} of {phase['rate']}"]
        for status in ("200", "503"):
            times = phase["milliseconds"].get(status, {})
            row += [str(phase["statuses"].get(status, 0)), str(times.get("p50", "–")), str(times.get("p99", "–"))]
        held = phase["megabytes"]
        table.add_row(name, *row, str(phase["failed"]), f"{held['before']}–{held['after']}", str(phase["load_before"]))
    return table


@bench_app.command(epilog=example("stance bench runtimes --texts feed.txt --rounds 3"))
def runtimes(
    model: ModelFolder = None,
    texts: Annotated[
        Path | None, typer.Option("--texts", help='JSONL ({"text"}), or plain text, a sentence a line.')
    ] = None,
    labels: Annotated[
        list[Path] | None, typer.Option("--labels", help="Label file: also the macro-F1 lost, on what is unseen.")
    ] = None,
    corpus: Annotated[
        Path | None, typer.Option("--corpus", help="Folder of the documents that stand-off labels point into.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each runtime.")] = 5,
    as_json: Json = False,
) -> None:
    """Measure the encoder on other runtimes beside the one that serves; those that are not installed are left out.

    With --labels, also the points of macro-F1 that each loses against torch, on sentences of the training part that
    the model was not trained on.
    """
    from dataclasses import asdict

    from serving.bench.runtimes import REFERENCE, compare_runtimes
    from serving.bench.texts import bench_texts
    from training.model_folder import load_model

    if texts and labels:
        raise typer.BadParameter("give --texts or --labels")
    trained = load_model(model)
    encoder = trained.estimator.encoder()
    if encoder is None:
        raise StanceError("has no encoder, so there is nothing to measure", path=model)
    if labels:
        from serving.bench.runtime_quality import held_out_part, losses
        from training.dataset import texts_of
        from training.train import read_labelled

        part = held_out_part(trained, read_labelled(labels, trained.taxonomy, corpus))
        measured_on = texts_of(part)
    else:
        measured_on = bench_texts(texts, corpus)[:400]
    with progress() as report:
        found = compare_runtimes(encoder, measured_on, rounds, report)
    figures = {name: dict(row) for name, row in found.figures.items()}
    if labels and REFERENCE in found.vectors:
        for name, loss in losses(trained, part, found.vectors, REFERENCE).items():
            figures[name] |= asdict(loss)
    if as_json:
        print_json({"texts": len(measured_on), "runtimes": figures})
    else:
        _print_runtimes(len(measured_on), figures)


def _print_runtimes(texts: int, figures: Mapping[str, Any]) -> None:
    columns = (
        "sentences/s",
        "of what serves",
        "processor time of that",
        "one text, p50 ms",
        "MB",
        "least cosine",
        "macro-F1 points lost",
    )
    table = _table(f"{texts} texts: median [lowest–highest] of the rounds", "", *columns)
    for name, row in figures.items():
        if "skipped" in row:
            table.add_row(name, "skipped", row["skipped"])
            continue
        lost = row.get("lost", {}).get("mean macro-F1")
        table.add_row(
            name,
            _range(row["sentences_per_second"]),
            _range(row["of_ours"]),
            _range(row["processor_of_ours"]),
            str(row["single_ms"]["p50"]),
            str(row["megabytes"]),
            str(row["cosine"]),
            f"{lost['value']} [{lost['low']}–{lost['high']}]" if lost else "–",
        )
    out.print(table)


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
        f"{figures['model']} on {figures['runtime']}; "
        f"{about['number']} texts of {about['tokens_mean']} tokens on average; "
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
    _note_load(machine)


def _note_load(machine: Mapping[str, Any]) -> None:
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
        if "requests_a_turn" in row:
            table.add_row(f"  of which {row['requests_a_turn']} share a turn, on average")
    return table


def _aims(figures: Mapping[str, Any]) -> Table:
    table = _table("Aimed at", "", "measured", "wanted", "reached")
    for aim in figures["aims"]:
        wanted = f"≥ {aim['least']}" if aim["least"] is not None else f"≤ {aim['most']}"
        said = {True: "yes", False: "no", None: "–"}[aim["reached"]]
        table.add_row(aim["what"], "not measured" if aim["value"] is None else str(aim["value"]), wanted, said)
    return table

"""`stance feeds run` and `query`: from feeds to scored sentences, and questions about them."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from labels.errors import StanceError, needs_package
from serving.commands.console import Fast, Json, ModelInUse, counted, err, example, out, print_json, progress
from serving.commands.feeds import AllowPrivate, Folder, feeds_app
from serving.feeds.folder import feeds_folder

if TYPE_CHECKING:
    from serving.feeds.collection import Run
    from serving.feeds.query import Answer
    from serving.feeds.run import Summary

RUNS_ALREADY = 4
"""Exit code where another run is at work."""

State = Annotated[
    str | None,
    typer.Option("--state", help="URL of the state: postgresql://USER@HOST/DATABASE. Default: $STANCE_FEEDS_STATE."),
]


@feeds_app.command("run", epilog=example("stance feeds run --fetch-articles", "stance feeds run --every 15m"))
def feeds_run(
    folder: Folder = None,
    every: Annotated[str | None, typer.Option("--every", help="Stay up, and run so often: 15m, 2h.")] = None,
    fetch_articles: Annotated[
        bool, typer.Option("--fetch-articles", help="Fetch the pages of articles where a feed carries only a part.")
    ] = False,
    rescore: Annotated[
        bool, typer.Option("--rescore", help="Score what only other models have scored, beside those scores.")
    ] = False,
    model: ModelInUse = None,
    fast: Fast = False,
    holders: Annotated[
        bool,
        typer.Option("--holders/--no-holders", help="Find out who voices what, which takes as long as scoring it."),
    ] = True,
    state: State = None,
    allow_private: AllowPrivate = False,
    as_json: Json = False,
) -> None:
    """Ask the feeds, take in new articles, score their sentences; each article once, whatever happens meanwhile.

    SIGTERM and Ctrl-C stop it after the step in hand. Exit code 4 where another run is at work in this folder.
    """
    with _extra():
        from serving.feeds.collection import opened
        from serving.feeds.model_in_use import ModelInUse
        from serving.feeds.run_lock import RunsAlreadyError
        from serving.feeds.state import state_url
        from serving.feeds.staying_up import again_and_again, asked_to_stop
    from training.home import home_folder

    seconds = _seconds(every)
    place = feeds_folder(folder)
    models = ModelInUse(home_folder(), model)
    options = {
        "fetch_articles": fetch_articles,
        "rescore": rescore,
        "fast": fast,
        "holders": holders,
        "allow_private": allow_private,
    }
    try:
        with opened(place, state_url(place, state), models, **options) as run, asked_to_stop() as stop:
            if seconds is None:
                with progress() as report:
                    summary = run(report, stop)
                _say(summary, as_json=as_json)
            else:
                # Known now rather than at some hour of the night.
                models.now()
                again_and_again(lambda: _round(run, stop, as_json=as_json), seconds, stop)
    except RunsAlreadyError as error:
        err.print(f"error: {error}", markup=False)
        raise typer.Exit(RUNS_ALREADY) from None


@contextmanager
def _extra() -> Iterator[None]:
    """Says which extra is missing where it is."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise needs_package("`stance feeds`", error.name, "feeds") from None


def _seconds(every: str | None) -> int | None:
    from serving.feeds.staying_up import seconds_of

    try:
        return None if every is None else seconds_of(every)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _round(run: Run, stop: Callable[[], bool], *, as_json: bool) -> None:
    """One of many runs: what goes wrong is said, and the next may go better."""
    from serving.feeds.run_lock import RunsAlreadyError

    err.print(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC: asking the feeds", markup=False)
    try:
        with progress() as report:
            summary = run(report, stop)
    except RunsAlreadyError:
        raise
    except StanceError as error:
        err.print(f"error: {error}", markup=False)
    except Exception:
        err.print_exception()
    else:
        _say(summary, as_json=as_json)


def _say(summary: Summary, *, as_json: bool) -> None:
    if as_json:
        print_json(summary.as_dict())
        sys.stdout.flush()
        return
    out.print(
        f"{counted(summary.feeds, 'feed')} asked, {counted(summary.new, 'new entry', 'new entries')}: "
        f"{counted(summary.articles, 'article')}, {counted(summary.duplicates, 'duplicate')}, "
        f"{summary.unread} without an article"
    )
    if summary.versions:
        out.print(f"  new versions of known articles among them: {summary.versions}")
    if summary.other_languages:
        out.print(f"  in other languages than English: {summary.other_languages}, kept, not scored")
    scored, sentences = counted(summary.scored, "article"), counted(summary.sentences, "sentence")
    out.print(f"{scored} scored by {summary.version}: {sentences}", markup=False)
    for trouble in summary.troubles:
        out.print(f"  {trouble.url}: {trouble.reason}", markup=False)
    if summary.stopped:
        out.print("stopped before the end; the next run goes on from here")


@feeds_app.command("compact", epilog=example("stance feeds compact"))
def feeds_compact(folder: Folder = None, state: State = None, as_json: Json = False) -> None:
    """Put the files of scores of each past day into one; not while a run is at work (exit code 4).

    Files that were replaced stay for an hour, for whoever reads them; the next time, they are removed.
    """
    with _extra():
        from serving.feeds.joining import join_files
        from serving.feeds.run_lock import RunsAlreadyError, run_lock
        from serving.feeds.state import open_state, state_url
        from serving.feeds.staying_up import asked_to_stop

    place = feeds_folder(folder)
    try:
        with (
            run_lock(place),
            open_state(state_url(place, state)) as engine,
            asked_to_stop() as stop,
            progress() as report,
        ):
            joined = join_files(engine, place, datetime.now(UTC), report, stop)
    except RunsAlreadyError as error:
        err.print(f"error: {error}", markup=False)
        raise typer.Exit(RUNS_ALREADY) from None
    if as_json:
        print_json(asdict(joined))
        return
    out.print(f"{joined.files} files were put into {joined.by}; {joined.removed} that were replaced before are removed")


@feeds_app.command("query", epilog=example('stance feeds query "SELECT * FROM by_target" --csv > by_target.csv'))
def feeds_query(
    sql: Annotated[str, typer.Argument(help="A SELECT of DuckDB, over scores, latest, articles, by_target …")],
    folder: Folder = None,
    state: State = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object a line for each row.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV with a header.")] = False,
) -> None:
    """Answer a question in SQL about what is scored; nothing can be changed by it. `SHOW TABLES` lists the views."""
    with _extra():
        from serving.feeds.query import open_scores

    if as_json and as_csv:
        raise typer.BadParameter("give --json or --csv, not both")
    with open_scores(feeds_folder(folder), state=state) as scores:
        answer = scores.ask(sql)
        if as_json:
            for row in answer.rows:
                print_json(dict(zip(answer.columns, map(_plain, row), strict=True)))
        elif as_csv:
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(answer.columns)
            writer.writerows([_plain(value) for value in row] for row in answer.rows)
        else:
            out.print(_table(answer))


def _plain(value: Any) -> Any:
    """A value fit for JSON and CSV."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    return value if isinstance(value, str | int | float | bool | dict | list | None) else str(value)


def _table(answer: Answer) -> Table:
    table = Table(box=None)
    for name in answer.columns:
        table.add_column(escape(name))
    for row in answer.rows:
        table.add_row(*(escape(_shown(value)) for value in row))
    return table


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.3f}"
    return f"{value:%Y-%m-%d %H:%M}" if isinstance(value, datetime) else str(value)

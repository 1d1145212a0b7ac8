"""`stance feeds report`: scored feeds as a page."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import typer

from labels.errors import needs_package
from serving.commands.console import example, out
from serving.commands.feeds import Folder, feeds_app
from serving.commands.feeds_run import State
from serving.feeds.folder import feeds_folder


@feeds_app.command("report", epilog=example("stance feeds report --out report.html --since 2026-01-01"))
def report(
    to: Annotated[Path, typer.Option("--out", help="The page; what it said is kept beside it, ending in .json.")],
    since: Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help="First day of the articles.")] = None,
    until: Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help="Last day of the articles.")] = None,
    folder: Folder = None,
    state: State = None,
) -> None:
    """Stance over time and by outlet, the most pronounced sentences, what changed since the last report."""
    try:
        from serving.feeds.figures import Period
        from serving.feeds.query import open_scores
        from serving.feeds.report import write_report
    except ModuleNotFoundError as error:
        raise needs_package("the report on feeds", error.name, "feeds") from None

    if to.suffix == ".json":
        raise typer.BadParameter("the page cannot end in .json, which what it said has", param_hint="--out")
    period = Period(_day(since, "--since"), _day(until, "--until"))
    if period.since and period.until and period.since > period.until:
        raise typer.BadParameter("lies after the last day", param_hint="--since")
    with open_scores(feeds_folder(folder), state=state) as scores:
        written = write_report(scores.rows, to, period, datetime.now(UTC))
    out.print("wrote " + " and ".join(map(str, written)), markup=False)


def _day(given: str | None, option: str) -> date | None:
    try:
        return None if given is None else date.fromisoformat(given)
    except ValueError:
        raise typer.BadParameter(f"'{given}' is not a day such as 2026-03-01", param_hint=option) from None

"""`stance drift`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from labels.errors import StanceError
from labels.records import default_label_files
from serving.commands.console import (
    Corpus,
    Json,
    Labels,
    ModelInUse,
    app,
    err,
    example,
    model_in_use,
    out,
    print_json,
    progress,
)

if TYPE_CHECKING:
    from training.model_folder import Model
    from training.profile import Profile
    from training.test_set import TestSet

NEEDS_LABELS = 3
"""Exit code where a target needs labels, or unknown words have become many."""

Span = tuple[date, date]
_QUIET = {"none": "as before", "little": "differs, but little"}


@app.command(
    epilog=example(
        "stance drift --corpus DIR --days 30", "stance drift --corpus DIR --reference-days 2026-01-01..2026-01-31"
    )
)
def drift(
    days: Annotated[
        int | None, typer.Option(min=1, help="Days to look at, today the last of them. Default: 7.")
    ] = None,
    first: Annotated[
        str | None, typer.Option("--from", metavar="YYYY-MM-DD", help="First day to look at (UTC).")
    ] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="YYYY-MM-DD", help="Last day. Default: today.")] = None,
    reference_days: Annotated[
        str | None,
        typer.Option(metavar="FROM..TO", help="Compare with what was answered on these days, not with the test set."),
    ] = None,
    simulate: Annotated[
        int | None, typer.Option(min=1, help="Do not look at use: try the method on that many windows of the test set.")
    ] = None,
    texts: Annotated[int, typer.Option(min=1, help="Texts in a window of --simulate.")] = 1000,
    model: ModelInUse = None,
    labels: Labels = None,
    corpus: Corpus = None,
    as_json: Json = False,
) -> None:
    """Compare what a model has answered lately with its test set, and say which targets need labels.

    Exit code 3 where a target needs labels or unknown words have become many, 0 where not, 1 for errors.
    """
    from training.home import home_folder, labels_file
    from training.model_folder import load_model

    window = _window(days, first, last)
    earlier = _span(reference_days) if reference_days is not None else None
    if earlier and earlier[1] >= window[0]:
        raise typer.BadParameter("must lie before the days that are looked at", param_hint="--reference-days")
    if simulate and (days or first or earlier):
        raise typer.BadParameter("looks at no days", param_hint="--simulate")
    home = home_folder()
    trained = load_model(model_in_use(model), cache=True)
    kept = labels_file(home, trained.version)
    known = labels or ([kept] if kept.is_file() else None)
    if simulate:
        _simulate(trained, known, corpus, texts, simulate, as_json)
        return
    found = _compare(trained, home, window, earlier, known, corpus)
    if as_json:
        print_json(found)
    else:
        _print_drift(found)
    if found["alarm"]:
        raise typer.Exit(NEEDS_LABELS)


def _window(days: int | None, first: str | None, last: str | None) -> Span:
    if first is None:
        if last is not None:
            raise typer.BadParameter("goes with --from", param_hint="--to")
        today = datetime.now(UTC).date()
        return today - timedelta(days=(days or 7) - 1), today
    if days is not None:
        raise typer.BadParameter("excludes --from and --to", param_hint="--days")
    span = _day(first, "--from"), _day(last, "--to") if last else datetime.now(UTC).date()
    if span[0] > span[1]:
        raise typer.BadParameter("lies after the last day", param_hint="--from")
    return span


def _span(given: str) -> Span:
    first, dots, last = given.partition("..")
    span = _day(first, "--reference-days"), _day(last if dots else first, "--reference-days")
    if span[0] > span[1]:
        raise typer.BadParameter("the first day lies after the last", param_hint="--reference-days")
    return span


def _day(given: str, option: str) -> date:
    try:
        return date.fromisoformat(given)
    except ValueError:
        raise typer.BadParameter(f"'{given}' is not a day such as 2026-03-01", param_hint=option) from None


def _test_set(trained: Model, labels: list[Path] | None, corpus: Path | None) -> TestSet:
    from training.test_set import said_of_test_set
    from training.train import read_labelled

    data = read_labelled(tuple(labels or default_label_files()), trained.taxonomy, corpus, skip_unknown_targets=True)
    if data.missing:
        err.print(
            f"note: {data.missing.total()} records are left out: the corpus lacks the {len(data.missing)} documents "
            "that they point into (`stance labels resolve` lists them)."
        )
    with progress() as report:
        return said_of_test_set(trained, data, report)


def _simulate(
    trained: Model, labels: list[Path] | None, corpus: Path | None, texts: int, windows: int, as_json: bool
) -> None:
    from training.drift_simulation import simulate

    test = _test_set(trained, labels, corpus)
    with progress() as report:
        found = simulate(test.said, test.groups, trained.taxonomy, texts=texts, times=windows, progress=report)
    if as_json:
        print_json({"model": {"version": trained.version}, "fingerprint": test.fingerprint, **found})
    else:
        _print_simulation(found)


def _compare(
    trained: Model, home: Path, window: Span, earlier: Span | None, labels: list[Path] | None, corpus: Path | None
) -> dict[str, Any]:
    from serving.usage import read_usage
    from training.drift import drift
    from training.profile import profile_of

    now = read_usage(home, trained.version, *window)
    if not now.texts:
        _check_counted(home, trained.version)
    test = _test_set(trained, labels, corpus)
    before = read_usage(home, trained.version, *earlier) if earlier else profile_of(test.said, trained.taxonomy)
    return {
        "model": {"version": trained.version},
        "window": _about(now, window),
        "reference": _about(before, earlier) if earlier else {"test_set": test.fingerprint, "texts": before.texts},
        **drift(before, now, test.said, test.groups, trained.taxonomy),
        "counts": {"reference": before.rows(), "window": now.rows()},
    }


def _about(profile: Profile, span: Span) -> dict[str, Any]:
    return {"from": span[0].isoformat(), "to": span[1].isoformat(), "texts": profile.texts}


def _check_counted(home: Path, version: str) -> None:
    """A quiet week is none of the user's mistakes, but another model or home may be."""
    from serving.usage import counted_versions, usage_file

    known = counted_versions(home)
    if version not in known:
        others = ", ".join(f"{name} ({texts} texts)" for name, texts in sorted(known.items()))
        raise StanceError(
            f"holds no use of {version}",
            path=usage_file(home),
            hint=f"It holds other models, which --model can name: {others}."
            if others
            else "The service counts what it answers under STANCE_HOME, unless STANCE_USAGE=0.",
        )


def _print_drift(found: Mapping[str, Any]) -> None:
    window, reference = found["window"], found["reference"]
    against = "the test set" if "test_set" in reference else f"{reference['from']} to {reference['to']}"
    title = f"{found['model']['version']}: {window['from']} to {window['to']}, {window['texts']} texts"
    title += f", against {against}, {reference['texts']} texts"
    if not found["enough"]:
        from training.drift import FEWEST_TEXTS

        out.print(title, markup=False)
        out.print(f"too few to say: each side needs {FEWEST_TEXTS} texts", markup=False)
        return
    table = Table(title=title, title_justify="left", box=None)
    table.add_column("target")
    for column in ("PSI classes", "PSI confidence", "abstained", "p (Holm)"):
        table.add_column(column, justify="right")
    table.add_column("")
    for target_id, of in found["targets"].items():
        abstained = of["abstained"]
        table.add_row(
            target_id,
            f"{of['outcomes']['index']:.2f}",
            f"{of['confidence']['index']:.2f}",
            f"{abstained['reference'][1]:.0%} → {abstained['window'][1]:.0%}",
            f"{of['p_holm']:.3f}",
            f"needs labels: {of['shift']} shift" if of["needs_labels"] else _QUIET[of["shift"]],
        )
    out.print(table)
    _print_words(found["unknown_words"])
    if "test_set" in reference:
        err.print(
            "note: test sentences were chosen partly because they might voice a stance, so running news differs from "
            "them without any drift; --reference-days compares with earlier days."
        )


def _print_words(words: Mapping[str, Any] | None) -> None:
    if words is None:
        out.print("unknown words: not counted, for the model does not know the words of its training sentences")
        return
    difference = words["difference"]
    out.print(
        f"unknown words: {words['reference']:.1%} → {words['window']:.1%}, difference {difference['value']:+.1%} "
        f"({difference['low']:+.1%} to {difference['high']:+.1%}), p (Holm) {words['p_holm']:.3f}"
        + (": many are new, read some texts of these days" if words["alarm"] else ""),
        markup=False,
    )


def _print_simulation(found: Mapping[str, Any]) -> None:
    out.print(f"{found['windows']} windows of at least {found['texts']} texts, drawn from {found['groups']} groups")
    for name, title in (("reference", "against the test set as it is"), ("redrawn", "against a test set drawn anew")):
        out.print(f"false alarms {title}: {_interval(found['false_alarms'][name])}", markup=False)
    table = Table(title="alarms where poles are made more frequent", title_justify="left", box=None)
    table.add_column("target")
    growths = list(next(iter(found["power"].values())))
    for growth in growths:
        table.add_column(f"poles × {growth}", justify="right")
        table.add_column("alarms", justify="right")
    for target_id, by_growth in found["power"].items():
        cells = []
        for growth in growths:
            before, after = by_growth[growth]["poles"]
            cells += [f"{before:.1%} → {after:.1%}", _interval(by_growth[growth])]
        table.add_row(target_id, *cells)
    out.print(table)


def _interval(rate: Mapping[str, float]) -> str:
    return f"{rate['rate']:.1%} ({rate['low']:.1%} to {rate['high']:.1%})"

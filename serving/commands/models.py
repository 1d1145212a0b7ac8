"""`stance models`: what the registry knows, and going back to an earlier champion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from labels.errors import StanceError
from serving.commands import evaluation
from serving.commands.console import By, Corpus, Json, Labels, Why, app, example, out, print_json
from training.home import home_folder

if TYPE_CHECKING:
    from training.registry import Event, Registered, Registry

models_app = typer.Typer(help="The registry of models: which serves, which did, and why.", no_args_is_help=True)
app.add_typer(models_app, name="models")

Version = Annotated[str, typer.Argument(metavar="VERSION", help="A version, or as much of its beginning as is needed.")]


@models_app.command("list", epilog=example("stance models list"))
def models_list(as_json: Json = False) -> None:
    """All models, the newest last; the star marks the champion."""
    from training.registry import read_registry

    with read_registry(home_folder()) as registry:
        models = registry.models() if registry else []
        champion = registry.champion() if registry else None
    if as_json:
        print_json([_as_dict(model, champion) for model in models])
        return
    if champion is None:
        out.print("No model was promoted yet: the one that ships serves. `stance retrain` makes and promotes others.")
    if models:
        out.print(_table(models, champion))


@models_app.command("show", epilog=example("stance models show floor-4d"))
def models_show(version: Version, as_json: Json = False) -> None:
    """All that is known of a model: where it comes from, its figures, what happened to it."""
    from training.registry import read_registry

    with read_registry(home_folder()) as found:
        registry = _made(found)
        model = registry.model(version)
        champion, events = registry.champion(), registry.history(model.version)
    if as_json:
        history = [asdict(event) | {"at": event.at.isoformat()} for event in events]
        print_json({**_as_dict(model, champion), "metrics": model.metrics, "history": history})
        return
    out.print(model.version, style="bold", markup=False)
    known = {
        "state": _state(model, champion, events),
        "parent": model.parent or "none",
        "registered": f"{_when(model.at)} by {model.by}: {model.why}",
        "recipe": model.recipe,
        "sentences": f"{model.sentences}, fingerprint {model.fingerprint}",
        "labels": model.labels or "none of its own",
        "folder": model.folder,
    }
    for name, value in known.items():
        out.print(f"  {name:<10} {value}", markup=False)
    if "targets" in model.metrics:
        out.print(evaluation.figures_table("Held-out figures", model.metrics))
    out.print("History (UTC)")
    for event in events:
        _print_event(event)


@models_app.command("compare", epilog=example("stance models compare floor-c floor-4 --corpus DIR"))
def models_compare(
    version_a: Version,
    version_b: Version,
    labels: Labels = None,
    corpus: Corpus = None,
    split: evaluation.Split = "test",
    out_dir: Annotated[
        Path | None, typer.Option("--out", help="Folder for comparison.html and comparison.json.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare two models of the registry, as `stance compare` does two folders."""
    from training.registry import read_registry

    with read_registry(home_folder()) as registry:
        a, b = (_made(registry).model(version) for version in (version_a, version_b))
    evaluation.compare(a.folder, b.folder, labels, corpus, split, out_dir, as_json)


@models_app.command("rollback", epilog=example('stance models rollback --why "misses calls for talks"'))
def models_rollback(
    why: Why,
    by: By,
    to: Annotated[
        str | None,
        typer.Option("--to", help="A version that was champion. Default: the champion before this one."),
    ] = None,
) -> None:
    """Make an earlier champion the champion again; a running service follows within seconds."""
    from training.registry import open_registry, read_champion

    home = home_folder()
    was = read_champion(home)
    if was is None:
        raise StanceError("no model was promoted yet, so there is nothing to go back to: the one that ships serves")
    with open_registry(home) as registry:
        model = registry.roll_back(by=by, why=why, to=to)
    out.print(f"{model.version} is champion again, in place of {was.version}", markup=False)


@models_app.command("add", epilog=example('stance models add models/mine --why "trained by hand"'))
def models_add(
    folder: Annotated[Path, typer.Argument(help="Model folder, as `stance train` writes it.")],
    why: Why,
    by: By,
) -> None:
    """Enter a model without promoting it, so that it can be compared."""
    from training.registry import open_registry

    with open_registry(home_folder()) as registry:
        model = registry.register(folder, parent=None, by=by, why=why, labels=None)
    out.print(f"registered {model.version}; `stance models compare` sets it beside another", markup=False)


def _made(registry: Registry | None) -> Registry:
    if registry is None:
        raise StanceError(
            "no model is registered yet: the one that ships serves",
            hint="`stance retrain` registers models, and `stance models add` those that you have trained.",
        )
    return registry


def _as_dict(model: Registered, champion: Registered | None) -> dict[str, Any]:
    """What `list --json` says of a model; its figures are left to `show`."""
    known = {name: value for name, value in asdict(model).items() if name != "metrics"}
    return {
        **known,
        "at": model.at.isoformat(),
        "folder": str(model.folder),
        "labels": None if model.labels is None else str(model.labels),
        "champion": champion is not None and champion.version == model.version,
    }


def _table(models: Sequence[Registered], champion: Registered | None) -> Table:
    table = Table(box=None)
    for name in ("", "version", "recipe", "sentences", "registered (UTC)", "by", "forced"):
        table.add_column(name, justify="right" if name == "sentences" else "left")
    for model in models:
        mark = "*" if champion and champion.version == model.version else ""
        said = (model.recipe, f"{model.sentences:,}", _when(model.at), model.by)
        # Names are anybody's: none of them is markup.
        table.add_row(mark, model.version, *map(escape, said), "forced" if model.forced else "")
    return table


def _state(model: Registered, champion: Registered | None, events: Sequence[Event]) -> str:
    was = "was champion" if any(event.crowned for event in events) else "never was champion"
    state = "champion" if champion and champion.version == model.version else was
    return state + (", promoted by force" if model.forced else "")


def _print_event(event: Event) -> None:
    instead = f", in place of {event.previous}" if event.previous else ""
    out.print(f"  {_when(event.at)}  {event.kind}{instead}, by {event.by}: {event.why}", markup=False)
    if event.decision and "checks" in event.decision:
        from training.decision_words import in_short

        for line in in_short(event.decision):
            out.print(f"    {line}", markup=False)
        out.print(f"    {event.decision['report']}/decision.html has all of it", markup=False)


def _when(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}"

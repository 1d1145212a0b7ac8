"""The command line application, the options that commands share, and how they speak."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text
from typer.core import TyperGroup

from labels.corpus import CORPUS_VARIABLE
from labels.errors import StanceError
from training.outcomes import Progress as Report

EXIT_CODES = """\b
Exit codes:
  0    done
  1    an error that you can mend, told in one line; `labels check`: labels are wrong
  2    the command line is not right
  3    done, but look: `batch score` left bad rows out, `drift` asks for labels, `retrain` did not promote
  4    another run of `feeds` is at work in this folder
  130  stopped by Ctrl-C

`stance COMMAND --help` has an example of each command. The environment can set defaults: docs/settings.md."""


def counted(count: int, what: str, several: str = "") -> str:
    """`1 article`, `2 articles`; `several` where its plural is not made with an s."""
    return f"{count} {what if count == 1 else several or what + 's'}"


def example(*lines: str) -> str:
    """Epilog of a command's help: command lines as they are typed, with `stance`."""
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


_FIRST = ("score", "analyze", "explain", "batch", "feeds", "serve", "keys", "labels", "train", "decide", "evaluate")
"""Commands as they are listed, those that most people need before the others."""


class _ByUse(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        known = super().list_commands(ctx)
        return [*(name for name in _FIRST if name in known), *sorted(set(known) - set(_FIRST))]


app = typer.Typer(
    name="stance",
    cls=_ByUse,
    epilog=EXIT_CODES,
    help="Stance scores for sentences about international disputes: label, train, evaluate, serve.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
labels_app = typer.Typer(help="Label files and the corpus that they point into.", no_args_is_help=True)
app.add_typer(labels_app, name="labels")

Labels = Annotated[
    list[Path] | None,
    typer.Option("--labels", help="Label file (JSONL); may be repeated. Default: the project's own."),
]
Targets = Annotated[Path, typer.Option("--targets", help="Taxonomy file.", show_default="the project's own")]
Corpus = Annotated[
    Path | None,
    typer.Option("--corpus", envvar=CORPUS_VARIABLE, help="Folder of the documents that stand-off labels point into."),
]
SkipUnknown = Annotated[
    bool, typer.Option("--skip-unknown-targets", help="Leave out labels of targets that the taxonomy lacks.")
]
ModelFolder = Annotated[Path | None, typer.Option("--model", help="Model folder. Default: the one that ships.")]
ModelInUse = Annotated[Path | None, typer.Option("--model", help="Model folder. Default: the champion.")]
"""Of commands that score what is new; see `model_in_use`."""
Fast = Annotated[
    bool, typer.Option("--fast", help="Let the model's fast path answer the clear texts; see docs/speed.md.")
]


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise StanceError("your login name is not known", hint="Say who you are: --by NAME.") from None


By = Annotated[str, typer.Option("--by", help="Who you are.", default_factory=_login_name, show_default="login name")]
Why = Annotated[str, typer.Option("--why", help="The reason, for the history.")]
Json = Annotated[bool, typer.Option("--json", help="JSON for programs instead of text for people.")]

# Piped, a table keeps its columns; in a terminal it fits the window.
out = Console(soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else 160)
err = Console(stderr=True, soft_wrap=True, highlight=False)


class _Rate(ProgressColumn):
    def __init__(self, units: Mapping[str, str]) -> None:
        super().__init__()
        self._units = units

    def render(self, task: Task) -> Text:
        unit = self._units.get(task.description)
        return Text(f"{task.speed:,.0f} {unit}/s" if unit and task.speed else "")


@contextmanager
def progress(units: Mapping[str, str] | None = None) -> Iterator[Report]:
    """A bar on standard error, where that is a terminal.

    Args:
        units: what is done → what is counted of it, where its rate is to be shown.
    """
    columns: list[ProgressColumn] = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()]
    columns += [_Rate(units or {}), TimeRemainingColumn()]
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        tasks: dict[str, Any] = {}

        def report(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total)

        yield report


def model_in_use(named: Path | None) -> Path | None:
    """The folder that was named, else that of the champion; None for the model that ships.

    Raises:
        StanceError: the registry cannot be read.
    """
    from training.home import home_folder
    from training.registry import champion_folder

    return named or champion_folder(home_folder())


def check_targets(asked: Sequence[str] | None, known: Sequence[str]) -> None:
    """Refuse a --target that the model does not have."""
    for target_id in asked or ():
        if target_id not in known:
            raise typer.BadParameter(f"no target '{target_id}'; the model has {', '.join(known)}")


def print_json(value: object) -> None:
    """One line of JSON on standard output."""
    print(json.dumps(value, ensure_ascii=False))

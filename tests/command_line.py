"""Command lines read as the shell and `stance` read them, without doing anything."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import Any

import typer

from serving.cli import spread
from serving.commands.console import app


def command_tree() -> Any:
    """The root of all commands."""
    return typer.main.get_command(app)


def commands() -> Iterator[tuple[str, Any]]:
    """How each command is called, and what it is; without groups that do nothing by themselves."""
    yield from _below(command_tree(), "stance")


def _below(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    below = getattr(command, "commands", {})
    if not below or command.invoke_without_command:
        yield name, command
    for word, inner in below.items():
        yield from _below(inner, f"{name} {word}")


def stance_calls(line: str) -> list[list[str]]:
    """Arguments of each `stance` in a line of a shell: variables before it, pipes and redirections are left out."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    lexer.commenters = "#"
    calls: list[list[str]] = []
    inside, skip = False, False
    for word in lexer:
        if skip:
            skip = False
        elif set(word) <= set("<>"):
            skip = True
        elif set(word) <= set("|&;"):
            inside = False
        elif inside:
            calls[-1].append(word)
        elif word == "stance":
            inside = True
            calls.append([])
    return calls


def check_call(arguments: Sequence[str]) -> str:
    """How the command is called that these arguments name, which are such as it takes.

    Raises:
        click's UsageError: they are not.
    """
    command, name, rest, context = command_tree(), "stance", spread(arguments), None
    while True:
        context = command.make_context(name, rest, parent=context)
        rest = [*context._protected_args, *context.args]
        if not hasattr(command, "commands") or (not rest and command.invoke_without_command):
            return context.command_path
        name, command, rest = command.resolve_command(context, rest)

"""Command lines read as the shell and `stance` read them, without doing anything."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import typer

from serving.cli import spread
from serving.commands.console import app

ALONE = (["--help"], ["--install-completion"], ["--show-completion"])
"""Options that do something and end as they are read."""


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


@dataclass(frozen=True)
class Call:
    """`stance` in a line of a shell: its arguments, and the file that its output goes to."""

    arguments: list[str]
    output: str | None = None


def shell_lines(block: str) -> list[str]:
    """Lines as a shell takes them: what a quotation or a backslash keeps together is one. A prompt `$` is left out;
    where a block has prompts, its other lines are output."""
    lines, begun = [], ""
    prompts = re.search(r"^\$ ", block, re.M)
    for line in block.splitlines():
        if not begun and prompts and not line.startswith("$ "):
            continue
        begun += line if begun else line.removeprefix("$ ")
        try:
            shlex.split(begun, comments=True)
        except ValueError:  # a quotation is open, or a backslash ends it
            begun = begun[:-1] + " " if begun.endswith("\\") else begun + "\n"
            continue
        if begun.strip():
            lines.append(begun)
        begun = ""
    assert not begun, f"a quotation is left open: {begun}"
    return lines


def stance_calls(line: str) -> list[Call]:
    """Each `stance` in a line of a shell, without variables before it, pipes and comments."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    lexer.commenters = "#"
    calls: list[Call] = []
    inside, first, redirected = False, True, ""
    for word in lexer:
        if redirected:
            if ">" in redirected and inside:
                calls[-1] = replace(calls[-1], output=word)
            redirected = ""
        elif set(word) <= set("<>"):
            redirected = word
        elif set(word) <= set("|&;"):
            inside, first = False, True
        elif inside:
            calls[-1].arguments.append(word)
        elif first and not re.fullmatch(r"[A-Z_]+=.*", word):
            inside, first = word == "stance", False
            calls += [Call([])] if inside else []
    return calls


def check_call(arguments: Sequence[str]) -> str:
    """How the command is called that these arguments name, which are such as it takes. Nothing is done, not even what
    an option does by itself (`--help`, `--install-completion`).

    Raises:
        click's UsageError: they are not.
    """
    command, name, rest, context = command_tree(), "stance", spread(arguments), None
    while True:
        if rest in ALONE:
            return name
        context = command.make_context(name, rest, parent=context)
        rest = [*context._protected_args, *context.args]
        if not hasattr(command, "commands") or (not rest and command.invoke_without_command):
            return context.command_path
        name, command, rest = command.resolve_command(context, rest)

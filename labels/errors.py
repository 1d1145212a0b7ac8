"""The one error that commands turn into a line for the user and exit code 1; what pydantic finds, in its words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class StanceError(Exception):
    """What was wrong, where, and what to do about it.

    Args:
        message: what was wrong, in a sentence.
        path: the file it stands in.
        line: line of the file, counted from 1.
        field: name of the field, dotted where nested.
        hint: what to do.
    """

    def __init__(
        self,
        message: str,
        *,
        path: Path | str | None = None,
        line: int | None = None,
        field: str | None = None,
        hint: str | None = None,
    ) -> None:
        self.message, self.path, self.line, self.field, self.hint = message, path, line, field, hint
        place = ":".join(str(part) for part in (path, line) if part is not None)
        where = ", ".join(part for part in (place, f"field '{field}'" if field else "") if part)
        text = f"{where}: {message}" if where else message
        super().__init__(f"{text.removesuffix('.')}. {hint}" if hint else text)


def needs_package(what: str, package: str | None, extra: str) -> StanceError:
    """The error of a package that is not installed, because what serves needs none of its extra.

    Args:
        what: what needs it, as the sentence begins.
        package: its name.
        extra: the extra, or several with commas, that bring it.
    """
    return StanceError(
        f"{what} needs the package {package}, which is not installed",
        hint=f"Install what is missing: pip install -c constraints.txt -e '.[{extra}]'",
    )


def first_problem(error: ValidationError) -> tuple[str, str]:
    """Field (dotted) and message of the first thing that pydantic found wrong."""
    return all_problems(error)[0]


def not_as_described(
    error: ValidationError,
    path: Path | str,
    *,
    line: int | None = None,
    within: str = "",
    hint: str | None = None,
) -> StanceError:
    """The first thing that pydantic found wrong in a file.

    Args:
        error: what it found.
        path: the file.
        line: line of the file, counted from 1.
        within: a word that it puts before each field though the file has none of it: which type of a union it is.
        hint: what to do.
    """
    field, message = first_problem(error)
    if within:
        field = field.removeprefix(f"{within}.")
    return StanceError(message, path=path, line=line, field=field or None, hint=hint)


def all_problems(error: ValidationError) -> list[tuple[str, str]]:
    """Field (dotted) and message of each thing that pydantic found wrong."""
    found: list[tuple[str, str]] = []
    for problem in error.errors(include_url=False):
        location: Sequence[int | str] = problem["loc"]
        message = str(problem["msg"]).removeprefix("Value error, ")
        found.append((".".join(str(part) for part in location), message[:1].lower() + message[1:]))
    return found

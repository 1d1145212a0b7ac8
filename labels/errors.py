"""The one error that commands turn into a line for the user and exit code 1."""

from __future__ import annotations

from pathlib import Path


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

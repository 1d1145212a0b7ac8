"""What environment variables set. They are read here and nowhere else; `docs/settings.md` lists them.

A variable that is empty is not set. The names stand in the modules that the settings are of. Options of commands may
name a variable too: the option counts where both are given.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from labels.errors import StanceError

_DAY = 86_400

Word = TypeVar("Word", bound=str)


def text_setting(variable: str) -> str | None:
    """What an environment variable holds; None where it is not set."""
    return os.environ.get(variable) or None


def path_setting(variable: str) -> Path | None:
    """The file or folder that an environment variable names; None where it is not set."""
    given = text_setting(variable)
    return Path(given) if given else None


def choice_setting(variable: str, choices: Sequence[Word]) -> Word:
    """Which of some words an environment variable names; the first where it is not set.

    Raises:
        StanceError: it is none of them.
    """
    given = text_setting(variable)
    if given is None:
        return choices[0]
    for choice in choices:
        if choice == given:
            return choice
    raise _wrong(variable, given, f"Give {', '.join(choices[:-1])} or {choices[-1]}; unset, it is {choices[0]}.")


def switch_setting(variable: str, default: bool) -> bool:
    """Whether an environment variable switches something on (1) or off (0).

    Raises:
        StanceError: it does neither.
    """
    return choice_setting(variable, ("1", "0") if default else ("0", "1")) == "1"


def seconds_setting(variable: str, default: float) -> float:
    """Seconds that an environment variable names; the default where it is not set.

    Raises:
        StanceError: it is not a number above 0 and below a day.
    """
    given = text_setting(variable)
    if given is None:
        return default
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < _DAY:
        raise _wrong(variable, given, "Give seconds, as 10 or 0.5.")
    return seconds


def number_setting(variable: str, what: str) -> int | None:
    """A whole number from 0 that an environment variable names; None where it is not set.

    Args:
        variable: its name.
        what: what is counted, as the hint of an error says it: "requests a minute".

    Raises:
        StanceError: it is none.
    """
    given = text_setting(variable)
    if given is not None and not (given.isascii() and given.isdecimal()):
        raise _wrong(variable, given, f"Give {what} as a whole number.")
    return None if given is None else int(given)


def _wrong(variable: str, given: str, hint: str) -> StanceError:
    return StanceError(f"{variable} is '{given}'", hint=hint)

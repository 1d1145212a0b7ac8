"""Which of this project's extras brings a package that is not installed."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, requires

_REQUIREMENT = re.compile(r"([\w.-]+).*;.*extra == [\"'](\w+)[\"']")
_EVERYTHING = "dev"


def extra_with(module: str | None, likely: str) -> str:
    """The extra.

    Args:
        module: top-level name of what was imported.
        likely: the extra of the command that imported it: taken where several bring the package, or none by this name.
    """
    try:
        found = [_REQUIREMENT.match(line) for line in requires("stance") or ()]
    except PackageNotFoundError:
        return likely
    extras = [each[2] for each in found if each and _plain(each[1]) == _plain(module or "") and each[2] != _EVERYTHING]
    return likely if likely in extras or not extras else extras[0]


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()

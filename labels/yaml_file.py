"""YAML files, and those that a pydantic type describes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from labels.errors import StanceError, not_as_described

Described = TypeVar("Described")


def parse_yaml(path: Path) -> Any:
    """What a file holds, as plain mappings, lists and values.

    Raises:
        StanceError: it cannot be read, or is not YAML.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf8"))
    except OSError as error:
        raise StanceError(f"cannot be read: {error.strerror}", path=path) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or error
        raise StanceError(f"is not YAML: {what}", path=path, line=mark.line + 1 if mark else None) from error


def read_yaml(path: Path, described: TypeAdapter[Described]) -> Described:
    """What a file holds, as the type has it.

    Raises:
        StanceError: it cannot be read, is not YAML, or is not what the type describes.
    """
    try:
        return described.validate_python(parse_yaml(path))
    except ValidationError as error:
        raise not_as_described(error, path) from error

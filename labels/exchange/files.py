"""Reading JSON whole, and writing it a line an object."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from labels.errors import StanceError
from labels.files import write_whole


def read_json(path: Path) -> object:
    """The value of a JSON file.

    Raises:
        StanceError: the file cannot be read, is not UTF-8 or not JSON; it names the line.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise StanceError(f"cannot be read: {error.strerror}", path=path) from error
    except UnicodeDecodeError as error:
        raise StanceError(f"is not UTF-8: {error.reason} at byte {error.start}", path=path) from error
    except json.JSONDecodeError as error:
        raise StanceError(f"is not JSON: {error.msg} at column {error.colno}", path=path, line=error.lineno) from error
    except (ValueError, RecursionError) as error:  # a number of too many digits, or nested too deep
        raise StanceError(f"is not JSON that can be read: {error}", path=path) from error


def write_json_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write an object a line, whole or not at all."""
    write_whole(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))

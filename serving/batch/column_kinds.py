"""Columns of files whose rows are free to differ, as a table needs them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from labels.errors import StanceError
from serving.batch.rows import Row

if TYPE_CHECKING:
    import pyarrow as pa

NOTHING, TRUTH, WHOLE, LONG, REAL, TEXT, JSON = "null", "bool", "int", "long", "float", "text", "json"
"""Kinds of columns; JSON is for all that is nested, or of several kinds."""

_MOST = 1000
_EXACT = 2**53
_LONGEST = 2**63


class ColumnKinds:
    """What the columns of rows hold.

    Attributes:
        found: name → kind, in the order in which they came.
    """

    def __init__(self) -> None:
        self.found: dict[str, str] = {}

    def see(self, row: Row) -> None:
        """Take another row into account.

        Raises:
            StanceError: there are too many names for columns.
        """
        for name, value in row.items():
            self.found[name] = _both(self.found.get(name, NOTHING), _kind(value))
        if len(self.found) > _MOST:
            raise StanceError(
                f"the rows have more than {_MOST} different fields", hint="Put what is free to vary into one object."
            )


def _kind(value: object) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return TRUTH
    if isinstance(value, int):
        return WHOLE if abs(value) <= _EXACT else LONG if -_LONGEST <= value < _LONGEST else JSON
    if isinstance(value, float):
        return REAL
    return TEXT if isinstance(value, str) else JSON


def _both(one: str, other: str) -> str:
    if one == other or other == NOTHING:
        return one
    if one == NOTHING:
        return other
    if {one, other} == {WHOLE, LONG}:
        return LONG
    return REAL if {one, other} == {WHOLE, REAL} else JSON


def arrow_schema(columns: Mapping[str, str]) -> pa.Schema:
    """The types of a table with such columns; JSON stands in it as text."""
    import pyarrow as pa

    whole: Any = pa.int64()
    types = {NOTHING: pa.string(), TRUTH: pa.bool_(), WHOLE: whole, LONG: whole, REAL: pa.float64()}
    return pa.schema([(name, types.get(kind, pa.string())) for name, kind in columns.items()])

"""A learning curve that somebody else computed, read from a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from labels.errors import StanceError
from labels.records import first_problem


class Point(BaseModel):
    """A figure and its interval after training on so many sentences; points of one name make a curve."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    sentences: Annotated[int, Field(ge=1)]
    figure: float
    low: float
    high: float
    name: str = "figure"

    @model_validator(mode="after")
    def _in_order(self) -> Point:
        if not self.low <= self.high:
            raise ValueError("'low' must not be greater than 'high'")
        return self


_POINTS = TypeAdapter(Annotated[list[Point], Field(min_length=1)])


def read_learning_curve(path: Path) -> list[dict[str, Any]]:
    """The points of a JSON file, a list of {sentences, figure, low, high} and perhaps `name`, by rising sentences.

    Raises:
        StanceError: the file cannot be read, or is not such a list.
    """
    hint = 'It is a list of {"sentences": 1000, "figure": 0.5, "low": 0.45, "high": 0.55}.'
    try:
        points = _POINTS.validate_python(json.loads(path.read_text(encoding="utf8")))
    except OSError as error:
        raise StanceError(f"cannot be read: {error.strerror}", path=path) from error
    except ValidationError as error:
        field, message = first_problem(error)
        raise StanceError(message, path=path, field=field or None, hint=hint) from error
    except ValueError as error:
        raise StanceError(f"is not JSON: {error}", path=path, hint=hint) from error
    return [point.model_dump() for point in sorted(points, key=lambda point: (point.name, point.sentences))]

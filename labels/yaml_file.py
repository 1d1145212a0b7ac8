"""YAML files that a pydantic model describes."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from labels.errors import StanceError
from labels.records import first_problem

Described = TypeVar("Described", bound=BaseModel)


def read_yaml(path: Path, model: type[Described]) -> Described:
    """What a file holds.

    Raises:
        StanceError: it cannot be read, is not YAML, or is not what the model describes.
    """
    try:
        return model.model_validate(yaml.safe_load(path.read_text(encoding="utf8")))
    except OSError as error:
        raise StanceError(f"cannot be read: {error.strerror}", path=path) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise StanceError(f"is not YAML: {error}", path=path) from error
    except ValidationError as error:
        field, message = first_problem(error)
        raise StanceError(message, path=path, field=field) from error

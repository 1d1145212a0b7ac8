"""Bodies of requests, checked against what they must be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from labels.errors import first_problem
from serving.errors import RequestError

Body = TypeVar("Body", bound=BaseModel)

Codes = Mapping[tuple[str, str], tuple[str, str]]
"""Code and message of an error, by the field (or the list that it stands in) and pydantic's name for the problem."""

SHOWN = 200
"""Characters of what a client sent that an error repeats, at most."""


def parsed(model: type[Body], body: bytes, codes: Codes) -> Body:
    """The request in a body.

    Raises:
        RequestError: 400, with code, message and field; where `codes` does not know the problem, `invalid_request`
            with pydantic's message.
    """
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        field, message = first_problem(error)
        kind = error.errors(include_url=False, include_context=False, include_input=False)[0]["type"]
        if kind == "json_invalid":
            plain = f"the body is not JSON: {message.removeprefix('invalid JSON: ')}"
            raise RequestError(400, plain, code="invalid_json") from None
        names = [part for part in field.split(".") if not part.isdecimal()]
        code, plain = codes.get((names[-1] if names else "", kind), (None, message))
        raise RequestError(400, plain[:SHOWN], code=code, field=field[:SHOWN] or None) from None

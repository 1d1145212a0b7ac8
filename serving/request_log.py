"""One line in the log for each request; all lines as JSON where `STANCE_LOG=json`. No text is ever in them.

What a client chose freely (its path, its headers, its body) is not written; a request id and a traceparent only where
they are of the form that `serving.request_ids` takes.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

from labels.settings import choice_setting
from serving.request_ids import current_request

LOG_VARIABLE = "STANCE_LOG"
"""Environment variable: json for lines that programs read, plain for those of people."""

_FIELDS = "stance_fields"
_logger = logging.getLogger("bentoml.stance.requests")


def log_request(method: str, route: str, status: int, seconds: float, texts: int) -> None:
    """Write the line of a request that has ended."""
    given = {
        "method": method,
        "route": route,
        "status": status,
        "milliseconds": round(1000 * seconds, 1),
        "texts": texts,
    }
    request = current_request()
    plain = " ".join(f"{name}={value}" for name, value in given.items())
    _logger.info("%s request_id=%s", plain, request.request_id if request else "", extra={_FIELDS: given})


class JsonLines(logging.Formatter):
    """A record as one line of JSON: `time`, `level`, `logger`, and `message` or a request's figures; `request_id` and
    `traceparent` of the request that was worked for, `exception` where there was one."""

    def format(self, record: logging.LogRecord) -> str:
        request, exception = current_request(), record.exc_info
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            **(getattr(record, _FIELDS, None) or {"message": record.getMessage()}),
            "request_id": request and request.request_id,
            "traceparent": request and request.traceparent,
            "exception": self.formatException(exception) if exception else None,
        }
        return json.dumps({name: value for name, value in line.items() if value is not None}, ensure_ascii=False)


def log_form() -> str:
    """`plain` or `json`.

    Raises:
        StanceError: the variable is neither.
    """
    return choice_setting(LOG_VARIABLE, ("plain", "json"))


def set_up_log() -> None:
    """Make all that this process logs JSON, if it is to be; called when BentoML has set up its handlers."""
    if log_form() != "json":
        return
    for name in (None, "bentoml", "uvicorn.error", "circus"):
        for handler in logging.getLogger(name).handlers:
            handler.setFormatter(JsonLines())

"""A client of a running service: texts in, answers out, in their order, however many there are.

Python: `StanceClient("http://127.0.0.1:3000").score(["Seoul offered to halt the drills."])`.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import httpx

from labels.errors import StanceError
from labels.settings import text_setting

if TYPE_CHECKING:
    from training.outcomes import Progress

KEY_VARIABLE = "STANCE_KEY"
"""Environment variable that holds the API key, where the service asks for one."""

REQUEST_TEXTS = 64
"""Texts of one request, at most."""

REQUEST_BYTES = 1_000_000
"""Of a request's texts, at most, unless one text alone is longer; the service takes bodies of twice that."""

_BUSY = (429, 503)
_PLACE = re.compile(r"texts\.(\d+)")


@dataclass(frozen=True)
class Patience:
    """How often a request is sent, and how long is waited.

    Attributes:
        tries: times that it is sent, at most.
        first: seconds to wait before the second, where the service does not say; twice as many each time after.
        longest: seconds to wait at most; where the service asks for more, that is an error at once.
        timeout: seconds for an answer.
    """

    tries: int = 6
    first: float = 0.5
    longest: float = 60.0
    timeout: float = 60.0


class StanceClient:
    """Asks a running service.

    A request that finds the service busy (429, 503) or that breaks off is sent again, after the time that the service
    names in `Retry-After`, else after a growing one with some chance in it, so that many clients do not come back at
    once (Brooker 2015, "Exponential Backoff And Jitter").

    Args:
        url: address of the service, as `http://127.0.0.1:3000`.
        key: API key; that of the environment variable STANCE_KEY where None.
        patience: how long to go on.

    Raises:
        StanceError: the address is none, or the key cannot be one.
    """

    def __init__(self, url: str, key: str | None = None, patience: Patience | None = None) -> None:
        self._address = _checked(url)
        self._patience = patience or Patience()
        key = key if key is not None else text_setting(KEY_VARIABLE) or ""
        if not (key.isascii() and key.isprintable()):
            raise StanceError("the key has characters that no key has", field=KEY_VARIABLE)
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        self._http = httpx.Client(timeout=self._patience.timeout, headers=headers)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def score(
        self,
        texts: Sequence[str],
        targets: Sequence[str] | None = None,
        progress: Progress | None = None,
        *,
        propositions: Sequence[str] | None = None,
    ) -> list[dict[str, Any]]:
        """The answer for each text, in their order: see `results` in docs/service.md.

        Args:
            texts: any number.
            targets: ids to answer for; all that the model has where None.
            progress: told how many texts are answered.
            propositions: issues without labels to answer for as well, at most eight.

        Raises:
            StanceError: the service cannot be reached, refuses a text (`field` is `texts.N`, N its place among all of
                them), or answers what no service does.
        """
        results: list[dict[str, Any]] = []
        given = {"targets": targets, "propositions": propositions}
        asked = {name: list(values) for name, values in given.items() if values}
        for part in in_requests(texts):
            body = {"texts": part, **asked}
            results += self._scored(body, len(part), len(results))
            if progress:
                progress("scoring", len(results), len(texts))
        return results

    def _scored(self, body: dict[str, Any], expected: int, before: int) -> list[dict[str, Any]]:
        try:
            content = json.dumps(body, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise StanceError("a text holds half of a surrogate pair", field="texts") from error
        response = self._sent(content)
        if response.status_code != 200:
            raise _refusal(response, before)
        try:
            results = response.json()["results"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise self._no_service() from error
        if not isinstance(results, list) or len(results) != expected or not all(isinstance(r, dict) for r in results):
            raise self._no_service()
        return results

    def _no_service(self) -> StanceError:
        return StanceError(
            "the answer is not that of a stance service", path=self._address, hint="Is the address the right one?"
        )

    def _sent(self, content: bytes) -> httpx.Response:
        backoff = self._patience.first
        for left in range(self._patience.tries - 1, -1, -1):
            asked: float | None = None
            try:
                response = self._http.post(f"{self._address}/v1/score", content=content)
            except httpx.TransportError as error:
                if not left:
                    raise StanceError(
                        f"cannot be reached: {error or type(error).__name__}",
                        path=self._address,
                        hint="`stance serve` starts a service.",
                    ) from error
            except httpx.HTTPError as error:
                raise self._no_service() from error
            else:
                if response.status_code not in _BUSY or not left:
                    return response
                asked = retry_after(response.headers.get("Retry-After"))
                if asked is not None and asked > self._patience.longest:
                    return response
            # Whoever was told the same time to wait comes back spread over a little more of it.
            chance = random.uniform(0.5, 1) * min(backoff, self._patience.longest)
            time.sleep(chance if asked is None else asked + 0.2 * chance)
            backoff *= 2
        raise AssertionError("the last try returns or raises")


def in_requests(texts: Sequence[str]) -> Iterator[list[str]]:
    """The texts in parts, none of them empty, that fit into a request each."""
    part: list[str] = []
    size = 0
    for text in texts:
        # As JSON: quotes, line ends and control characters take more bytes than one.
        length = len(json.dumps(text, ensure_ascii=False).encode("utf8", "surrogatepass"))
        if part and (len(part) == REQUEST_TEXTS or size + length > REQUEST_BYTES):
            yield part
            part, size = [], 0
        part.append(text)
        size += length
    if part:
        yield part


def retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds that a `Retry-After` header asks for, given in seconds or as a date (RFC 9110, 10.2.3); None without."""
    if value is None:
        return None
    if value.strip().isascii() and value.strip().isdigit():
        # More digits than any wait has would not fit a float.
        return float(value.strip()[:12])
    try:
        until = parsedate_to_datetime(value)
    except (ValueError, TypeError):
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (until - (now or datetime.now(UTC))).total_seconds())


def _checked(url: str) -> str:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError):
        parsed = httpx.URL("")
    if parsed.scheme not in ("http", "https") or not parsed.host or (parsed.port or 0) > 65535:
        raise StanceError(f"'{url}' is no address of a service", hint="It looks like http://127.0.0.1:3000.")
    if parsed.userinfo:
        raise StanceError(
            "the address holds a password, which others can read on the command line",
            hint=f"A key goes into {KEY_VARIABLE}.",
        )
    if parsed.query or parsed.fragment:
        raise StanceError(f"'{url}' is more than an address", hint="It looks like http://127.0.0.1:3000.")
    return url.rstrip("/")


def _refusal(response: httpx.Response, before: int) -> StanceError:
    """What the envelope of an error says, with the text's place among all texts rather than in its request."""
    try:
        error = response.json()["error"]
        message, field = str(error["message"]), error.get("field")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        message, field = response.reason_phrase or "no reason was given", None
    if isinstance(field, str) and (found := _PLACE.fullmatch(field)):
        field = f"texts.{before + int(found[1])}"
    asked = retry_after(response.headers.get("Retry-After"))
    later = "Try again later." if asked is None else f"Try again in {asked:.0f} s."
    hint = {401: f"Put the key into {KEY_VARIABLE}.", 429: later, 503: later}
    return StanceError(
        f"the service answered {response.status_code}: {message[:500]}",
        field=field if isinstance(field, str) else None,
        hint=hint.get(response.status_code),
    )

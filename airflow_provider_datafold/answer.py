"""What an answer means: JSON, or an error of the provider's family."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_datafold.exceptions import (
    DatafoldAnswerError,
    DatafoldAuthenticationError,
    DatafoldConflictError,
    DatafoldError,
    DatafoldNotFoundError,
    DatafoldPermissionError,
    DatafoldRateLimitError,
    DatafoldRedirectError,
    DatafoldRejectedError,
    DatafoldServerError,
    DatafoldValidationError,
)
from airflow_provider_datafold.redaction.redactor import Redactor
from airflow_provider_datafold.retry import parse_retry_after

_LONGEST_MESSAGE = 200
_MOST_ERRORS = 20

_MEANINGS: dict[int, tuple[type[DatafoldError], str]] = {
    401: (
        DatafoldAuthenticationError,
        "the API key was refused. Put a valid one into the connection's password",
    ),
    403: (
        DatafoldPermissionError,
        "the API key's user may not do this. Ask for the permission in Datafold, or use another "
        "user's key",
    ),
    404: (
        DatafoldNotFoundError,
        "there is no such integration, or no Datafold API at this host. Check the id, and the "
        "connection's host",
    ),
    408: (DatafoldServerError, "the service gave up waiting for the request. Try again later"),
    409: (
        DatafoldConflictError,
        "the request is at odds with the integration's state. Look at it in Datafold",
    ),
    422: (DatafoldValidationError, "the request was refused"),
    425: (DatafoldServerError, "the service does not want the request yet. Try again later"),
    429: (DatafoldRateLimitError, "too many requests. Try again later"),
}


@dataclass(frozen=True)
class Answer:
    """What came back.

    :param status_code: the HTTP status.
    :param headers: the header fields, by name in any case.
    :param content: the whole body.
    """

    status_code: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def is_success(self) -> bool:
        """Whether the request was carried out: any status of 2xx."""
        return 200 <= self.status_code < 300


def parse(answer: Answer, redactor: Redactor, *, may_be_empty: bool = False) -> Any:
    """Give the JSON of an answer, without the secrets that it repeats.

    :param answer: what came back.
    :param redactor: knows the secrets that were sent.
    :param may_be_empty: whether a success without a body is one.
    :return: any JSON value; the API documents no shape. ``None`` for an empty answer.
    :raises DatafoldError: the status is not 2xx, or the body is no JSON.
    """
    if not answer.is_success:
        raise _error(answer, redactor)
    if may_be_empty and not answer.content:
        return None
    try:
        return redactor.json(_json(answer.content))
    except (ValueError, RecursionError):
        kind = answer.headers.get("Content-Type") or "no content type"
        raise DatafoldAnswerError(
            f"{answer.status_code}, but the answer is no JSON: {_shown(kind, redactor)}, "
            f"{len(answer.content)} bytes. The request may have been carried out. A login page "
            f"or a proxy's page looks like this: check the connection's host",
            status_code=answer.status_code,
        ) from None


def _json(content: bytes) -> Any:
    text = content.decode(json.detect_encoding(content))
    value = _DECODER.decode(text)
    if "\\u" in text:
        # Half of a surrogate pair can be spelled in JSON, but XCom can't hold it.
        json.dumps(value, ensure_ascii=False).encode()
    return value


def _finite(number: str) -> float:
    """Refuse NaN and Infinity, which are no JSON, and numbers that Python takes for infinite."""
    if not math.isfinite(parsed := float(number)):
        raise ValueError(number)
    return parsed


_DECODER = json.JSONDecoder(parse_constant=_finite, parse_float=_finite)


def _error(answer: Answer, redactor: Redactor) -> DatafoldError:
    status = answer.status_code
    if 300 <= status < 400:
        return _redirect(answer, redactor)
    kind, meaning = _MEANINGS.get(status) or _other(status)
    errors = tuple(_errors(answer, redactor)) if status == 422 else ()
    if errors:
        named = "; ".join(f"{location}: {message}" for location, message in errors)
        meaning = f"{meaning}: {named}. Correct what it names"
    retry_after = parse_retry_after(answer.headers.get("Retry-After"), datetime.now(timezone.utc))
    if retry_after is not None:
        meaning = f"{meaning}; the service asks to wait {retry_after:.10g} s"
    return kind(f"{status}, {meaning}", status_code=status, retry_after=retry_after, errors=errors)


def _other(status: int) -> tuple[type[DatafoldError], str]:
    if status >= 500:
        return DatafoldServerError, "the service failed. Try again later"
    return DatafoldRejectedError, "the request was refused. Check it and the connection's host"


def _redirect(answer: Answer, redactor: Redactor) -> DatafoldError:
    # Redacted before it is split, which changes its letters to small ones.
    location = redactor.text(answer.headers.get("Location", ""))
    try:
        target = urlsplit(location).hostname
    except ValueError:
        target = None
    return DatafoldRedirectError(
        f"{answer.status_code}, a redirect to {_shown(target or 'the same host', redactor)}. It "
        f"was not followed. Check the connection's host: it has to be "
        f"the one that users log in to, with https",
        status_code=answer.status_code,
    )


def _errors(answer: Answer, redactor: Redactor) -> Iterator[tuple[str, str]]:
    """Read location and message of a 422, and nothing else: ``input`` repeats what was sent."""
    try:
        detail = json.loads(answer.content)["detail"]
    except (ValueError, RecursionError, LookupError, TypeError):
        return
    for item in detail[:_MOST_ERRORS] if isinstance(detail, list) else ():
        if isinstance(item, dict) and isinstance(item.get("loc"), list):
            location = ".".join(str(part) for part in item["loc"] if isinstance(part, (str, int)))
            yield _shown(location, redactor), _shown(str(item.get("msg", "")), redactor)


def _shown(text: str, redactor: Redactor) -> str:
    """Make foreign text fit for a log: no secret, one line, not long."""
    # Redacted first: of a secret that was cut off, the rest would be left.
    redacted = redactor.text(text)
    printable = "".join(char if char.isprintable() else "?" for char in redacted)
    if len(printable) <= _LONGEST_MESSAGE:
        return printable
    return printable[:_LONGEST_MESSAGE] + "..."

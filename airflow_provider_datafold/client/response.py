"""Turn a response into a JSON value, or into an error."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_datafold.api.operation import Operation, Request
from airflow_provider_datafold.client.retry import parse_date, parse_retry_after
from airflow_provider_datafold.connection.settings import Settings
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
        "there is no such {noun}, or no Datafold API at this host. Check {to_check}, and the "
        "connection's host",
    ),
    408: (DatafoldServerError, "the service timed out waiting for the request. Try again later"),
    409: (
        DatafoldConflictError,
        "the request conflicts with the current state of the {noun}. Look at it in Datafold",
    ),
    422: (DatafoldValidationError, "the request was refused"),
    425: (DatafoldServerError, "the service is not ready for the request. Try again later"),
    429: (DatafoldRateLimitError, "too many requests. Try again later"),
}


@dataclass(frozen=True)
class Response:
    """A response with its whole body."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status_code < 300

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.status_code}, {len(self.content)} bytes)"


def understand(answer: Response, request: Request, settings: Settings, redactor: Redactor) -> Any:
    """Return the JSON of a response, without the secrets that it repeats; else raise its error."""
    operation = request.operation
    if not answer.is_success:
        raise _error(answer, operation, settings, redactor)
    if operation.may_be_empty and not answer.content:
        return None
    text, value = "", None
    try:
        text = answer.content.decode(json.detect_encoding(answer.content))
        value = _DECODER.decode(text)
    except (ValueError, RecursionError):
        problem: str | None = (
            f"is not JSON ({answer.headers.get('Content-Type') or 'no content type'}, "
            f"{len(answer.content)} bytes). It may be a login page or a proxy's page: check "
            f"the connection's host"
        )
    else:
        problem = _type_problem(value, operation) or _name_problem(value, request)
    if problem:
        raise DatafoldAnswerError(
            f"{answer.status_code}, but the response {redactor.excerpt(problem)}. The request may "
            f"have been carried out",
            status_code=answer.status_code,
        )
    if operation.carries_secrets or redactor.may_be_in(text):
        return redactor.json(value, by_name=operation.carries_secrets)
    return value


def _finite(number: str) -> float:
    """Refuse NaN and Infinity, which are not JSON, and numbers that Python reads as infinite."""
    if not math.isfinite(parsed := float(number)):
        raise ValueError(number)
    return parsed


_DECODER = json.JSONDecoder(parse_constant=_finite, parse_float=_finite)


def _type_problem(value: Any, operation: Operation[Any]) -> str | None:
    if isinstance(value, operation.returns):
        return None
    wanted = "a list" if operation.returns is list else "an object"
    return f"is not {wanted}, as the API documents"


def _name_problem(value: Any, request: Request) -> str | None:
    """Return a problem if a response names another thing than the request."""
    if request.named is None:
        return None
    name, wanted = request.named
    found = value.get(name)
    # The contract lets an id be null.
    if found is None or str(found) == wanted:
        return None
    return (
        f"is about another {request.operation.noun}: its {name} is {found!r}, not {wanted}. Check "
        f"the proxies and caches between Airflow and Datafold"
    )


def _error(
    answer: Response, operation: Operation[Any], settings: Settings, redactor: Redactor
) -> DatafoldError:
    status = answer.status_code
    if 300 <= status < 400:
        return _redirect(answer, redactor)
    kind, meaning = _MEANINGS.get(status) or _other(status)
    meaning = meaning.format(noun=operation.noun, to_check=operation.to_check)
    if status == 404 and operation.is_classic and settings.is_current_app:
        meaning = only_classic(operation, settings)
    detail = _detail(answer)
    errors = tuple(_errors(detail, redactor)) if status == 422 else ()
    if errors:
        named = "; ".join(f"{location}: {message}" for location, message in errors)
        meaning = f"{meaning}: {named}. Correct these fields"
    elif isinstance(detail, str):
        meaning = f"{meaning}. Datafold says: {redactor.excerpt(detail)!r}"
    retry_after = parse_retry_after(answer.headers.get("Retry-After"), _now(answer))
    if retry_after is not None:
        meaning = f"{meaning}; the service asks to wait {retry_after:.10g} s"
    return kind(f"{status}, {meaning}", status_code=status, retry_after=retry_after, errors=errors)


def only_classic(operation: Operation[Any], settings: Settings) -> str:
    """Return the error text for an operation that the app at this host does not have."""
    return (
        f"{urlsplit(settings.base_url).hostname} does not have this section: the "
        f"{operation.noun} is in Datafold Classic (app.datafold.com, eu.datafold.com). Use a "
        f"connection to the app that has it"
    )


def _other(status: int) -> tuple[type[DatafoldError], str]:
    if status >= 500:
        return DatafoldServerError, "the service failed. Try again later"
    return DatafoldRejectedError, "the request was refused. Check it and the connection's host"


def _redirect(answer: Response, redactor: Redactor) -> DatafoldError:
    # Redacted before the host is split off, which lowers its case.
    location = redactor.text(answer.headers.get("Location", ""))
    target = None
    with suppress(ValueError):
        target = urlsplit(location).hostname
    shown = redactor.excerpt(target or "the same host")
    return DatafoldRedirectError(
        f"{answer.status_code}, a redirect to {shown}. It was not followed. Check the connection's "
        f"host: it must be the one that you log in to, with https",
        status_code=answer.status_code,
    )


def _now(answer: Response) -> datetime:
    """Return the time by the service's clock, or by ours if the response has no date."""
    return parse_date(answer.headers.get("Date", "")) or datetime.now(timezone.utc)


def _detail(answer: Response) -> Any:
    with suppress(ValueError, RecursionError, LookupError, TypeError):
        return json.loads(answer.content)["detail"]
    return None


def _errors(detail: Any, redactor: Redactor) -> Iterator[tuple[str, str]]:
    """Read only location and message of a 422: its ``input`` repeats what was sent."""
    for item in detail[:_MOST_ERRORS] if isinstance(detail, list) else ():
        if isinstance(item, dict) and isinstance(item.get("loc"), list):
            location = ".".join(str(part) for part in item["loc"] if isinstance(part, (str, int)))
            message = item.get("msg")
            yield (
                redactor.excerpt(location),
                redactor.excerpt(message) if isinstance(message, str) else "is wrong",
            )

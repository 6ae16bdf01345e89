"""Turn a response into a JSON value that Airflow can keep, or into an error."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property
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
_DEEPEST = 100
_BYTES_PER_VALUE = 20
"""A response of n bytes at most may have n / 20 values at most: ten megabytes of empty lists would
take six hundred megabytes of memory."""

_LONG_NUMBER = b"0" * 19
_DIGITS = bytes.maketrans(b"123456789", b"0" * 9)
"""Makes each digit a zero. Looking for zeros takes a tenth of the time of a regular expression."""

_STRING = re.compile(rb'"[^"]*"?')
_PIECE = 64 * 1024

_RESERVED = frozenset({"__classname__", "__data__", "__version__", "__type", "__var", "__id__"})
"""Keys that make Airflow read an object in XCom as something else."""

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
    """A response.

    :param status_code: the HTTP status.
    :param headers: the header fields, by their usual names.
    :param content: the whole body.
    """

    status_code: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status_code < 300

    @property
    def asks_to_wait(self) -> bool:
        """Whether the service asks for some time without requests."""
        return self.status_code == 429 or "Retry-After" in self.headers

    @cached_property
    def text(self) -> str:
        """The body as a string.

        :raises ValueError: it is none.
        """
        return self.content.decode(json.detect_encoding(self.content))

    @cached_property
    def value(self) -> Any:
        """The body's JSON. It may take much memory: see :func:`is_about`, :func:`understand`.

        :raises ValueError: it is not JSON.
        :raises RecursionError: it is nested too deeply.
        """
        return _DECODER.decode(self.text)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.status_code}, {len(self.content)} bytes)"


def understand(answer: Response, request: Request, settings: Settings, redactor: Redactor) -> Any:
    """Return the JSON of a response, without the secrets that it repeats.

    :param answer: the response.
    :param request: the request.
    :param settings: the settings of the connection that was used.
    :param redactor: knows the secrets that were sent.
    :return: any JSON value that Airflow can keep; ``None`` for an empty response.
    :raises DatafoldError: the status is not 2xx, the body is not what the API documents, or it is
        about something else.
    """
    operation = request.operation
    if not answer.is_success:
        raise _error(answer, operation, settings, redactor)
    if operation.may_be_empty and not answer.content:
        return None
    problem = _unreadable(answer, operation)
    if not problem:
        try:
            text, value = answer.text, answer.value
        except (ValueError, RecursionError):
            problem = (
                f"is not JSON ({answer.headers.get('Content-Type') or 'no content type'}, "
                f"{len(answer.content)} bytes). It may be a login page or a proxy's page: check "
                f"the connection's host"
            )
        else:
            problem = _type_problem(value, operation) or _name_problem(value, request)
            if not problem and _may_be_problem(text):
                problem = _problem(value, "")
    if problem:
        raise DatafoldAnswerError(
            f"{answer.status_code}, but the response {redactor.excerpt(problem)}. The request may "
            f"have been carried out",
            status_code=answer.status_code,
        )
    if operation.carries_secrets or redactor.may_be_in(text):
        return redactor.json(value, by_name=operation.carries_secrets)
    return value


def is_about(answer: Response, request: Request) -> bool:
    """Say whether a response is certainly one to a request: it names what was asked for.

    :param answer: the response.
    :param request: the request.
    """
    if request.named is None or not answer.is_success or _unreadable(answer, request.operation):
        return False
    name, wanted = request.named
    with suppress(ValueError, RecursionError):
        return isinstance(answer.value, dict) and str(answer.value.get(name)) == wanted
    return False


def _unreadable(answer: Response, operation: Operation[Any]) -> str | None:
    """Return the reason why a body must not be parsed, ``None`` without one."""
    return _encoding_problem(answer) or _size_problem(answer.content, operation)


def _encoding_problem(answer: Response) -> str | None:
    encoding = answer.headers.get("Content-Encoding", "identity")
    if encoding.lower() == "identity":
        return None
    return f"is compressed ({encoding}), which was not requested"


def _size_problem(content: bytes, operation: Operation[Any]) -> str | None:
    """Return a problem if parsing a response would take too much memory."""
    most = operation.largest // _BYTES_PER_VALUE
    # Taking out the strings is slow, so it is done only if it can change the result.
    if _count_values(content) > most and sum(map(_count_values, _without_strings(content))) > most:
        return f"has more than {most} values. Request less at a time"
    return None


def _without_strings(content: bytes) -> Iterator[bytes]:
    """Take the strings out of JSON piece by piece: all at once would take too much memory."""
    unescaped = content.replace(b"\\\\", b"").replace(b'\\"', b"")
    is_inside = False
    for start in range(0, len(unescaped), _PIECE):
        piece = unescaped[start : start + _PIECE]
        yield _STRING.sub(b"", b'"' + piece if is_inside else piece)
        is_inside ^= piece.count(b'"') % 2 == 1


def _count_values(content: bytes) -> int:
    return content.count(b"[") + content.count(b"{") + content.count(b",")


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


def _may_be_problem(text: str) -> bool:
    """Say whether :func:`_problem` could find one: most responses need no look at each value.

    :param text: the response's JSON.
    """
    return (
        "\\u" in text
        or '"__' in text
        or _LONG_NUMBER in text.encode().translate(_DIGITS)
        or text.count("[") + text.count("{") > _DEEPEST
    )


def _problem(value: Any, place: str, depth: int = 0) -> str | None:
    """Return the reason why Airflow could not keep a value in XCom, ``None`` if it could."""
    if isinstance(value, str):
        return _text_problem(value, place)
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return f"has an integer of more than 64 bits{place}"
    if depth > _DEEPEST and isinstance(value, (dict, list)):
        return f"is nested more than {_DEEPEST} deep"
    if isinstance(value, list):
        problems = (
            _problem(item, f"{place or ' at '}[{index}]", depth + 1)
            for index, item in enumerate(value)
        )
        return next(filter(None, problems), None)
    if isinstance(value, dict):
        return next(
            filter(None, (_item_problem(*item, place, depth) for item in value.items())), None
        )
    return None


def _item_problem(key: str, item: Any, place: str, depth: int) -> str | None:
    if key in _RESERVED:
        return f"has the key {key!r}{place}, which Airflow reserves for itself"
    return _text_problem(key, place) or _problem(item, f"{place or ' at '}.{key}", depth + 1)


def _text_problem(text: str, place: str) -> str | None:
    if "\0" in text:
        return f"has a NUL character{place}, which databases refuse"
    if not text.isascii():
        # JSON can express a lone surrogate, but XCom cannot hold one.
        with suppress(UnicodeEncodeError):
            text.encode()
            return None
        return f"has a lone surrogate{place}, which UTF-8 cannot encode"
    return None


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
    """Return the error text for an operation that the app at this host does not have.

    :param operation: the operation that was called.
    :param settings: the settings of the connection that was used.
    """
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

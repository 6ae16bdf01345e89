"""One call of an operation, from the checked request to the result, without I/O.

:func:`converse` is a generator. It yields what to do next, a :class:`Send` or a :class:`Pause`, and
receives the outcome: a response or an error after a send, nothing after a pause. The client does
what it yields and knows none of its rules, in a task's thread
(:mod:`~airflow_provider_datafold.client.worker`) or in an event loop
(:mod:`~airflow_provider_datafold.client.loop`).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from logging import Logger
from typing import Any

from airflow_provider_datafold.api.operation import Request
from airflow_provider_datafold.client import retry
from airflow_provider_datafold.client.response import Response, only_classic, understand
from airflow_provider_datafold.connection.settings import Settings
from airflow_provider_datafold.exceptions import DatafoldError, DatafoldUnreachableError
from airflow_provider_datafold.redaction.redactor import Redactor
from airflow_provider_datafold.redaction.secret import frameless


@dataclass(frozen=True)
class Send:
    """Send a request, once."""

    request: Request


@dataclass(frozen=True)
class Pause:
    """Do nothing for a while."""

    seconds: float


Outcome = Response | DatafoldError | None
Conversation = Generator["Send | Pause", Outcome, Any]


def converse(
    request: Request,
    settings: Settings,
    log: Logger,
    *,
    max_retries: int | None = None,
    clock: Callable[[], float] = time.monotonic,
    jitter: Callable[[], float] = random.random,
) -> Conversation:
    """Send a request, and again after a temporary error; return the result without secrets.

    ``max_retries`` of ``None`` is the connection's.
    """
    redactor = Redactor([settings.api_key, *request.secrets])
    # What is not JSON fails now, before any attempt.
    _ = request.content
    retries = settings.max_retries if max_retries is None else max_retries
    start = clock()
    attempt = 0
    while True:
        attempt += 1
        outcome = yield Send(request)
        failure = outcome
        if isinstance(outcome, Response):
            try:
                return understand(outcome, request, settings, redactor)
            except DatafoldError as error:
                failure = error
            except BaseException as error:
                # The task timed out or was stopped. The frames below show the response.
                raise frameless(error)  # noqa: B904
        assert isinstance(failure, DatafoldError)  # noqa: S101 - by the protocol of this module
        wait = retry.wait(attempt, failure.retry_after, jitter())
        is_over = (
            attempt > retries
            or not retry.is_retryable(failure, request.operation)
            or (settings.call_timeout or float("inf")) < clock() - start + wait
        )
        if is_over:
            break
        log.warning(
            "Attempt %d failed: %s. Retrying in %.1f s.",
            attempt,
            redactor.text(failure.summary),
            wait,
        )
        yield Pause(wait)
    # Not raised in a handler, where it would carry the frames that read the response.
    raise _complete(failure, request, settings, redactor, attempt)


def pause(seconds: float) -> Conversation:
    """Pause once, and send nothing."""
    yield Pause(seconds)


def _complete(
    failure: DatafoldError, request: Request, settings: Settings, redactor: Redactor, attempt: int
) -> DatafoldError:
    """Add the request and the connection to an error."""
    operation, path = request.operation, redactor.text(request.path)
    text = str(failure)
    if (
        operation.is_classic
        and settings.is_current_app
        and isinstance(failure, DatafoldUnreachableError)
    ):
        text = f"{text}. If the host is correct: {only_classic(operation, settings)}"
    tries = f" This was attempt {attempt}." if attempt > 1 else ""
    reason = redactor.text(f"{text}.{tries}")
    return type(failure)(
        f"{operation.method} {path} on {settings.place}: {reason}",
        reason=reason,
        status_code=failure.status_code,
        method=operation.method,
        path=path,
        retry_after=failure.retry_after,
        errors=failure.errors,
    )

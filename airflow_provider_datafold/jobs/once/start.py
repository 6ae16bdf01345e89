"""Start something once, even if the response is lost."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_datafold.client.retry import LONGEST_WAIT, wait
from airflow_provider_datafold.exceptions import (
    DatafoldAnswerError,
    DatafoldError,
    DatafoldRateLimitError,
    DatafoldStoppedError,
    DatafoldTransientError,
    DatafoldUnreachableError,
)

if TYPE_CHECKING:
    from airflow_provider_datafold.jobs.hook import JobHook

Started = TypeVar("Started")

_PAUSES = (0.0, 2.0, 5.0)
"""Seconds before each attempt to find what was started when the response was lost."""

_LAST_PAUSES = (8.0,)
"""Seconds before the attempts that follow if it cannot be started again: a service behind a proxy
may take so long to start it."""


def start_once(
    hook: JobHook,
    noun: str,
    start: Callable[[], Started | None],
    find: Callable[[], Started | None],
    *,
    jitter: Callable[[], float] = random.random,
) -> Started:
    """Start something, or find it if the response is lost.

    After 503 it is started again if it cannot be found, as often as the connection says: the
    service was busy, or a proxy forwarded the request and got no response.

    ``start`` sends the request, and returns ``None`` if the response does not identify what was
    started; ``find`` looks for it.
    """
    begin, attempt = time.monotonic(), 0
    while True:
        attempt += 1
        try:
            found = start()
        except DatafoldStoppedError:
            raise
        except DatafoldError as error:
            # After an attempt that may have started it, no later error says that it was not.
            if attempt == 1 and not _may_have_started(error):
                raise
            hook.log.warning(
                "Could not start the %s: %s. Checking whether it was started anyway.",
                noun,
                error.summary,
            )
            hook.pause(min(wait(attempt, error.retry_after, jitter()), LONGEST_WAIT))
            is_last = not (_is_busy(error) and hook.may_retry(attempt, time.monotonic() - begin))
            found = _look(hook, noun, find, is_last=is_last)
            if found is None and is_last:
                raise
        else:
            found = found if found is not None else _look(hook, noun, find, is_last=True)
            if found is None:
                break
        if found is not None:
            return found
    raise DatafoldAnswerError(
        f"Datafold accepted the request for a {noun}, but its response does not identify it, "
        f"and no new {noun} was found."
    )


def _may_have_started(error: DatafoldError) -> bool:
    if isinstance(error, (DatafoldUnreachableError, DatafoldRateLimitError)):
        return False
    return isinstance(error, (DatafoldTransientError, DatafoldAnswerError))


def _is_busy(error: DatafoldError) -> bool:
    return error.status_code == 503 and (error.retry_after or 0.0) <= LONGEST_WAIT


def _look(
    hook: JobHook, noun: str, find: Callable[[], Started | None], *, is_last: bool
) -> Started | None:
    for pause in (*_PAUSES, *_LAST_PAUSES) if is_last else _PAUSES:
        hook.pause(pause)
        try:
            found = find()
        except DatafoldStoppedError:
            raise
        except DatafoldError as error:
            # Airflow gets the error of the start, which says whether a retry may find it.
            hook.log.warning("Could not look for the %s: %s.", noun, error.summary)
            continue
        if found is not None:
            return found
    return None

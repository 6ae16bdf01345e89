"""Start something once, even if the response is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_datafold.client.retry import LONGEST_WAIT
from airflow_provider_datafold.exceptions import (
    DatafoldAnswerError,
    DatafoldError,
    DatafoldRateLimitError,
    DatafoldStoppedError,
    DatafoldTransientError,
    DatafoldUnreachableError,
)

if TYPE_CHECKING:
    from airflow_provider_datafold.hooks.datafold import DatafoldHook

Started = TypeVar("Started")

_PAUSES = (0.0, 2.0, 5.0)
"""Seconds before each attempt to find what was started when the response was lost."""


def start_once(
    hook: DatafoldHook,
    noun: str,
    start: Callable[[], Started | None],
    find: Callable[[], Started | None],
    *,
    may_repeat: bool = True,
) -> Started:
    """Start something, or find it if the response is lost.

    After 503 it is started again if it cannot be found: the service was busy, or a proxy forwarded
    the request and got no response.

    :param hook: the hook to call.
    :param noun: what messages call it.
    :param start: sends the request, and returns what was started; ``None`` if the response does
        not identify it.
    :param find: looks for it, and returns it or ``None``.
    :param may_repeat: whether it may be started again.
    :return: the result of ``start`` or ``find``.
    :raises DatafoldError: it was not started, or could not be found.
    """
    try:
        started = start()
    except (DatafoldUnreachableError, DatafoldRateLimitError, DatafoldStoppedError):
        raise
    except (DatafoldTransientError, DatafoldAnswerError) as error:
        hook.log.warning(
            "Could not start the %s: %s. Checking whether it was started anyway.",
            noun,
            error.summary,
        )
        asked = error.retry_after or 0.0
        hook.pause(min(asked, LONGEST_WAIT))
        found = _look(hook, noun, find)
        may_repeat = may_repeat and error.status_code == 503 and asked <= LONGEST_WAIT
        if found is None and may_repeat:
            return start_once(hook, noun, start, find, may_repeat=False)
        if found is None:
            raise
        return found
    found = started if started is not None else _look(hook, noun, find)
    if found is None:
        raise DatafoldAnswerError(
            f"Datafold accepted the request for a {noun}, but its response has no id, and no new "
            f"{noun} was found."
        )
    return found


def _look(hook: DatafoldHook, noun: str, find: Callable[[], Started | None]) -> Started | None:
    for pause in _PAUSES:
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

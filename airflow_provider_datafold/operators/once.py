"""Starts something once, even if the reply is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_datafold.exceptions import (
    DatafoldAnswerError,
    DatafoldRateLimitError,
    DatafoldStoppedError,
    DatafoldTransientError,
    DatafoldUnreachableError,
)

if TYPE_CHECKING:
    from airflow_provider_datafold.hooks.datafold import DatafoldHook

Started = TypeVar("Started")

_PAUSES = (0.0, 2.0, 5.0)
"""Seconds before each look for what was started without a reply."""


def start_once(
    hook: DatafoldHook,
    noun: str,
    start: Callable[[], Started | None],
    find: Callable[[], Started | None],
) -> Started:
    """Start something, or find it when the reply is lost.

    :param hook: the hook to call.
    :param noun: what messages call it.
    :param start: sends the request, and returns what was started; ``None`` where the reply does
        not tell what that is.
    :param find: looks for it among what there is.
    :return: what was started.
    :raises DatafoldError: it was not started, or could not be found.
    """
    try:
        started = start()
    except (DatafoldUnreachableError, DatafoldRateLimitError, DatafoldStoppedError):
        raise
    except (DatafoldTransientError, DatafoldAnswerError) as error:
        hook.log.warning("Looking for the %s, whose start failed: %s.", noun, error.summary)
        found = _look(hook, find)
        if found is None:
            raise
        return found
    found = started if started is not None else _look(hook, find)
    if found is None:
        raise DatafoldAnswerError(f"Datafold started a {noun} and does not tell which.")
    return found


def _look(hook: DatafoldHook, find: Callable[[], Started | None]) -> Started | None:
    for pause in _PAUSES:
        hook.pause(pause)
        found = find()
        if found is not None:
            return found
    return None

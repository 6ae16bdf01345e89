"""Decide whether to retry a request, and after how long. Nothing here waits or sends."""

from __future__ import annotations

import math
import re
from contextlib import suppress
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

from airflow_provider_datafold.api.operation import Operation
from airflow_provider_datafold.exceptions import (
    DatafoldError,
    DatafoldRateLimitError,
    DatafoldStoppedError,
    DatafoldTransientError,
    DatafoldUnreachableError,
)

LONGEST_WAIT = 30.0
"""The most seconds that a call waits before a retry. If the service asks for more, the call gives
up, so that the worker slot is free and Airflow plans the next try."""

_FIRST_WAIT = 0.5
_FOR_EVER = 1e12
"""Seconds: thirty thousand years."""

_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")


def is_retryable(error: DatafoldError, operation: Operation[Any]) -> bool:
    """Return whether a request may be sent again: not if that would be too long a wait."""
    if not isinstance(error, DatafoldTransientError) or isinstance(error, DatafoldStoppedError):
        return False
    if (error.retry_after or 0) > LONGEST_WAIT:
        return False
    return operation.effect.is_repeatable or _was_not_processed(error, operation)


def _was_not_processed(error: DatafoldError, operation: Operation[Any]) -> bool:
    if error.status_code == 503:
        # Some proxies respond 503 after they forwarded the request. Look for what it started.
        return not operation.is_findable
    return isinstance(error, (DatafoldUnreachableError, DatafoldRateLimitError))


def wait(attempt: int, retry_after: float | None, jitter: float) -> float:
    """Return the seconds before the next attempt: about half a second, doubled with each one.

    ``jitter``, from 0 to 1, keeps many tasks from retrying at once.
    """
    if retry_after is not None:
        # Never earlier than the service asks, and not all tasks at the same moment.
        return retry_after + _FIRST_WAIT * jitter
    # The tenth attempt reaches the longest wait anyway.
    doublings = min(attempt - 1, 10)
    return min(_FIRST_WAIT * float(1 << doublings) * (0.75 + jitter / 2), LONGEST_WAIT)


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks for (RFC 9110, section 10.2.3)."""
    text = (value or "").strip()
    seconds = math.nan
    if _SECONDS.fullmatch(text):
        seconds = float(text)
    elif date := parse_date(text):
        seconds = math.ceil((date - now).total_seconds())
    return min(seconds, _FOR_EVER) if seconds > 0 else None


def parse_date(text: str) -> datetime | None:
    """Read the date in an HTTP header, in UTC if it names no time zone."""
    with suppress(TypeError, ValueError, IndexError, OverflowError):
        date = parsedate_to_datetime(text)
        return date if date.tzinfo else date.replace(tzinfo=timezone.utc)
    return None

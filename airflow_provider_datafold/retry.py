"""Whether to try again, and after how long. Nothing here waits or sends."""

from __future__ import annotations

import math
import re
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

from airflow_provider_datafold.exceptions import (
    DatafoldError,
    DatafoldRateLimitError,
    DatafoldTransientError,
    DatafoldUnreachableError,
)

LONGEST_WAIT = 30.0
"""Seconds that the hook waits at most before it tries again. Where the service asks for more,
the hook gives up, so that Airflow can plan the next try and the worker slot is free."""

_FIRST_WAIT = 0.5
_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?", re.ASCII)


def is_retryable(error: BaseException, *, is_idempotent: bool) -> bool:
    """Say whether the hook itself may send a request again.

    :param error: what became of the last attempt.
    :param is_idempotent: whether sending the request twice does what sending it once does.
    :return: ``False`` also where the service asks for a longer wait than the hook would wait.
    """
    if not isinstance(error, DatafoldTransientError):
        return False
    if (error.retry_after or 0) > LONGEST_WAIT:
        return False
    return is_idempotent or _did_nothing(error)


def _did_nothing(error: DatafoldError) -> bool:
    """Say whether the request of a failed attempt was not taken."""
    return (
        isinstance(error, (DatafoldUnreachableError, DatafoldRateLimitError))
        or error.status_code == 503
    )


def wait(attempt: int, retry_after: float | None, jitter: float) -> float:
    """Say how long to wait before the next attempt.

    :param attempt: number of the attempt that failed, from 1.
    :param retry_after: seconds that the service asks for, if it does.
    :param jitter: a random number from 0 to 1, so that many tasks do not come back at once.
    :return: seconds: about half a second at first, doubled with each attempt.
    """
    if retry_after is not None:
        # Never earlier than asked, and not all at the very same moment.
        return retry_after + _FIRST_WAIT * jitter
    # Past the tenth attempt the wait is at its longest anyway.
    doublings = min(attempt - 1, 10)
    return min(_FIRST_WAIT * float(1 << doublings) * (0.75 + jitter / 2), LONGEST_WAIT)


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Read a ``Retry-After`` header (RFC 9110, section 10.2.3).

    :param value: the header, in seconds or as a date.
    :param now: the present time, with a time zone.
    :return: seconds from now, ``None`` where there is no header, where it makes no sense, and
        where it does not lie in the future.
    """
    text = (value or "").strip()
    if _SECONDS.fullmatch(text):
        seconds = float(text)
    else:
        try:
            date = parsedate_to_datetime(text)
        except (TypeError, ValueError, IndexError, OverflowError):
            return None
        # A date without a zone is in UTC, as all dates of HTTP are.
        date = date if date.tzinfo else date.replace(tzinfo=timezone.utc)
        seconds = math.ceil((date - now).total_seconds())
    return seconds if 0 < seconds < math.inf else None

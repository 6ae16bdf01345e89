"""When Airflow itself should try a task again, for versions that ask: 3.3 and later."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_provider_datafold.exceptions import DatafoldError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

LONGEST_DELAY = 24 * 3600.0
"""Seconds. A service that asks for more is asked again after a day: no task waits for a year."""

try:
    from airflow.sdk import RetryDecision, RetryPolicy
except ImportError:  # before Airflow 3.3
    DEFAULT_RETRY_POLICY = None
else:

    class DatafoldRetryPolicy(RetryPolicy):
        """Waits as long as the service asks, if the task itself would not wait as long.

        All else is as the task's own ``retries`` and ``retry_delay`` say. Airflow asks no policy
        about a :class:`~airflow_provider_datafold.exceptions.DatafoldFinalError`: it is an
        ``AirflowFailException``, which fails the task at once.
        """

        def evaluate(
            self,
            exception: BaseException,
            try_number: int,
            max_tries: int,
            context: Context | None = None,
        ) -> RetryDecision:
            """Decide what comes after a failed try.

            :param exception: what the task raised.
            :param try_number: number of the try, from 1.
            :param max_tries: how many tries there are; Airflow sees to that.
            :param context: Airflow's task context.
            :return: retry after the delay that the service asks for, or default.
            """
            asked = exception.retry_after if isinstance(exception, DatafoldError) else None
            if asked is None:
                return RetryDecision.default()
            delay = timedelta(seconds=min(asked, LONGEST_DELAY))
            if delay <= _own_delay(try_number, context):
                return RetryDecision.default()
            return RetryDecision.retry(delay=delay, reason=f"Datafold asks to wait {delay}.")

    DEFAULT_RETRY_POLICY = DatafoldRetryPolicy()


def _own_delay(try_number: int, context: Context | None) -> timedelta:
    """Return the delay that the task itself asks for, as Airflow works it out."""
    if context is None:
        return timedelta()
    task = context["task"]
    delay: timedelta = task.retry_delay
    backoff = task.retry_exponential_backoff
    # Older DAGs say just that there is one.
    factor = 2.0 if backoff is True else float(backoff)
    if factor <= 0 or factor == 1:
        # Airflow heeds max_retry_delay only where the delay grows.
        return delay
    # Of limited size: a float or a timedelta overflows after a few dozen tries.
    seconds = delay.total_seconds() * min(factor, 1000.0) ** min(try_number - 1, 20)
    own = timedelta(seconds=min(seconds, LONGEST_DELAY))
    longest = task.max_retry_delay
    return min(own, longest) if isinstance(longest, timedelta) else own

"""The retry policy of the operators, for Airflow 3.3 and later."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_provider_datafold.exceptions import DatafoldError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

LONGEST_DELAY = 24 * 3600.0
"""Seconds. A task waits a day at most, even if the service asks for more."""

try:
    from airflow.sdk import RetryDecision, RetryPolicy
except ImportError:  # before Airflow 3.3
    DEFAULT_RETRY_POLICY = None
else:

    class DatafoldRetryPolicy(RetryPolicy):
        """Waits as long as the service asks, if that is longer than the task's own delay.

        Everything else follows the task's ``retries`` and ``retry_delay``. Airflow consults no
        policy about a :class:`~airflow_provider_datafold.exceptions.DatafoldFinalError`: it is an
        ``AirflowFailException``, which fails the task at once.
        """

        def evaluate(
            self,
            exception: BaseException,
            try_number: int,
            max_tries: int,
            context: Context | None = None,
        ) -> RetryDecision:
            """Decide what follows a failed try.

            :param exception: what the task raised.
            :param try_number: number of the try, from 1.
            :param max_tries: how many tries the task has; Airflow itself enforces that.
            :param context: Airflow's task context.
            :return: a retry after the delay that the service asks for, or Airflow's default.
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
    """Return the task's own retry delay, computed as Airflow does."""
    if context is None:
        return timedelta()
    task = context["task"]
    delay: timedelta = task.retry_delay
    backoff = task.retry_exponential_backoff
    # Older DAGs have a boolean here instead of a factor.
    factor = 2.0 if backoff is True else float(backoff)
    if factor <= 0 or factor == 1:
        # Airflow applies max_retry_delay only to a growing delay.
        return delay
    # Capped: a float or a timedelta would overflow after a few dozen tries.
    seconds = delay.total_seconds() * min(factor, 1000.0) ** min(try_number - 1, 20)
    own = timedelta(seconds=min(seconds, LONGEST_DELAY))
    longest = task.max_retry_delay
    return min(own, longest) if isinstance(longest, timedelta) else own

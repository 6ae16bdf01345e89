"""When Airflow itself should try a task again, for versions that ask: 3.3 and later."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_provider_datafold.exceptions import DatafoldError, DatafoldFinalError

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
        """Fails a task at once where another try can't help, and waits as the service asks.

        All else is as the task's own ``retries`` and ``retry_delay`` say.
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
            :param try_number: number of the try, from 1; does not matter here.
            :param max_tries: how many there are; Airflow sees to that.
            :param context: Airflow's task context; does not matter here.
            :return: fail, retry after just the delay that the service asks for, or default.
            """
            if isinstance(exception, DatafoldFinalError):
                return RetryDecision.fail(reason="Another try can't mend this.")
            if isinstance(exception, DatafoldError) and exception.retry_after is not None:
                delay = timedelta(seconds=min(exception.retry_after, LONGEST_DELAY))
                return RetryDecision.retry(delay=delay, reason=f"Datafold asks to wait {delay}.")
            return RetryDecision.default()

    DEFAULT_RETRY_POLICY = DatafoldRetryPolicy()

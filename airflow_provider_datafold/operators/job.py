"""The shared part of the operators that start a job at Datafold and wait for it."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import conf

from airflow_provider_datafold.api.fields import positive_number
from airflow_provider_datafold.operators.base import DatafoldOperator, for_xcom
from airflow_provider_datafold.operators.wait import JobWaiter, Wait

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_datafold.jobs.hook import JobHook
    from airflow_provider_datafold.jobs.watch import JobStatus

DEFAULT_DEFERRABLE = bool(conf.getboolean("operators", "default_deferrable", fallback=False))
DEFAULT_TIMEOUT = timedelta(hours=24)
_LAST_SECONDS = 4.0
"""Time for the cancel when a task is killed: Airflow 3 ends the process after five seconds."""


class DatafoldJobOperator(DatafoldOperator, JobWaiter):
    """Starts a job and waits for it, in the worker or in the triggerer, with the same result."""

    wait_for_completion: bool
    poll_interval: float | timedelta | None
    timeout: float | timedelta
    cancel_on_kill: bool = False
    """Whether to cancel the job when the task is stopped, when its time is over, and when waiting
    fails for good. The API cancels data diffs only, so only their operator has this argument."""

    def execute(self, context: Context) -> Any:
        """Start the job, and wait for its end unless ``wait_for_completion`` is ``False``."""
        with self.attending(context) as hook:
            begin = time.time()
            self.check(hook)
            wait = self.claim(hook, context)
            if not self.wait_for_completion:
                return for_xcom(self.started(hook, wait))
            deadline = min(wait.since + self._longest(), begin + self._execution_seconds())
            wait = replace(wait, deadline=deadline)
            reading = self._wait(hook, context, wait)
            return self._judge(hook, context, wait, reading)

    def check(self, hook: JobHook) -> None:
        """Check all arguments, before anything is sent."""
        self._longest()
        self._interval()

    def claim(self, hook: JobHook, context: Context, *, force_new: bool = False) -> Wait:
        """Start the job, or take over the one that an earlier try started and nobody cancelled."""
        raise NotImplementedError

    def started(self, hook: JobHook, wait: Wait) -> Any:
        """Return the task's return value if the task does not wait."""
        raise NotImplementedError

    def cancel_after_stop(self, hook: JobHook, until: float) -> None:
        """Cancel the job with a stopped hook, by a moment of the monotonic clock."""

    def on_kill(self) -> None:
        """Send nothing more when the task is stopped, except the cancel of the job."""
        super().on_kill()
        if self._hook is not None and self._may_cancel:
            self.cancel_after_stop(self._hook, time.monotonic() + _LAST_SECONDS)

    @property
    def _may_cancel(self) -> bool:
        return self.cancel_on_kill and self.wait_for_completion

    def _judge(self, hook: JobHook, context: Context, wait: Wait, reading: JobStatus) -> Any:
        # Only a task that can cancel its job may have cancelled that of another try.
        if reading.was_cancelled and wait.is_taken_over and self.job.cancel:
            # A task that is cleared while it runs may keep its tag. Then its old process cancels
            # the job that the new one has taken over.
            hook.log.warning(
                "Another try of this task cancelled the %s. Starting a new one.", self.job.noun
            )
            again = self.claim(hook, context, force_new=True)
            wait = replace(again, deadline=wait.deadline, is_taken_over=False)
            reading = self._wait(hook, context, wait)
        return for_xcom(self.ended(hook, context, wait.ids, reading))

    def _execution_seconds(self) -> float:
        """Return the seconds that this try may take, with time left for a cancel."""
        if self.execution_timeout is None:
            return float("inf")
        seconds = self.execution_timeout.total_seconds()
        return max(seconds - 10.0, 0.9 * seconds)

    def _longest(self) -> float:
        return seconds("timeout", self.timeout)

    def _interval(self) -> float | None:
        interval = self.poll_interval
        return None if interval is None else seconds("poll_interval", interval)


def seconds(field: str, duration: Any) -> float:
    """Check a duration above 0, in seconds or as a ``timedelta``."""
    if isinstance(duration, timedelta):
        duration = duration.total_seconds()
    return float(positive_number(field, duration))

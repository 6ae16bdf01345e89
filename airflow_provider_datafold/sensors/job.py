"""The shared part of the sensors that wait for a job which something else has started."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow.exceptions import AirflowRescheduleException
from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
)

from airflow_provider_datafold import jobs
from airflow_provider_datafold.exceptions import (
    DatafoldDeadlineError,
    DatafoldError,
    DatafoldStoppedError,
)
from airflow_provider_datafold.operators.base import HookUser, for_xcom
from airflow_provider_datafold.operators.wait import JobWaiter, Wait

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_datafold.jobs.hook import JobHook
    from airflow_provider_datafold.jobs.watch import JobStatus

DEFAULT_POKE_INTERVAL = 60.0


class DatafoldJobSensor(BaseSensorOperator, JobWaiter):
    """Waits for a job that something else has started, and never cancels it.

    A temporary error does not end the wait.
    """

    # As for operators, Airflow's class comes first.
    on_kill = HookUser.on_kill

    template_fields: Sequence[str] = ("datafold_conn_id",)
    ui_color = "#e3f0e8"

    trigger_interval: float | None
    """Seconds between two polls of the triggerer; ``None`` to adapt to the time waited."""

    _not_before = 0.0
    """When Datafold accepts the next request, in seconds since the epoch."""

    def execute(self, context: Context) -> Any:
        """Wait for the job."""
        with self.attending(context) as hook:
            if self.deferrable:
                return self._wait_or_skip(hook, context)
            return self._poke_again_and_again(context)

    def poke(self, context: Context) -> PokeReturnValue:
        """Read the job once, and judge it if it has ended."""
        if time.time() < self._not_before:
            return PokeReturnValue(is_done=False)
        with self.open_hook() as hook:
            try:
                self.check(hook)
            except jobs.trouble.PASSING as error:
                self.log.warning("Could not look up what to wait for: %s.", error.summary)
                return PokeReturnValue(is_done=False)
            job, ids = self.job, self.ids()
            self.begin(hook, context)
            reading = hook.look(job, ids)
            if reading.retry_after:
                self._not_before = time.time() + reading.retry_after
            if reading.was_seen and not reading.has_ended:
                self.log.info("The %s is %s.", job.noun, reading.shown_status)
            if not reading.has_ended:
                return PokeReturnValue(is_done=False)
            value = for_xcom(self.ended(hook, context, ids, reading))
            return PokeReturnValue(is_done=True, xcom_value=value)

    def ids(self) -> dict[str, Any]:
        """Return the job's ids by name."""
        raise NotImplementedError

    def begin(self, hook: JobHook, context: Context) -> None:
        """Prepare for reading the job, e.g. store the link."""

    def gave_up(self, hook: JobHook, context: Context, error: Exception) -> None:
        """Tell of a task that ``soft_fail`` skips before it knows what to wait for.

        Without a verdict, it would look like one that was not needed.
        """
        report = jobs.gate.report
        # Airflow itself skips a task that was resumed.
        if report.skips(context, error):
            _, reason = report.cause_of(error)
            verdict = {"kind": self.job.name, "outcome": "failed", "reason": reason, "skips": True}
            report.push(context, verdict, f"the {self.job.noun}", self.log)

    def _poke_again_and_again(self, context: Context) -> Any:
        try:
            return super().execute(context)
        except AirflowSensorTimeout:
            pass
        except AirflowRescheduleException as reschedule:
            # The process that continues does not know what Datafold asked this one for.
            asked = min(self._not_before, time.time() + self.timeout)
            not_before = datetime.fromtimestamp(asked, timezone.utc)
            reschedule.reschedule_date = max(reschedule.reschedule_date, not_before)
            raise
        # Raise the same error in every mode.
        raise self._deadline_error()

    def _wait_or_skip(self, hook: JobHook, context: Context) -> Any:
        """Wait with ``soft_fail`` and ``never_fail``, which only Airflow's loop handles."""
        begin = time.time()
        try:
            self.check(hook)
            self.begin(hook, context)
            wait = Wait(self.ids(), begin, begin + self._longest())
            return self._judge(hook, context, wait, self._wait(hook, context, wait))
        except DatafoldStoppedError:
            raise
        except (AirflowFailException, DatafoldError) as error:
            # Only with never_fail does Airflow's loop skip what a retry may change.
            is_soft = self.soft_fail and isinstance(error, AirflowFailException)
            if not (is_soft or self.never_fail):
                raise
            raise AirflowSkipException(f"Skipped instead of failed: {error}") from error

    def _resumed(
        self, hook: JobHook, event: Mapping[str, Any], handed_over: Mapping[str, Any]
    ) -> Wait:
        self.check(hook)
        return super()._resumed(hook, event, {"ids": self.ids(), **handed_over})

    def _watch(self, hook: JobHook, wait: Wait, **until: float) -> JobStatus:
        with suppress(DatafoldDeadlineError):
            return super()._watch(hook, wait, **until)
        raise self._deadline_error()

    def _interval(self) -> float | None:
        return self.trigger_interval

    def _longest(self) -> float:
        limit = self.execution_timeout or timedelta.max
        return min(self.timeout, limit.total_seconds())

    def _deadline_error(self) -> Exception:
        return DatafoldDeadlineError(
            f"The {self.job.noun} had not ended after {self._longest():g} s, the limit from the "
            f"sensor's 'timeout' and 'execution_timeout'. It is still running: a sensor does not "
            f"cancel it."
        )

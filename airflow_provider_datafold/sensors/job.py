"""The shared part of the sensors that wait for a job which something else has started."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.exceptions import AirflowRescheduleException
from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
)

from airflow_provider_datafold import triggers
from airflow_provider_datafold.exceptions import (
    DatafoldDeadlineError,
    DatafoldError,
    DatafoldStoppedError,
)
from airflow_provider_datafold.jobs.trouble import AFTER_TROUBLE, DEADLINE, TROUBLE
from airflow_provider_datafold.operators.base import HookUser

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_datafold.jobs.hook import JobHook
    from airflow_provider_datafold.jobs.job import Job
    from airflow_provider_datafold.jobs.watch import JobStatus

DEFAULT_POKE_INTERVAL = 60.0


class DatafoldJobSensor(BaseSensorOperator, HookUser):
    """Waits for a job that something else has started, and never cancels it.

    A temporary error does not end the wait. The constructor of each kind's sensor takes these
    parameters, too, and those of Airflow's sensors, such as ``mode`` and ``soft_fail``:

    :param deferrable: whether to wait in the triggerer, regardless of ``mode``; by default as
        Airflow's ``[operators] default_deferrable`` says.
    :param poke_interval: seconds between two polls; by default 60 or, in the triggerer, 2 at
        first, then a seventh of the time waited, at least 1 and at most 30.
    :param timeout: how long to wait, in seconds or as a :class:`~datetime.timedelta`; 24 hours by
        default. Deferred, the task's ``execution_timeout`` counts, too.
    """

    # As for operators, Airflow's class comes first.
    on_kill = HookUser.on_kill

    template_fields: Sequence[str] = ("datafold_conn_id",)
    ui_color = "#e3f0e8"

    deferrable: bool
    trigger_interval: float | None
    """Seconds between two polls of the triggerer; ``None`` to adapt to the time waited."""

    _not_before = 0.0
    """When Datafold accepts the next request, in seconds since the epoch."""

    @property
    def job(self) -> Job:
        """The kind of job. Not a field of the class: a DAG file need not load the operations."""
        raise NotImplementedError

    def execute(self, context: Context) -> Any:
        """Wait for the job.

        :param context: Airflow's task context.
        :return: the job's result; it lands in XCom.
        """
        with self._reporting(context):
            return self._wait(context)

    def _wait(self, context: Context) -> Any:
        begin = time.time()
        if self.deferrable:
            found = self._poke_once(context)
            if found:
                return found.xcom_value
            self._defer(context, begin, begin + self._longest(), self._not_before)
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

    def poke(self, context: Context) -> PokeReturnValue:
        """Read the job once.

        :param context: Airflow's task context.
        :return: whether it has ended, and if so its result.
        :raises DatafoldError: the job did not end as the sensor wants, or reading it failed for
            good.
        """
        if time.time() < self._not_before:
            return PokeReturnValue(is_done=False)
        with self.open_hook() as hook:
            self.check(hook)
            job, ids = self.job, self.ids()
            self.begin(hook, context)
            reading = hook.look(job, ids)
            if reading.retry_after:
                self._not_before = time.time() + reading.retry_after
            if reading.was_seen and not reading.has_ended:
                self.log.info("The %s is %s.", job.noun, reading.shown_status)
            if not reading.has_ended:
                return PokeReturnValue(is_done=False)
            return PokeReturnValue(is_done=True, xcom_value=self.ended(hook, context, ids, reading))

    def execute_complete(
        self,
        context: Context,
        event: Mapping[str, Any] | None = None,
        try_number: int | None = None,
        since: float | None = None,
        deadline: float | None = None,
    ) -> Any:
        """Continue after the triggerer has waited.

        :param context: Airflow's task context.
        :param event: the trigger's event. The worker reads the job itself, so that all modes have
            the same result.
        :param try_number: the try that deferred.
        :param since: when the wait began, in seconds since the epoch.
        :param deadline: when it ends, in seconds since the epoch.
        :return: the job's result; it lands in XCom.
        """
        event = event if isinstance(event, Mapping) else {}
        # Airflow 3.0 passes the event of a failed try to the next try.
        if try_number not in (None, context["ti"].try_number):
            return self.execute(context)
        if deadline is None:  # dag.test() passes only the event.
            is_over = event.get("state") == DEADLINE
            deadline = time.time() + (0.0 if is_over else self._longest())
        with self._reporting(context):
            return self._go_on(context, event, since, deadline)

    def _go_on(
        self, context: Context, event: Mapping[str, Any], since: float | None, deadline: float
    ) -> Any:
        with self.open_hook() as hook:
            self.check(hook)
            ids = self.ids()
            if event.get("state") == TROUBLE:
                return self._look_for_triggerer(hook, context, event, since, deadline)
            with suppress(DatafoldDeadlineError):
                reading = hook.wait(
                    self.job,
                    ids,
                    deadline=deadline,
                    since=since,
                    poll_interval=self.trigger_interval,
                )
                return self.ended(hook, context, ids, reading)
        raise self._deadline_error()

    def check(self, hook: JobHook) -> None:
        """Check all arguments, before anything is sent.

        :param hook: the hook of the task's connection.
        :raises DatafoldInputError: an argument is wrong.
        """
        raise NotImplementedError

    def ids(self) -> dict[str, Any]:
        """Return the job's ids by name."""
        raise NotImplementedError

    def begin(self, hook: JobHook, context: Context) -> None:
        """Prepare for reading the job, e.g. store the link.

        :param hook: the hook to call.
        :param context: Airflow's task context.
        """

    def ended(
        self, hook: JobHook, context: Context, ids: Mapping[str, Any], reading: JobStatus
    ) -> Any:
        """Return the task's return value, or raise the error that the job's end means.

        :param hook: the hook to call.
        :param context: Airflow's task context.
        :param ids: the job's ids.
        :param reading: the job's end.
        """
        raise NotImplementedError

    def gave_up(self, context: Context, error: Exception) -> None:
        """Tell of the job before the task fails, or is skipped.

        :param context: Airflow's task context.
        :param error: why.
        """

    @contextmanager
    def _reporting(self, context: Context) -> Iterator[None]:
        """Tell of any end except that of a poke that waits, or of a task that is stopped."""
        try:
            yield
        except (AirflowRescheduleException, DatafoldStoppedError):
            raise
        except Exception as error:
            try:
                self.gave_up(context, error)
            except DatafoldError as other:
                self.log.warning("Could not tell of the end: %s.", other.summary)
            raise

    def _poke_once(self, context: Context) -> PokeReturnValue:
        """Poke once with ``soft_fail`` and ``never_fail``, which only Airflow's loop handles."""
        try:
            return self.poke(context)
        except AirflowFailException as error:
            if not (self.soft_fail or self.never_fail):
                raise
            raise AirflowSkipException(f"Skipped instead of failed: {error}") from error

    def _look_for_triggerer(
        self,
        hook: JobHook,
        context: Context,
        event: Mapping[str, Any],
        since: float | None,
        deadline: float,
    ) -> Any:
        """Look once in place of the triggerer, which cannot, and let it wait on."""
        self.log.warning("The triggerer could not go on waiting: %s.", event.get("error"))
        ids = self.ids()
        reading = hook.look(self.job, ids, is_troubled=bool(event.get("is_lasting")))
        if not reading.has_ended:
            pause = max(AFTER_TROUBLE, reading.retry_after)
            self._defer(context, since, deadline, time.time() + pause)
        return self.ended(hook, context, ids, reading)

    def _defer(
        self, context: Context, since: float | None, deadline: float, not_before: float
    ) -> NoReturn:
        self.defer(
            trigger=triggers.job.DatafoldJobTrigger(
                job=self.job.name,
                ids=self.ids(),
                datafold_conn_id=self.datafold_conn_id,
                deadline=deadline,
                since=since,
                poll_interval=self.trigger_interval,
                not_before=not_before,
            ),
            method_name="execute_complete",
            kwargs={
                "try_number": context["ti"].try_number,
                "since": since,
                "deadline": deadline,
            },
        )

    def _longest(self) -> float:
        """Return the seconds that this sensor may wait."""
        limit = self.execution_timeout or timedelta.max
        return min(self.timeout, limit.total_seconds())

    def _deadline_error(self) -> Exception:
        return DatafoldDeadlineError(
            f"The {self.job.noun} had not ended after {self._longest():g} s, the limit from the "
            f"sensor's 'timeout' and 'execution_timeout'. It is still running: a sensor does not "
            f"cancel it."
        )

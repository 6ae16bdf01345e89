"""The shared part of the sensors that wait for a job which something else has started."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
)

from airflow_provider_datafold.operators.base import HookUser
from airflow_provider_datafold.operators.job import default_deferrable

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_datafold.hooks.datafold import DatafoldHook
    from airflow_provider_datafold.waiting.watch import Reading

DEFAULT_POKE_INTERVAL = 60.0


class DatafoldJobSensor(BaseSensorOperator, HookUser):
    """Waits for a job that something else has started, and never cancels it.

    A temporary error never ends the wait. The constructor of each kind's sensor takes these
    parameters, too, and those of Airflow's sensors, such as ``mode`` and ``soft_fail``:

    :param deferrable: whether to wait in the triggerer, regardless of ``mode``; by default as
        Airflow's ``[operators] default_deferrable`` says.
    :param poke_interval: seconds between two polls; by default 60 or, in the triggerer, 2 at
        first, then a seventh of the time waited, at least 1 and at most 30.
    :param timeout: how long to wait, in seconds or as a :class:`~datetime.timedelta`; 24 hours by
        default. Deferred, the task's ``execution_timeout`` counts, too.
    """

    job_name: ClassVar[str]
    """Key of :data:`~airflow_provider_datafold.waiting.job.JOBS`."""

    # As for operators, Airflow's class comes first.
    on_kill = HookUser.on_kill

    template_fields: Sequence[str] = ("datafold_conn_id",)
    ui_color = "#e3f0e8"

    deferrable: bool | None
    trigger_interval: float | None
    """Seconds between two polls of the triggerer; ``None`` to adapt to the time waited."""

    _not_before = 0.0
    """When Datafold accepts the next request, by the monotonic clock."""

    def execute(self, context: Context) -> Any:
        """Wait for the job.

        :param context: Airflow's task context.
        :return: the job's result; it lands in XCom.
        """
        begin = time.time()
        if default_deferrable() if self.deferrable is None else self.deferrable:
            found = self._poke_once(context)
            return found.xcom_value if found else self._defer(context, begin)
        # Raise the same error in every mode.
        with suppress(AirflowSensorTimeout):
            return super().execute(context)
        raise self._deadline_error()

    def poke(self, context: Context) -> PokeReturnValue:
        """Read the job once.

        :param context: Airflow's task context.
        :return: whether it has ended, and if so its result.
        :raises DatafoldError: the job did not end as the sensor wants, or reading it failed for
            good.
        """
        from airflow_provider_datafold.exceptions import DatafoldStoppedError
        from airflow_provider_datafold.waiting.watch import PASSING

        if time.monotonic() < self._not_before:
            return PokeReturnValue(is_done=False)
        with self.open_hook() as hook:
            self.check(hook)
            job, ids = self._job(), self.ids()
            self.begin(hook, context)
            try:
                reading = hook.look(job, ids)
            except DatafoldStoppedError:
                raise
            except PASSING as error:
                self._not_before = time.monotonic() + (error.retry_after or 0.0)
                self.log.warning("Could not check the %s: %s.", job.noun, error.summary)
                return PokeReturnValue(is_done=False)
            if not reading.has_ended:
                self.log.info("The %s is %s.", job.noun, reading.shown_status)
                return PokeReturnValue(is_done=False)
            return PokeReturnValue(is_done=True, xcom_value=self.ended(hook, context, ids, reading))

    def resume(
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
        from airflow_provider_datafold.exceptions import DatafoldDeadlineError
        from airflow_provider_datafold.waiting.watch import DEADLINE, is_lasting

        event = event or {}
        # Airflow 3.0 passes the event of a failed try to the next try.
        if try_number not in (None, context["ti"].try_number):
            return self.execute(context)
        if deadline is None:  # dag.test() passes only the event.
            is_over = event.get("state") == DEADLINE
            deadline = time.time() + (0.0 if is_over else self._longest())
        with self.open_hook() as hook:
            self.check(hook)
            ids = self.ids()
            with suppress(DatafoldDeadlineError):
                reading = hook.wait(
                    self._job(),
                    ids,
                    deadline=deadline,
                    since=since,
                    poll_interval=self.trigger_interval,
                    is_troubled=is_lasting(event),
                )
                return self.ended(hook, context, ids, reading)
        raise self._deadline_error()

    def check(self, hook: DatafoldHook) -> None:
        """Check all arguments, before anything is sent.

        :param hook: the hook of the task's connection.
        :raises DatafoldInputError: an argument is wrong.
        """
        raise NotImplementedError

    def ids(self) -> dict[str, Any]:
        """Return the job's ids by name."""
        raise NotImplementedError

    def begin(self, hook: DatafoldHook, context: Context) -> None:
        """Prepare for reading the job, e.g. store the link.

        :param hook: the hook to call.
        :param context: Airflow's task context.
        """

    def ended(
        self, hook: DatafoldHook, context: Context, ids: Mapping[str, Any], reading: Reading
    ) -> Any:
        """Return the task's return value, or raise the error that the job's end means.

        :param hook: the hook to call.
        :param context: Airflow's task context.
        :param ids: the job's ids.
        :param reading: the job's end.
        """
        raise NotImplementedError

    def _poke_once(self, context: Context) -> PokeReturnValue:
        """Poke once with ``soft_fail`` and ``never_fail``, which only Airflow's loop handles."""
        try:
            return self.poke(context)
        except AirflowFailException as error:
            if not (self.soft_fail or self.never_fail):
                raise
            raise AirflowSkipException(f"Skipped instead of failed: {error}") from error

    def _defer(self, context: Context, begin: float) -> None:
        from airflow_provider_datafold.triggers.job import DatafoldJobTrigger

        deadline = begin + self._longest()
        self.defer(
            trigger=DatafoldJobTrigger(
                job=self.job_name,
                ids=self.ids(),
                datafold_conn_id=self.datafold_conn_id,
                deadline=deadline,
                since=begin,
                poll_interval=self.trigger_interval,
            ),
            method_name="resume",
            kwargs={
                "try_number": context["ti"].try_number,
                "since": begin,
                "deadline": deadline,
            },
        )

    def _longest(self) -> float:
        """Return the seconds that this sensor may wait."""
        limit = self.execution_timeout or timedelta.max
        return min(self.timeout, limit.total_seconds())

    def _deadline_error(self) -> Exception:
        from airflow_provider_datafold.exceptions import DatafoldDeadlineError

        return DatafoldDeadlineError(
            f"The {self._job().noun} had not ended after {self._longest():g} s, the limit from the "
            f"sensor's 'timeout' and 'execution_timeout'. It is still running: a sensor does not "
            f"cancel it."
        )

    def _job(self) -> Any:
        from airflow_provider_datafold.waiting.job import JOBS

        return JOBS[self.job_name]

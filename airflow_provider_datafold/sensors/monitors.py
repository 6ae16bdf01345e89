"""Sensors for monitors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_datafold import jobs
from airflow_provider_datafold.api.fields import positive_integer
from airflow_provider_datafold.links import DatafoldDataDiffLink
from airflow_provider_datafold.operators.base import ON_ALERT, ON_SKIPPED, store
from airflow_provider_datafold.operators.job import DEFAULT_DEFERRABLE, DEFAULT_TIMEOUT
from airflow_provider_datafold.operators.names import TakesNames
from airflow_provider_datafold.sensors.job import DEFAULT_POKE_INTERVAL, DatafoldJobSensor

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_datafold.jobs.hook import JobHook
    from airflow_provider_datafold.jobs.job import Job
    from airflow_provider_datafold.jobs.monitor_run import Ending
    from airflow_provider_datafold.jobs.watch import JobStatus


class DatafoldMonitorRunSensor(TakesNames, DatafoldJobSensor):
    """Wait for a run of a monitor that something else has started, e.g. the monitor's schedule.

    .. code-block:: python

        DatafoldMonitorRunSensor(task_id="check", monitor_id=7, run_id="{{ params.run_id }}")

    :param monitor_id: id or name of the monitor, e.g. ``7``, ``"7"`` or ``"orders are fresh"``.
    :param run_id: id of the run.
    :param on_alert: what to do if the run ends with an alert: ``"fail"`` the task, ``"skip"`` it
        and its downstream tasks, or ``"pass"`` with a warning.
    :param on_skipped: what to do if Datafold skipped the run, so that nothing was checked:
        ``"pass"`` with a warning, or ``"fail"`` the task.
    :param deferrable: whether to wait in the triggerer, regardless of ``mode``; by default as
        Airflow's ``[operators] default_deferrable`` says.
    :param poke_interval: seconds between two polls; by default 60 or, in the triggerer, 2 at
        first, then a seventh of the time waited, at least 1 and at most 30.
    :param timeout: how long to wait, in seconds or as a :class:`~datetime.timedelta`; 24 hours by
        default. Deferred, the task's ``execution_timeout`` counts, too.
    :param datafold_conn_id: id of the Airflow connection to Datafold, with the API key as its
        password.
    :return: ``{"monitor_id", "run_id", "state", "diff_id", "url"}``, the same in every mode; it
        lands in XCom.
    :raises DatafoldDeadlineError: it had not ended after ``timeout``.
    :raises DatafoldError: as for
        :class:`~airflow_provider_datafold.operators.monitors.DatafoldRunMonitorOperator`.
    """

    template_fields: Sequence[str] = (
        *DatafoldJobSensor.template_fields,
        "monitor_id",
        "run_id",
        "on_alert",
        "on_skipped",
    )
    operator_extra_links = (DatafoldDataDiffLink(),)

    monitor_id: int | str
    run_id: int | str
    on_alert: str
    on_skipped: str

    _ending: Ending

    def __init__(
        self,
        *,
        monitor_id: int | str,
        run_id: int | str,
        on_alert: str = "fail",
        on_skipped: str = "pass",
        deferrable: bool = DEFAULT_DEFERRABLE,
        poke_interval: float | timedelta | None = None,
        timeout: float | timedelta = DEFAULT_TIMEOUT,
        datafold_conn_id: str = "datafold_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            poke_interval=DEFAULT_POKE_INTERVAL if poke_interval is None else poke_interval,
            timeout=timeout,
            **kwargs,
        )
        self.trigger_interval = None if poke_interval is None else self.poke_interval
        # Airflow's sensor keeps these two, in seconds.
        store(self, locals(), kept=("poke_interval", "timeout"))

    @property
    def job(self) -> Job:
        """The kind of job."""
        return jobs.job.MONITOR_RUN

    def check(self, hook: JobHook) -> None:
        """Check all arguments, before anything is sent."""
        run = self.checked(hook, run_id=positive_integer)
        self._ids = {**self.look_up(hook, jobs.identity.MONITOR, "monitor_id"), **run}
        given = self.checked(hook, on_alert=ON_ALERT, on_skipped=ON_SKIPPED)
        self._ending = jobs.monitor_run.Ending(**given)

    def ids(self) -> dict[str, Any]:
        """Return the ids of the monitor and of the run."""
        return self._ids

    def ended(
        self, hook: JobHook, context: Context, ids: Mapping[str, Any], reading: JobStatus
    ) -> dict[str, Any]:
        """Judge the run."""
        if url := jobs.monitor_run.data_diff_url(hook, reading.answer):
            DatafoldDataDiffLink.persist(context, url)
        return self._ending.decide(hook, context, ids, reading)

    def gave_up(self, hook: JobHook, context: Context, error: Exception) -> None:
        """Tell that the run was not seen to its end."""
        if hasattr(self, "_ending"):
            self._ending.give_up(hook, context, self._ids, error)
        else:
            super().gave_up(hook, context, error)

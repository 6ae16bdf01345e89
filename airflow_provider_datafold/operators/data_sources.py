"""Operators for data sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_datafold import jobs
from airflow_provider_datafold.exceptions import DatafoldAnswerError
from airflow_provider_datafold.operators.base import DatafoldOperator, store
from airflow_provider_datafold.operators.job import DEFAULT_DEFERRABLE, DEFAULT_TIMEOUT
from airflow_provider_datafold.operators.names import TakesNames
from airflow_provider_datafold.operators.remembered import DatafoldRememberedJobOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_datafold.jobs.hook import JobHook
    from airflow_provider_datafold.jobs.job import Job
    from airflow_provider_datafold.jobs.watch import JobStatus
    from airflow_provider_datafold.operators.wait import Wait


class DatafoldTestDataSourceOperator(TakesNames, DatafoldRememberedJobOperator):
    """Test whether Datafold can read a data source, before a DAG relies on it.

    ``POST /api/v1/data_sources/{data_source_id}/test`` of Datafold's API starts the test. The task
    waits for its end. It passes if each step is done and reports ``OK``, success, or that it was
    skipped, and not all report only that.

    .. code-block:: python

        DatafoldTestDataSourceOperator(task_id="preflight", data_source_id=1)

    :param data_source_id: id or name of the data source, e.g. ``7``, ``"7"`` or
        ``"snowflake prod"``.
    :param wait_for_completion: whether to wait for the end and to judge it.
    :param deferrable: whether to wait in the triggerer, which takes no worker slot; by default as
        Airflow's ``[operators] default_deferrable`` says.
    :param poll_interval: time between two polls, in seconds or as a
        :class:`~datetime.timedelta`; by default 2 s at first, then a seventh of the time waited,
        at least 1 s and at most 30.
    :param timeout: how long the test may take, in seconds or as a :class:`~datetime.timedelta`; 24
        hours by default. The task's ``execution_timeout`` counts, too.
    :param datafold_conn_id: id of the Airflow connection to Datafold, with the API key as its
        password.
    :return: ``{"data_source_id", "job_id", "status", "results"}``, the same in every mode; it
        lands in XCom. ``status`` and ``results`` are null if the task does not wait.
    :raises DatafoldJobFailedError: a step has not passed, and the message says which one and why;
        or no step was tested. Airflow's retry starts a new test.
    :raises DatafoldWaitingForPersonError: Datafold asks for a login.
    :raises DatafoldJobCancelledError: someone cancelled the test.
    :raises DatafoldDeadlineError: it took longer than ``timeout`` or ``execution_timeout``.
    :raises DatafoldError: see :class:`~airflow_provider_datafold.operators.base.DatafoldOperator`.
    """

    template_fields: Sequence[str] = (*DatafoldOperator.template_fields, "data_source_id")

    data_source_id: int | str

    def __init__(
        self,
        *,
        data_source_id: int | str,
        wait_for_completion: bool = True,
        deferrable: bool = DEFAULT_DEFERRABLE,
        poll_interval: float | timedelta | None = None,
        timeout: float | timedelta = DEFAULT_TIMEOUT,
        datafold_conn_id: str = "datafold_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        store(self, locals())

    @property
    def job(self) -> Job:
        """The kind of job."""
        return jobs.job.DATA_SOURCE_TEST

    def check(self, hook: JobHook) -> None:
        """Check all arguments, before anything is sent."""
        super().check(hook)
        self._asked = self.look_up(hook, jobs.identity.DATA_SOURCE, "data_source_id")

    def begin(self, hook: JobHook) -> dict[str, Any]:
        """Start the test."""
        data_source_id = self._asked["data_source_id"]
        job_id = hook.test_data_source(data_source_id).get("job_id")
        if not isinstance(job_id, int):
            raise DatafoldAnswerError(
                f"Datafold accepted the test of data source {data_source_id}, but its response has "
                f"no 'job_id', so the task cannot wait for it."
            )
        self.log.info("Started test %d of data source %d.", job_id, data_source_id)
        return {"job_id": job_id}

    def started(self, hook: JobHook, wait: Wait) -> dict[str, Any]:
        """Return the ids without waiting."""
        return {**self._asked, **wait.ids, "status": None, "results": None}

    def ended(
        self, hook: JobHook, context: Context, ids: Mapping[str, Any], reading: JobStatus
    ) -> dict[str, Any]:
        """Judge the test."""
        return {
            **self._asked,
            **ids,
            "status": reading.status,
            "results": jobs.data_source_test.conclude(hook, self._asked["data_source_id"], reading),
        }

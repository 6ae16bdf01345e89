"""Operators for CI: data diffs for a pull request, started by the DAG that built its data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_datafold import jobs
from airflow_provider_datafold.api.fields import positive_integer
from airflow_provider_datafold.operators.base import DatafoldOperator, store
from airflow_provider_datafold.operators.job import DEFAULT_DEFERRABLE, DEFAULT_TIMEOUT
from airflow_provider_datafold.operators.names import TakesNames
from airflow_provider_datafold.operators.remembered import DatafoldRememberedJobOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_datafold.api.operation import Request
    from airflow_provider_datafold.jobs.hook import JobHook
    from airflow_provider_datafold.jobs.job import Job
    from airflow_provider_datafold.jobs.watch import JobStatus
    from airflow_provider_datafold.operators.wait import Wait


class DatafoldCIOperator(DatafoldRememberedJobOperator):
    """The shared part of the CI operators: a run of Datafold's CI, and its end.

    :param ci_config_id: id of the CI configuration in Datafold, e.g. ``7`` or ``"7"``.
    """

    template_fields: Sequence[str] = (*DatafoldOperator.template_fields, "ci_config_id")

    ci_config_id: int | str

    @property
    def job(self) -> Job:
        """The kind of job."""
        return jobs.job.CI_RUN

    def started(self, hook: JobHook, wait: Wait) -> dict[str, Any]:
        """Return the ids without waiting."""
        return jobs.ci_run.summary(wait.ids, None)

    def ended(
        self, hook: JobHook, context: Context, ids: Mapping[str, Any], reading: JobStatus
    ) -> dict[str, Any]:
        """Judge the run."""
        return jobs.ci_run.conclude(hook, ids, reading)


class DatafoldTriggerCIOperator(DatafoldCIOperator):
    """Start Datafold's CI for a pull request.

    ``POST /api/v1/ci/{ci_config_id}/trigger`` of Datafold's API; Datafold Classic has it.

    .. code-block:: python

        DatafoldTriggerCIOperator(
            task_id="ci",
            ci_config_id=3,
            pr_number="{{ params.pr_number }}",
            pr_sha="{{ params.pr_sha }}",
            base_sha="{{ params.base_sha }}",
            pr_branch="{{ params.pr_branch }}",
            base_branch="main",
        )

    :param ci_config_id: id of the CI configuration in Datafold, e.g. ``7`` or ``"7"``.
    :param pr_number: number of the pull request.
    :param pr_sha: sha of its newest commit, 7 to 64 hexadecimal digits.
    :param base_sha: sha of the commit that it is compared with.
    :param pr_branch: its branch.
    :param base_branch: the branch that it is merged into.
    :param wait_for_completion: whether to wait for the run's end.
    :param deferrable: whether to wait in the triggerer, which takes no worker slot; by default as
        Airflow's ``[operators] default_deferrable`` says.
    :param poll_interval: time between two polls, in seconds or as a
        :class:`~datetime.timedelta`; by default 2 s at first, then a seventh of the time waited,
        at least 1 s and at most 30.
    :param timeout: how long the run may take, in seconds or as a :class:`~datetime.timedelta`; 24
        hours by default. The task's ``execution_timeout`` counts, too.
    :param datafold_conn_id: id of the Airflow connection to Datafold, with the API key as its
        password.
    :return: ``{"ci_config_id", "run_id", "status"}``; it lands in XCom. ``status`` is null if
        the task does not wait.
    :raises DatafoldJobFailedError: the run failed; Airflow's retry starts a new one.
    :raises DatafoldJobCancelledError: someone cancelled the run.
    :raises DatafoldDeadlineError: it took longer than ``timeout`` or ``execution_timeout``.
    :raises DatafoldError: see :class:`~airflow_provider_datafold.operators.base.DatafoldOperator`.
    """

    template_fields: Sequence[str] = (
        *DatafoldCIOperator.template_fields,
        "pr_number",
        "pr_sha",
        "base_sha",
        "pr_branch",
        "base_branch",
    )

    pr_number: int | str
    pr_sha: str
    base_sha: str
    pr_branch: str
    base_branch: str

    def __init__(
        self,
        *,
        ci_config_id: int | str,
        pr_number: int | str,
        pr_sha: str,
        base_sha: str,
        pr_branch: str,
        base_branch: str,
        wait_for_completion: bool = True,
        deferrable: bool = DEFAULT_DEFERRABLE,
        poll_interval: float | timedelta | None = None,
        timeout: float | timedelta = DEFAULT_TIMEOUT,
        datafold_conn_id: str = "datafold_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        store(self, locals())

    def check(self, hook: JobHook) -> None:
        """Check all arguments, before anything is sent."""
        super().check(hook)
        self._asked = self.checked(hook, **jobs.ci_run.FACTS, ci_config_id=positive_integer)

    def begin(self, hook: JobHook) -> dict[str, Any]:
        """Start the run."""
        run_id = jobs.ci_run.trigger_once(hook, **self._asked)
        ci_config_id, pr_num = self._asked["ci_config_id"], self._asked["pr_number"]
        self.log.info("Started CI run %d for pull request %d.", run_id, pr_num)
        return {"ci_config_id": ci_config_id, "pr_num": pr_num, "run_id": run_id}


class DatafoldUploadCIChangesOperator(TakesNames, DatafoldCIOperator):
    """Tell Datafold's CI which tables a pull request changes, so that it compares them.

    ``POST /api/v1/ci/{ci_config_id}/{pr_num}`` of Datafold's API; Datafold Classic has it.

    .. code-block:: python

        DatafoldUploadCIChangesOperator(
            task_id="changes",
            ci_config_id=3,
            pr_number="{{ params.pr_number }}",
            changes=[{"prod": "DB.PUBLIC.ORDERS", "pr": "DB.PR_12.ORDERS", "pk": ["id"]}],
        )

    :param ci_config_id: id of the CI configuration in Datafold, e.g. ``7`` or ``"7"``.
    :param pr_number: number of the pull request.
    :param changes: a list of ``{"prod": str, "pr": str}``, optionally with ``pk``,
        ``include_columns`` and ``exclude_columns``, each a list of strings; or such a list as JSON
        or as a Python literal.
    :param wait_for_completion: whether to wait for the run's end.
    :param deferrable: whether to wait in the triggerer, which takes no worker slot; by default as
        Airflow's ``[operators] default_deferrable`` says.
    :param poll_interval: time between two polls, in seconds or as a
        :class:`~datetime.timedelta`; by default 2 s at first, then a seventh of the time waited,
        at least 1 s and at most 30.
    :param timeout: how long the run may take, in seconds or as a :class:`~datetime.timedelta`; 24
        hours by default. The task's ``execution_timeout`` counts, too.
    :param datafold_conn_id: id of the Airflow connection to Datafold, with the API key as its
        password.
    :return: ``{"ci_config_id", "run_id", "status"}``; it lands in XCom. ``status`` is null if
        the task does not wait.
    :raises DatafoldConflictError: the pull request has no active CI run.
    :raises DatafoldJobFailedError: the run failed; DatafoldTriggerCIOperator starts a new one.
    :raises DatafoldJobCancelledError: someone cancelled the run.
    :raises DatafoldDeadlineError: it took longer than ``timeout`` or ``execution_timeout``.
    :raises DatafoldError: see :class:`~airflow_provider_datafold.operators.base.DatafoldOperator`.
    """

    template_fields: Sequence[str] = (*DatafoldCIOperator.template_fields, "pr_number", "changes")
    template_fields_renderers = {"changes": "json"}  # noqa: RUF012 - typed so by Airflow

    pr_number: int | str
    changes: Sequence[Mapping[str, Any]] | str

    _pull_request: Mapping[str, int]
    _request: Request

    def __init__(
        self,
        *,
        ci_config_id: int | str,
        pr_number: int | str,
        changes: Sequence[Mapping[str, Any]] | str,
        wait_for_completion: bool = True,
        deferrable: bool = DEFAULT_DEFERRABLE,
        poll_interval: float | timedelta | None = None,
        timeout: float | timedelta = DEFAULT_TIMEOUT,
        datafold_conn_id: str = "datafold_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        store(self, locals())

    def check(self, hook: JobHook) -> None:
        """Check all arguments, before anything is sent."""
        super().check(hook)
        self._pull_request = self.checked(
            hook, ci_config_id=positive_integer, pr_number=positive_integer
        )
        self._request = hook.checked(
            partial(jobs.ci_run.upload_request, self._pull_request), self.changes
        )
        self._asked = {**self._pull_request, "changes": self._request.body}

    def begin(self, hook: JobHook) -> dict[str, Any]:
        """Upload the changes."""
        ids = self._pull_request
        run_id = jobs.ci_run.upload(hook, self._request, ids)
        self.log.info("Uploaded the changes of the pull request to CI run %d.", run_id)
        return {"ci_config_id": ids["ci_config_id"], "pr_num": ids["pr_number"], "run_id": run_id}

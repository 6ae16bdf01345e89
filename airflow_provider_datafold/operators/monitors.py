"""Operators for monitors: run them, pause and resume them, apply specs from a repository."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_datafold.operators.base import DatafoldOperator, Links, store
from airflow_provider_datafold.operators.job import DEFAULT_TIMEOUT, DatafoldJobOperator, Start

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_datafold.hooks.datafold import DatafoldHook
    from airflow_provider_datafold.waiting.watch import Reading


class DatafoldRunMonitorOperator(DatafoldJobOperator):
    """Run a monitor now, e.g. after a load, and wait for the result.

    ``POST /api/v1/monitors/{id}/run`` of Datafold's API. The states ``ok`` and ``learning`` pass,
    ``skipped`` passes with a warning. A run has no tag and cannot be cancelled: if a worker is
    killed while it waits, the task's retry runs the monitor again.

    .. code-block:: python

        DatafoldRunMonitorOperator(task_id="check", monitor_id=7)

    :param monitor_id: id of the monitor, e.g. ``7`` or ``"7"``.
    :param on_alert: what to do if the run ends with an alert: ``"fail"`` the task, ``"skip"`` it
        and its downstream tasks, or ``"pass"`` with a warning.
    :param deferrable: whether to wait in the triggerer, which takes no worker slot; by default as
        Airflow's ``[operators] default_deferrable`` says.
    :param poll_interval: time between two polls, in seconds or as a
        :class:`~datetime.timedelta`; by default 2 s at first, then a seventh of the time waited,
        at least 1 s and at most 30.
    :param timeout: how long the run may take, in seconds or as a :class:`~datetime.timedelta`; 24
        hours by default. The task's ``execution_timeout`` counts, too.
    :param cancel_on_kill: has no effect: Datafold's API cannot cancel a run.
    :param datafold_conn_id: id of the Airflow connection to Datafold, with the API key as its
        password.
    :return: ``{"monitor_id", "run_id", "state", "diff_id", "url"}``, the same in every mode; it
        lands in XCom. ``url`` is the address of the run's data diff, null if it has none.
    :raises DatafoldAlertError: the run ended with an alert.
    :raises DatafoldJobFailedError: the run failed at Datafold; Airflow's retry starts a new one.
    :raises DatafoldJobCancelledError: someone cancelled the run.
    :raises DatafoldDeadlineError: it took longer than ``timeout`` or ``execution_timeout``.
    :raises DatafoldError: see :class:`~airflow_provider_datafold.operators.base.DatafoldOperator`.
    """

    job_name = "monitor_run"

    template_fields: Sequence[str] = (
        *DatafoldOperator.template_fields,
        "monitor_id",
        "on_alert",
    )
    operator_extra_links = Links("DatafoldDataDiffLink")

    monitor_id: int | str
    on_alert: str

    def __init__(
        self,
        *,
        monitor_id: int | str,
        on_alert: str = "fail",
        deferrable: bool | None = None,
        poll_interval: float | timedelta | None = None,
        timeout: float | timedelta = DEFAULT_TIMEOUT,
        cancel_on_kill: bool = True,
        datafold_conn_id: str = "datafold_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        store(self, locals())

    def check(self, hook: DatafoldHook) -> None:
        """Check all arguments, before anything is sent."""
        from airflow_provider_datafold.api.fields import positive_integer
        from airflow_provider_datafold.operators.monitor_run import ON_ALERT

        super().check(hook)
        self._given = self.checked(hook, monitor_id=positive_integer, on_alert=ON_ALERT)

    def start(self, hook: DatafoldHook, context: Context, *, force_new: bool = False) -> Start:
        """Run the monitor."""
        from airflow_provider_datafold.operators.monitor_run import run_once

        monitor_id = self._given["monitor_id"]
        run_id = run_once(hook, monitor_id)
        self.log.info("Started run %d of monitor %d.", run_id, monitor_id)
        return Start({"monitor_id": monitor_id, "run_id": run_id}, {}, time.time())

    def ended(
        self, hook: DatafoldHook, context: Context, ids: Mapping[str, Any], reading: Reading
    ) -> dict[str, Any]:
        """Judge the run."""
        from airflow_provider_datafold.operators.monitor_run import conclude

        return conclude(hook, context, ids, reading, self._given["on_alert"])


class DatafoldToggleMonitorOperator(DatafoldOperator):
    """Switch a monitor's schedule on or off, e.g. around a maintenance window.

    ``PUT /api/v1/monitors/{id}/toggle`` of Datafold's API.

    .. code-block:: python

        DatafoldToggleMonitorOperator(task_id="silence", monitor_id=7, enabled=False)

    :param monitor_id: id of the monitor, e.g. ``7`` or ``"7"``.
    :param enabled: whether the schedule is to be on: a boolean, ``"true"`` or ``"false"``.
    :param datafold_conn_id: id of the Airflow connection to Datafold, with the API key as its
        password.
    :return: ``{"monitor_id", "enabled"}``; it lands in XCom.
    :raises DatafoldError: see :class:`~airflow_provider_datafold.operators.base.DatafoldOperator`.
    """

    template_fields: Sequence[str] = (*DatafoldOperator.template_fields, "monitor_id", "enabled")

    monitor_id: int | str
    enabled: bool | str

    def __init__(
        self,
        *,
        monitor_id: int | str,
        enabled: bool | str,
        datafold_conn_id: str = "datafold_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        store(self, locals())

    def call(self, hook: DatafoldHook) -> dict[str, Any]:
        """Switch the monitor's schedule on or off.

        :param hook: the hook to call.
        :return: ``monitor_id`` and ``enabled``.
        """
        from airflow_provider_datafold.api.fields import boolean, positive_integer

        given = self.checked(hook, monitor_id=positive_integer, enabled=boolean)
        hook.toggle_monitor(**given)
        verb = "Resumed" if given["enabled"] else "Paused"
        self.log.info("%s monitor %d.", verb, given["monitor_id"])
        return given


class DatafoldApplyMonitorOperator(DatafoldOperator):
    """Make a monitor match a spec: monitors as code.

    Creates the monitor with the spec's name if there is none, updates it if it differs, and changes
    nothing otherwise. Map it over a folder of specs to keep all monitors of an environment in a
    repository.

    .. code-block:: python

        DatafoldApplyMonitorOperator.partial(task_id="apply", kind="test").expand(
            spec=["monitors/orders.yaml", "monitors/customers.yaml"]
        )

    Datafold's API does not return every field of a monitor. A field that it does not return, such
    as the primary key of a data diff, is not compared. It is sent with the next update, and the log
    names it.

    :param kind: ``"diff"``, ``"metric"``, ``"schema"`` or ``"test"``.
    :param spec: the fields of the monitor's creation by the API's names: a dictionary, a string of
        JSON or YAML, or the path of a ``.yaml``, ``.yml`` or ``.json`` file, which Airflow looks up
        next to the DAG's file and renders as a template.
    :param datafold_conn_id: id of the Airflow connection to Datafold, with the API key as its
        password.
    :return: ``{"monitor_id", "action"}``, where ``action`` is ``"created"``, ``"updated"`` or
        ``"unchanged"``; it lands in XCom.
    :raises DatafoldConflictError: two monitors have the spec's name, or a field differs that
        Datafold cannot change; nothing was changed.
    :raises DatafoldError: see :class:`~airflow_provider_datafold.operators.base.DatafoldOperator`.
    """

    template_fields: Sequence[str] = (*DatafoldOperator.template_fields, "kind", "spec")
    template_ext: Sequence[str] = (".yaml", ".yml", ".json")
    template_fields_renderers = {"spec": "yaml"}  # noqa: RUF012 - typed so by Airflow

    kind: str
    spec: Mapping[str, Any] | str

    def __init__(
        self,
        *,
        kind: str,
        spec: Mapping[str, Any] | str,
        datafold_conn_id: str = "datafold_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        store(self, locals())

    def call(self, hook: DatafoldHook) -> dict[str, Any]:
        """Create the monitor, update it, or change nothing.

        :param hook: the hook to call.
        :return: ``monitor_id`` and ``action``.
        """
        from airflow_provider_datafold.operators.monitor_spec import apply, read_spec

        return apply(hook, *read_spec(hook, self.kind, self.spec))

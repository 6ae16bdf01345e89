"""Operators for monitors: find and run them, pause and resume them, apply files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_datafold import jobs
from airflow_provider_datafold.api import fields
from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.links import DatafoldDataDiffLink
from airflow_provider_datafold.operators.base import ON_ALERT, ON_SKIPPED, DatafoldOperator, store
from airflow_provider_datafold.operators.job import DEFAULT_DEFERRABLE, DEFAULT_TIMEOUT
from airflow_provider_datafold.operators.names import TakesNames
from airflow_provider_datafold.operators.remembered import DatafoldRememberedJobOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_datafold.jobs.hook import JobHook
    from airflow_provider_datafold.jobs.job import Job
    from airflow_provider_datafold.jobs.monitor_run import Ending
    from airflow_provider_datafold.jobs.monitors.format import Wanted
    from airflow_provider_datafold.jobs.watch import JobStatus
    from airflow_provider_datafold.operators.wait import Wait


class DatafoldRunMonitorOperator(TakesNames, DatafoldRememberedJobOperator):
    """Run a monitor now, e.g. after a load, and wait for the result.

    ``POST /api/v1/monitors/{id}/run`` of Datafold's API. The states ``ok`` and ``learning`` pass.
    The XCom ``verdict`` says what came of the run, also if the task fails. A run cannot be
    cancelled. If a worker is killed while it waits, the task's retry waits for the same run from
    Airflow 3.3 on; with an older Airflow it runs the monitor again.

    .. code-block:: python

        DatafoldRunMonitorOperator(task_id="check", monitor_id=7)

    :param monitor_id: id or name of the monitor, e.g. ``7``, ``"7"`` or ``"orders are fresh"``.
    :param on_alert: what to do if the run ends with an alert: ``"fail"`` the task, ``"skip"`` it
        and its downstream tasks, or ``"pass"`` with a warning.
    :param on_skipped: what to do if Datafold skipped the run, so that nothing was checked:
        ``"pass"`` with a warning, or ``"fail"`` the task.
    :param wait_for_completion: whether to wait for the end and to judge it.
    :param deferrable: whether to wait in the triggerer, which takes no worker slot; by default as
        Airflow's ``[operators] default_deferrable`` says.
    :param poll_interval: time between two polls, in seconds or as a
        :class:`~datetime.timedelta`; by default 2 s at first, then a seventh of the time waited,
        at least 1 s and at most 30.
    :param timeout: how long the run may take, in seconds or as a :class:`~datetime.timedelta`; 24
        hours by default. The task's ``execution_timeout`` counts, too.
    :param datafold_conn_id: id of the Airflow connection to Datafold, with the API key as its
        password.
    :return: ``{"monitor_id", "run_id", "state", "diff_id", "url"}``, the same in every mode; it
        lands in XCom. ``url`` is the address of the run's data diff, null if it has none. ``state``
        is null if the task does not wait.
    :raises DatafoldAlertError: the run ended with an alert.
    :raises DatafoldNotComparedError: Datafold skipped the run, and ``on_skipped`` is ``"fail"``.
    :raises DatafoldJobFailedError: the run failed at Datafold; Airflow's retry starts a new one.
    :raises DatafoldJobCancelledError: someone cancelled the run.
    :raises DatafoldDeadlineError: it took longer than ``timeout`` or ``execution_timeout``.
    :raises DatafoldError: see :class:`~airflow_provider_datafold.operators.base.DatafoldOperator`.
    """

    template_fields: Sequence[str] = (
        *DatafoldOperator.template_fields,
        "monitor_id",
        "on_alert",
        "on_skipped",
    )
    operator_extra_links = (DatafoldDataDiffLink(),)

    monitor_id: int | str
    on_alert: str
    on_skipped: str

    _ending: Ending
    _run: Mapping[str, Any] | None = None
    """The ids of the run that the task waits for."""

    def __init__(
        self,
        *,
        monitor_id: int | str,
        on_alert: str = "fail",
        on_skipped: str = "pass",
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
        return jobs.job.MONITOR_RUN

    def check(self, hook: JobHook) -> None:
        """Check all arguments, before anything is sent."""
        super().check(hook)
        given = self.checked(hook, on_alert=ON_ALERT, on_skipped=ON_SKIPPED)
        self._ending = jobs.monitor_run.Ending(**given)
        self._asked = self.look_up(hook, jobs.identity.MONITOR, "monitor_id")

    def claim(self, hook: JobHook, context: Context, *, force_new: bool = False) -> Wait:
        """Run the monitor, or take over the run that an earlier try started."""
        wait = super().claim(hook, context, force_new=force_new)
        self._run = wait.ids if self.wait_for_completion else None
        return wait

    def recall(self, context: Context, wait: Wait) -> None:
        """Recall which run it is."""
        self._run = wait.ids

    def gave_up(self, hook: JobHook, context: Context, error: Exception) -> None:
        """Tell that the run was not seen to its end."""
        if self._run is not None and hasattr(self, "_ending"):
            self._ending.give_up(hook, context, self._run, error)

    def begin(self, hook: JobHook) -> dict[str, Any]:
        """Run the monitor."""
        monitor_id = self._asked["monitor_id"]
        run_id = jobs.monitor_run.run_once(hook, monitor_id)
        self.log.info("Started run %d of monitor %d.", run_id, monitor_id)
        return {"monitor_id": monitor_id, "run_id": run_id}

    def started(self, hook: JobHook, wait: Wait) -> dict[str, Any]:
        """Return the ids without waiting."""
        return jobs.monitor_run.summary(hook, wait.ids, wait.answer)

    def ended(
        self, hook: JobHook, context: Context, ids: Mapping[str, Any], reading: JobStatus
    ) -> dict[str, Any]:
        """Judge the run."""
        if url := jobs.monitor_run.data_diff_url(hook, reading.answer):
            DatafoldDataDiffLink.persist(context, url)
        return self._ending.decide(hook, context, ids, reading)


class DatafoldFindMonitorsOperator(DatafoldOperator):
    """Find monitors by tags, names or set, to run each of them after a load.

    It reads ``GET /api/v1/monitors`` of Datafold's API. A monitor must fit all arguments that are
    given. Monitors of a set that are paused because no file has them any more are left out.

    .. code-block:: python

        monitors = DatafoldFindMonitorsOperator(task_id="find", set_name="orders")
        DatafoldRunMonitorOperator.partial(task_id="check").expand_kwargs(monitors.output)

    :param tags: tags that a monitor must have, all of them; one or a list. Case is ignored.
    :param names: names of which a monitor must have one; one or a list. Case is ignored. Each must
        be the name of a monitor.
    :param set_name: the set that
        :class:`~airflow_provider_datafold.operators.monitors.DatafoldApplyMonitorsOperator` has
        applied.
    :param datafold_conn_id: id of the Airflow connection to Datafold, with the API key as its
        password.
    :return: ``[{"monitor_id": 7}, ...]``, sorted; it lands in XCom.
    :raises DatafoldInputError: an argument is wrong, or no monitor fits.
    :raises DatafoldError: see :class:`~airflow_provider_datafold.operators.base.DatafoldOperator`.
    """

    template_fields: Sequence[str] = (
        *DatafoldOperator.template_fields,
        "tags",
        "names",
        "set_name",
    )

    tags: Sequence[str] | str | None
    names: Sequence[str] | str | None
    set_name: str | None

    def __init__(
        self,
        *,
        tags: Sequence[str] | str | None = None,
        names: Sequence[str] | str | None = None,
        set_name: str | None = None,
        datafold_conn_id: str = "datafold_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        store(self, locals())

    def call(self, hook: JobHook) -> list[dict[str, int]]:
        """Find the monitors.

        :param hook: the hook to call.
        :return: the id of each, as an argument of another operator.
        """
        search = jobs.monitors.search
        given = self.checked(
            hook, tags=search.texts, names=search.texts, set_name=fields.optional(fields.name)
        )
        found = search.find(hook, **given)
        self.log.info("Found %d monitors: %s.", len(found), ", ".join(map(str, found)))
        return [{"monitor_id": monitor_id} for monitor_id in found]


class DatafoldToggleMonitorOperator(TakesNames, DatafoldOperator):
    """Switch a monitor's schedule on or off, e.g. around a maintenance window.

    ``PUT /api/v1/monitors/{id}/toggle`` of Datafold's API.

    .. code-block:: python

        DatafoldToggleMonitorOperator(task_id="silence", monitor_id=7, enabled=False)

    :param monitor_id: id or name of the monitor, e.g. ``7``, ``"7"`` or ``"orders are fresh"``.
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

    def call(self, hook: JobHook) -> dict[str, Any]:
        """Switch the monitor's schedule on or off.

        :param hook: the hook to call.
        :return: ``monitor_id`` and ``enabled``.
        """
        given = self.checked(hook, enabled=fields.boolean)
        given = {**self.look_up(hook, jobs.identity.MONITOR, "monitor_id"), **given}
        hook.toggle_monitor(**given)
        verb = "Resumed" if given["enabled"] else "Paused"
        self.log.info("%s monitor %d.", verb, given["monitor_id"])
        return given


class DatafoldApplyMonitorsOperator(DatafoldOperator):
    """Make Datafold's monitors match files: monitors as code, in Datafold's own format.

    Creates the monitors that are missing, changes those that differ, and pauses or deletes those
    that are in no file any more, if you ask for that. All files, the account and each request are
    read and checked before anything is changed.

    .. code-block:: python

        DatafoldApplyMonitorsOperator(
            task_id="apply", files="monitors/*.yaml", set_name="orders"
        )

    A monitor belongs to a set and a slug by a tag, which this operator adds. It touches no other
    monitors, whatever their names.

    :param files: paths, globs or URLs of YAML or JSON files, one or a list. Relative paths are
        looked up next to the DAG's file, then in its ``template_searchpath``. The files are
        rendered as templates.
    :param spec: instead of files, a mapping with the key ``monitors``, or such a mapping as a
        string of YAML or JSON.
    :param set_name: name of the set; each task that applies monitors needs one of its own.
    :param dangling_monitors_strategy: what to do with monitors of the set that are in no file:
        ``"ignore"`` them, ``"pause"`` or ``"delete"`` them.
    :param max_deleted: the most monitors that it may delete; if there are more to delete, the task
        fails, and changes nothing.
    :param dry_run: whether to change nothing, and return what would be done.
    :param datafold_conn_id: id of the Airflow connection to Datafold, with the API key as its
        password.
    :return: ``{"created", "updated", "unchanged", "paused", "deleted"}``, sorted lists of slugs,
        and ``"ids"``, the id of each monitor in the files by its slug; it lands in XCom.
    :raises DatafoldInputError: a file or an argument is wrong; nothing was sent.
    :raises DatafoldConflictError: a field differs that Datafold cannot change, or it is not clear
        which monitor is meant; nothing was changed.
    :raises DatafoldError: see :class:`~airflow_provider_datafold.operators.base.DatafoldOperator`.
    """

    template_fields: Sequence[str] = (
        *DatafoldOperator.template_fields,
        "files",
        "spec",
        "set_name",
        "dangling_monitors_strategy",
        "max_deleted",
        "is_dry_run",
    )
    template_fields_renderers = {"spec": "yaml"}  # noqa: RUF012 - typed so by Airflow

    files: Sequence[str] | str | None
    spec: Mapping[str, Any] | str | None
    set_name: str
    dangling_monitors_strategy: str
    max_deleted: int | str
    is_dry_run: bool | str
    """The argument ``dry_run``: Airflow has a method of that name."""

    def __init__(
        self,
        *,
        files: Sequence[str] | str | None = None,
        spec: Mapping[str, Any] | str | None = None,
        set_name: str,
        dangling_monitors_strategy: str = "ignore",
        max_deleted: int | str = 10,
        dry_run: bool | str = False,
        datafold_conn_id: str = "datafold_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.is_dry_run = dry_run
        store(self, locals(), kept=("dry_run",))

    def execute(self, context: Context) -> dict[str, Any]:
        """Plan what to do, and do it.

        :param context: Airflow's task context, with which the files are rendered.
        :return: the slugs by what was done, or would be done, and the ids.
        """
        with self.open_hook() as hook:
            given = self._check(hook)
            plan = jobs.monitors.plan.make_plan(
                hook,
                self._wanted(hook, context),
                given["set_name"],
                given["dangling_monitors_strategy"],
                given["max_deleted"],
            )
            if given["is_dry_run"]:
                self._tell("Dry run, to be {}", {**plan.summary(), "updated": [], "ids": []})
                for change in plan.updated:
                    self.log.info(
                        "Dry run, to be updated: monitor %d, %r: %s.",
                        change.monitor_id,
                        change.slug,
                        change.reason,
                    )
            else:
                jobs.monitors.apply.apply_plan(hook, plan)
                self._tell("{}", {"unchanged": plan.unchanged})
            self._tell("In no file, and {}", {"left alone": plan.ignored})
            return plan.summary()

    def _check(self, hook: JobHook) -> dict[str, Any]:
        return self.checked(
            hook,
            set_name=fields.name,
            dangling_monitors_strategy=fields.one_of(*jobs.monitors.plan.STRATEGIES),
            max_deleted=fields.between(0, fields.LARGEST),
            is_dry_run=lambda _, value: fields.boolean("dry_run", value),
        )

    def _wanted(self, hook: JobHook, context: Context) -> list[Wanted]:
        problems = jobs.monitors.problems.Problems(hook.redactor(), DatafoldInputError)
        # In no variable of this frame: what is read is not concealed before it is translated.
        wanted = jobs.monitors.format.translate(
            hook,
            jobs.monitors.files.read_documents(
                hook,
                self.files,
                self.spec,
                problems,
                folders=self._folders(),
                render=lambda text: self._rendered(text, context),
            ),
            problems,
        )
        problems.raise_all("Nothing was sent.")
        return wanted

    def _folders(self) -> list[str]:
        dag = self.get_dag()
        return [os.getcwd()] if dag is None else [dag.folder, *(dag.template_searchpath or ())]

    def _rendered(self, text: str, context: Context) -> str:
        # No Python value starts with a per cent sign: rendering natively, too, returns a string.
        return str(self.render_template(f"%{text}", context))[1:]

    def _tell(self, head: str, slugs: Mapping[str, Sequence[str]]) -> None:
        for name, found in slugs.items():
            if found:
                shown = ", ".join(map(repr, sorted(found)))
                self.log.info("%s: %s.", head.format(name).capitalize(), shown)

"""Sensors for data diffs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_datafold import jobs
from airflow_provider_datafold.api.fields import positive_integer
from airflow_provider_datafold.jobs import gate
from airflow_provider_datafold.jobs.gate.arguments import PASSING
from airflow_provider_datafold.links import DatafoldDataDiffLink
from airflow_provider_datafold.operators.base import store
from airflow_provider_datafold.operators.job import DEFAULT_DEFERRABLE, DEFAULT_TIMEOUT
from airflow_provider_datafold.sensors.job import DEFAULT_POKE_INTERVAL, DatafoldJobSensor

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_datafold.jobs.gate.decision import Gate
    from airflow_provider_datafold.jobs.hook import JobHook
    from airflow_provider_datafold.jobs.job import Job
    from airflow_provider_datafold.jobs.watch import JobStatus


class DatafoldDataDiffSensor(DatafoldJobSensor):
    """Wait for a data diff that something else has started, and judge it as a gate does.

    Use it for the data diff of a CI run or of a monitor's alert. It never cancels the data diff.

    .. code-block:: python

        DatafoldDataDiffSensor(task_id="gate", datadiff_id="{{ params.datadiff_id }}")

    :param datadiff_id: id of the data diff, e.g. ``7`` or ``"7"``.
    :param on_difference: as for
        :class:`~airflow_provider_datafold.operators.data_diffs.DatafoldRunDataDiffOperator`.
    :param max_rows_added: as for the operator.
    :param max_rows_removed: as for the operator.
    :param max_rows_different: as for the operator.
    :param max_values_different: as for the operator.
    :param min_match_ratio: as for the operator.
    :param allow_schema_changes: as for the operator.
    :param on_empty: as for the operator.
    :param deferrable: whether to wait in the triggerer, regardless of ``mode``; by default as
        Airflow's ``[operators] default_deferrable`` says.
    :param poke_interval: seconds between two polls; by default 60 or, in the triggerer, 2 at
        first, then a seventh of the time waited, at least 1 and at most 30.
    :param timeout: how long to wait, in seconds or as a :class:`~datetime.timedelta`; 24 hours by
        default. Deferred, the task's ``execution_timeout`` counts, too.
    :param datafold_conn_id: id of the Airflow connection to Datafold, with the API key as its
        password.
    :return: ``{"id", "status", "result", "url", "diff_stats"}``, the same in every mode; it lands
        in XCom.
    :raises DatafoldDeadlineError: it had not ended after ``timeout``.
    :raises DatafoldError: as for the operator.
    """

    template_fields: Sequence[str] = (
        *DatafoldJobSensor.template_fields,
        "datadiff_id",
        *PASSING,
    )
    operator_extra_links = (DatafoldDataDiffLink(),)

    datadiff_id: int | str

    _gate: Gate
    _number: int | None = None
    """The data diff's id, once the arguments were checked."""

    def __init__(
        self,
        *,
        datadiff_id: int | str,
        on_difference: str = "fail",
        max_rows_added: int | str | None = None,
        max_rows_removed: int | str | None = None,
        max_rows_different: int | str | None = None,
        max_values_different: Mapping[str, int | str | None] | str | None = None,
        min_match_ratio: float | str | None = None,
        allow_schema_changes: bool | str = False,
        on_empty: str = "fail",
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
        return jobs.job.DATA_DIFF

    def check(self, hook: JobHook) -> None:
        """Check all arguments, before anything is sent."""
        # Not concealed: a column may have the name of a secret.
        limits = {name: getattr(self, name) for name in PASSING}
        self._gate, ids = hook.checked(
            lambda *_: (gate.decision.Gate(limits), self.ids()), self.datadiff_id, limits
        )
        self._number = ids["datadiff_id"]

    def ids(self) -> dict[str, Any]:
        """Return the data diff's id."""
        return {"datadiff_id": positive_integer("datadiff_id", self.datadiff_id)}

    def begin(self, hook: JobHook, context: Context) -> None:
        """Store the link to the data diff's page."""
        DatafoldDataDiffLink.persist(context, hook.data_diff_url(self.ids()["datadiff_id"]))

    def ended(
        self, hook: JobHook, context: Context, ids: Mapping[str, Any], reading: JobStatus
    ) -> dict[str, Any]:
        """Judge the data diff."""
        return self._gate.decide(hook, context, ids["datadiff_id"], reading)

    def gave_up(self, hook: JobHook, context: Context, error: Exception) -> None:
        """Tell that the data diff was not judged."""
        if self._number is not None:
            self._gate.give_up(hook, context, self._number, error)
        else:
            super().gave_up(hook, context, error)

"""Operators for data diffs: the gate after a load."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_datafold import jobs
from airflow_provider_datafold.api.fields import literal, undo_none
from airflow_provider_datafold.exceptions import DatafoldNotComparedError
from airflow_provider_datafold.jobs import gate, once
from airflow_provider_datafold.jobs.gate.arguments import COMPARED, PASSING
from airflow_provider_datafold.links import DatafoldDataDiffLink
from airflow_provider_datafold.operators.base import DatafoldOperator, store
from airflow_provider_datafold.operators.job import (
    DEFAULT_DEFERRABLE,
    DEFAULT_TIMEOUT,
    DatafoldJobOperator,
    seconds,
)
from airflow_provider_datafold.operators.names import TakesNames
from airflow_provider_datafold.operators.wait import Wait

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_datafold.api.operation import Request
    from airflow_provider_datafold.jobs.gate.decision import Gate
    from airflow_provider_datafold.jobs.hook import JobHook
    from airflow_provider_datafold.jobs.job import Job
    from airflow_provider_datafold.jobs.once.claim import Claim, Search
    from airflow_provider_datafold.jobs.watch import JobStatus

_LONGEST_LABEL = 200
_MAP_INDEX_TEMPLATE = "{{ task.map_label or 'gate ' ~ ti.map_index }}"
"""A query has no name, and may hold secrets."""


class DatafoldRunDataDiffOperator(TakesNames, DatafoldJobOperator):
    """Compare two tables, queries or files, and let the DAG go on only if they are equal enough.

    ``POST /api/v1/datadiffs`` of Datafold's API starts a data diff. The task waits for its end and
    judges the result. Each verdict comes from one data diff, and none is left running, even if a
    worker is killed or a response is lost.

    .. code-block:: python

        DatafoldRunDataDiffOperator(
            task_id="gate",
            data_source1_id=1,
            table1="DB.PUBLIC.ORDERS",
            data_source2_id=1,
            table2="DB.STAGING.ORDERS",
            pk_columns=["id"],
            max_rows_added=1000,
        )

    The first side is the current data, the second side is the new data: a row that only the second
    side has counts as added.

    :param data_source1_id: id or name of the first side's data source, e.g. ``7``, ``"7"`` or
        ``"snowflake prod"``. A name is looked up once a task, an id costs nothing.
    :param data_source2_id: id or name of the second side's data source.
    :param table1: path of the first table: a list of its parts, or a string with dots between them,
        e.g. ``"DB.SCHEMA.TABLE"``. In the string put a part that contains dots into double quotes
        or backticks. Pass exactly one of ``table1``, ``query1`` and ``options["file1"]``.
    :param table2: path of the second table.
    :param query1: SQL of the first side instead of a table.
    :param query2: SQL of the second side instead of a table.
    :param pk_columns: names of the columns that identify a row. Required unless
        ``options={"infer_pk": True}``, which works within one data source, and across two with a
        query on both sides.
    :param include_columns: names of the columns to compare; by default all.
    :param exclude_columns: names of columns not to compare.
    :param filter1: SQL condition for the rows of the first side, without ``WHERE``.
    :param filter2: SQL condition for the rows of the second side.
    :param tags: tags of the data diff. The operator adds one that identifies this run of the task.
    :param options: any other field of the data diff's creation, by the API's name, e.g.
        ``{"diff_tolerance": 0.01}``. With a sample no limit on a count of rows can be met.
    :param on_difference: what to do if the sides differ by more than the limits allow: ``"fail"``
        the task, ``"skip"`` it and its downstream tasks, ``"pass"`` with a warning, or ``"ask"``
        a person, who accepts or rejects the difference in Airflow's UI. Asking needs Airflow 3.1.
    :param max_rows_added: how many rows only the second side may have. Without any limit the sides
        must be identical. With at least one limit, the row limits that you do not pass are 0,
        unless you pass ``min_match_ratio``.
    :param max_rows_removed: how many rows only the first side may have.
    :param max_rows_different: how many rows may be on both sides with different values.
    :param max_values_different: the columns that may differ, and in how many rows, e.g.
        ``{"amount": 5, "loaded_at": None}``; ``None`` for any number. A column that is not named
        may not differ. It stands for ``max_rows_different``.
    :param min_match_ratio: the least ``match_ratio`` allowed, from 0 to 1. At least one row must be
        on both sides. Datafold does not publish whether that is a ratio of values or of rows.
    :param allow_schema_changes: whether columns may be added, removed or change their type. Across
        databases the schema is not judged.
    :param on_empty: what to do if neither side has rows: ``"fail"`` or ``"pass"``.
    :param approvers: who may answer with ``on_difference="ask"``: users of Airflow as its own
        ``HITLOperator`` takes them, e.g. ``[{"id": "7", "name": "ada"}]``. By default everyone who
        may answer tasks.
    :param approval_timeout: how long the task waits for an answer, in seconds or as a
        :class:`~datetime.timedelta`; 24 hours by default. Without one the difference is rejected.
    :param wait_for_completion: whether to wait for the end and to judge it. If not, the task ends
        as soon as the data diff has been started.
    :param deferrable: whether to wait in the triggerer, which takes no worker slot; by default as
        Airflow's ``[operators] default_deferrable`` says.
    :param poll_interval: time between two polls, in seconds or as a
        :class:`~datetime.timedelta`; by default 2 s at first, then a seventh of the time waited,
        at least 1 s and at most 30.
    :param timeout: how long the data diff may take, in seconds or as a
        :class:`~datetime.timedelta`; 24 hours by default. The task's ``execution_timeout`` counts,
        too.
    :param cancel_on_kill: whether to cancel the data diff when the task is stopped, when its time
        is over, and when waiting fails for good.
    :param datafold_conn_id: id of the Airflow connection to Datafold, with the API key as its
        password.
    :return: ``{"id", "status", "result", "url", "diff_stats"}``, the same in every mode; it lands
        in XCom. ``result`` and ``diff_stats`` are null if the task does not wait.
    :raises DatafoldDifferenceError: the sides differ by more than the limits allow, and no person
        who was asked accepted it.
    :raises DatafoldNotComparedError: there is nothing to judge: both sides are empty, primary keys
        are missing or not unique, Datafold did not measure a figure that has a limit, counted rows
        only in a sample, or contradicts itself.
    :raises DatafoldWaitingForPersonError: Datafold asks for a confirmation or a login.
    :raises DatafoldJobCancelledError: someone cancelled the data diff.
    :raises DatafoldDeadlineError: it took longer than ``timeout`` or ``execution_timeout``.
    :raises DatafoldJobInvalidError: it failed, and Datafold says that a retry will not help.
    :raises DatafoldJobFailedError: it failed; Airflow's retry starts a new one.
    :raises DatafoldError: see :class:`~airflow_provider_datafold.operators.base.DatafoldOperator`.
    """

    template_fields: Sequence[str] = (
        *DatafoldOperator.template_fields,
        *COMPARED,
        "options",
        *PASSING,
    )
    template_fields_renderers = {  # noqa: RUF012 - typed so by Airflow
        "query1": "sql",
        "query2": "sql",
        "filter1": "sql",
        "filter2": "sql",
        "options": "json",
    }
    operator_extra_links = (DatafoldDataDiffLink(),)

    table1: Sequence[str] | str | None
    table2: Sequence[str] | str | None
    options: Mapping[str, Any] | str | None
    approvers: Sequence[Mapping[str, str]] | Mapping[str, str]
    approval_timeout: float | timedelta

    _gate: Gate
    _request: Request
    _claim: Claim | None = None
    """To the data diff, from just before its creation on."""
    _compared: Mapping[str, Any] | None = None
    """The finished data diff, for OpenLineage."""

    def __init__(
        self,
        *,
        data_source1_id: int | str,
        data_source2_id: int | str,
        table1: Sequence[str] | str | None = None,
        table2: Sequence[str] | str | None = None,
        query1: str | None = None,
        query2: str | None = None,
        pk_columns: Sequence[str] | str | None = None,
        include_columns: Sequence[str] | str | None = None,
        exclude_columns: Sequence[str] | str | None = None,
        filter1: str | None = None,
        filter2: str | None = None,
        tags: Sequence[str] | str | None = None,
        options: Mapping[str, Any] | str | None = None,
        on_difference: str = "fail",
        max_rows_added: int | str | None = None,
        max_rows_removed: int | str | None = None,
        max_rows_different: int | str | None = None,
        max_values_different: Mapping[str, int | str | None] | str | None = None,
        min_match_ratio: float | str | None = None,
        allow_schema_changes: bool | str = False,
        on_empty: str = "fail",
        approvers: Sequence[Mapping[str, str]] | Mapping[str, str] = (),
        approval_timeout: float | timedelta = DEFAULT_TIMEOUT,
        wait_for_completion: bool = True,
        deferrable: bool = DEFAULT_DEFERRABLE,
        poll_interval: float | timedelta | None = None,
        timeout: float | timedelta = DEFAULT_TIMEOUT,
        cancel_on_kill: bool = True,
        datafold_conn_id: str = "datafold_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        _check_asking(on_difference)
        store(self, locals())

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Map the gate; Airflow's pages show each task's table unless the DAG says otherwise.

        :param kwargs: the arguments that all of the tasks have.
        """
        _check_asking(kwargs.get("on_difference"))
        partial = super().partial(**kwargs)
        if partial.kwargs.get("map_index_template") is None:
            partial.kwargs["map_index_template"] = _MAP_INDEX_TEMPLATE
        return partial

    @property
    def job(self) -> Job:
        """The kind of job."""
        return jobs.job.DATA_DIFF

    @property
    def map_label(self) -> str:
        """The path of the second table, or else of the first one; empty if there is none."""
        table = undo_none(self.table2) or undo_none(self.table1) or ""
        parts = literal(table)
        label = ".".join(map(str, parts)) if isinstance(parts, list | tuple) else str(table)
        # Airflow's database has room for 250 characters. With native rendering a label that is a
        # literal would be a number or a list, and Airflow would fail the task that has passed.
        label = label[:_LONGEST_LABEL].strip()
        return label if literal(label) is label else f"table {label}"

    def check(self, hook: JobHook) -> None:
        """Check all arguments, before anything is sent."""
        super().check(hook)
        sources = self.look_up(
            hook, jobs.identity.DATA_SOURCE, "data_source1_id", "data_source2_id"
        )
        # Not concealed: a column may have the name of a secret.
        limits = {name: getattr(self, name) for name in PASSING}
        names = (*COMPARED, "options")
        approval = gate.approval
        self._gate, self._request = hook.checked(
            lambda given, _: (
                gate.decision.Gate(
                    limits,
                    approval.Approval(
                        approval.users("approvers", self.approvers),
                        seconds("approval_timeout", self.approval_timeout),
                    ),
                ),
                jobs.data_diff.creation(given, given["options"]),
            ),
            {**{name: getattr(self, name) for name in names}, **sources},
            limits,
        )

    def claim(self, hook: JobHook, context: Context, *, force_new: bool = False) -> Wait:
        """Create the data diff, or take over the one that an earlier try created."""
        owner = once.ownership.owner_of(context, self._request.body)
        self._claim = claim = once.claim.Claim(owner)
        search = self._search(context, force_new)
        diff = claim.take(hook, self._request, search, may_cancel=self._may_cancel)
        url = hook.data_diff_url(diff["id"])
        DatafoldDataDiffLink.persist(context, url)
        verb = "Took over" if claim.is_taken_over else "Started"
        self.log.info("%s data diff %d: %s", verb, diff["id"], url)
        now = time.time()
        made = once.ownership.created_at(diff) if claim.is_taken_over else None
        return Wait(
            ids={"datadiff_id": diff["id"]},
            since=now if made is None else min(now, made.timestamp()),
            is_taken_over=claim.is_taken_over,
            tag=owner.tag,
            is_doubtful=claim.is_doubtful,
            answer=diff,
        )

    def recall(self, context: Context, wait: Wait) -> None:
        """Take up the claim to the data diff."""
        owner = once.ownership.owner_of(context, {})
        if wait.tag is not None:
            # It was handed over, because a clear may have come in between.
            owner = owner.tagged(wait.tag)
        number = wait.ids["datadiff_id"]
        self._claim = once.claim.Claim(owner, number, is_doubtful=wait.is_doubtful)

    def started(self, hook: JobHook, wait: Wait) -> dict[str, Any]:
        """Return the id and the address without waiting."""
        return gate.decision.summary(hook, wait.ids["datadiff_id"], wait.answer)

    def ended(
        self, hook: JobHook, context: Context, ids: Mapping[str, Any], reading: JobStatus
    ) -> dict[str, Any]:
        """Judge the data diff."""
        number, claim = ids["datadiff_id"], cast("Claim", self._claim)
        claim.end(hook, may_cancel=self._may_cancel)
        if claim.owner.is_excluded_by_tags(reading.answer):
            raise DatafoldNotComparedError(
                f"Data diff {number} has tags, but not this task's, so it is not certain that it "
                f"is what this task started: Datafold's answer may be about another one, or "
                f"someone has removed the tag. Clear the task to start a new data diff. See "
                f"{hook.data_diff_url(number)}"
            )
        if reading.has_succeeded:
            self._compared = reading.answer
        return self._gate.decide(hook, context, number, reading, self._request.body)

    def answered(self, context: Context, event: Any = None, **asked: Any) -> dict[str, Any]:
        """Continue after a person has answered, or nobody has in time."""
        return gate.approval.settle(context, event, self.log, **asked)

    def gave_up(self, hook: JobHook, context: Context, error: Exception) -> None:
        """Cancel the data diff if it may be running, and tell that it was not judged."""
        claim = self._claim
        if claim is None or claim.number is None:
            return
        if self._may_cancel:
            claim.cancel(hook)
        # A resumed task may have failed by its arguments, which are all checked together.
        if "_gate" in vars(self):
            self._gate.give_up(hook, context, claim.number, error, self._request.body)

    def cancel_after_stop(self, hook: JobHook, until: float) -> None:
        """Cancel the data diff, even if the response to its creation has not arrived yet."""
        if self._claim is not None:
            self._claim.cancel_after_stop(hook, until)

    def get_openlineage_facets_on_complete(
        self, task_instance: Any
    ) -> OperatorLineage[Any, Any] | None:
        """Return what was compared, and the result. Only Airflow's OpenLineage provider calls this.

        It also calls this if the task fails or is skipped.

        :param task_instance: the task instance.
        :return: both tables, with the limits as assertions about them; if neither side is a
            table, the limits as tests of the run. ``None`` unless the data diff was judged.
        """
        if self._compared is None or self._gate.verdict is None:
            return None
        with jobs.hook.JobHook(self.datafold_conn_id) as hook:
            return jobs.lineage.lineage_of(
                hook, self._compared, self._gate.verdict, self._gate.severity
            )

    def _search(self, context: Context, force_new: bool) -> Search:
        if force_new or context["ti"].try_number > 1:
            return once.claim.Search.FULL
        # Airflow may start the first try of a task that defers twice.
        may_be_twice = self.wait_for_completion and self.deferrable
        return once.claim.Search.BRIEF if may_be_twice else once.claim.Search.NOT


def _check_asking(on_difference: Any) -> None:
    """Refuse to ask where nobody can answer, when the DAG is parsed."""
    if on_difference == "ask":
        gate.approval.check_airflow()

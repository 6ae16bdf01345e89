"""The operator for whole schemas: their tables as data diffs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from inspect import signature
from typing import TYPE_CHECKING, Any

from airflow_provider_datafold import jobs
from airflow_provider_datafold.api import fields
from airflow_provider_datafold.api.fields import schema_path
from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.jobs import gate
from airflow_provider_datafold.jobs.gate.arguments import PASSING
from airflow_provider_datafold.operators.base import DatafoldOperator, check_map_length, store
from airflow_provider_datafold.operators.data_diffs import DatafoldRunDataDiffOperator
from airflow_provider_datafold.operators.names import TakesNames

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_datafold.jobs.hook import JobHook
    from airflow_provider_datafold.jobs.tables.plan import LeftOut, Wanted

_OWN = {
    *("data_source1_id", "data_source2_id", "table1", "table2", "query1", "query2", "pk_columns"),
    *("self", "kwargs", "datafold_conn_id"),
}
"""What this operator says of a gate, and so ``arguments`` may not."""


class DatafoldTablesOperator(TakesNames, DatafoldOperator):
    """Pair the tables of two schemas, find their keys, and return the arguments of a gate for each.

    .. code-block:: python

        tables = DatafoldTablesOperator(
            task_id="tables",
            data_source1_id="postgres prod",
            schema1="public",
            data_source2_id="snowflake prod",
            schema2="SHOP.PUBLIC",
        )
        DatafoldRunDataDiffOperator.partial(task_id="gate").expand_kwargs(tables.output)

    Tables are paired by their names: equal ones, then those that are equal if case is ignored.
    Views are left out. It starts no data diff. It pushes the XCom ``left_out``, a list of ``name``
    and ``reason`` of each table that gets no gate although it was selected, also if the task fails.

    :param data_source1_id: id or name of the first side's data source.
    :param schema1: path of the first side's schema as it is spelled there: a list of its parts, or
        a string with dots between them, e.g. ``"DB.PUBLIC"``.
    :param data_source2_id: id or name of the second side's data source.
    :param schema2: path of the second side's schema.
    :param include: names of tables or patterns such as ``"dim_*"``, case ignored; by default all.
    :param exclude: names or patterns of tables to leave out.
    :param primary_keys: the columns that identify a row, by table, e.g. ``{"orders": ["id"]}``.
        Datafold guesses the other tables' keys from their data.
    :param missing_pk: what to do about tables without a key: ``"fail"`` before any gate starts, or
        ``"skip"`` them.
    :param one_sided: the same for tables that only one side has.
    :param query1: SQL that lists the first side's tables, with their names in the first column;
        needed for types of data source without ``INFORMATION_SCHEMA``, such as Oracle.
    :param query2: the same for the second side.
    :param arguments: further arguments of the gates, by table, and for all tables under ``"*"``,
        e.g. ``{"*": {"on_difference": "pass"}, "orders": {"max_rows_added": 10}}``.
    :param datafold_conn_id: id of the Airflow connection to Datafold, with the API key as its
        password.
    :return: a list of dictionaries, one for each pair, sorted by name: arguments of
        :class:`~airflow_provider_datafold.operators.data_diffs.DatafoldRunDataDiffOperator`; it
        lands in XCom.
    :raises DatafoldInputError: a parameter is wrong, no table is on both sides, or there are more
        than Airflow maps; with ``"fail"``, a table is on one side only, or has no key.
    :raises DatafoldAnswerError: Datafold cut the list of tables.
    :raises DatafoldError: see :class:`~airflow_provider_datafold.operators.base.DatafoldOperator`.
    """

    template_fields: Sequence[str] = (
        *DatafoldOperator.template_fields,
        "data_source1_id",
        "schema1",
        "data_source2_id",
        "schema2",
        "include",
        "exclude",
        "primary_keys",
        "missing_pk",
        "one_sided",
        "query1",
        "query2",
        "arguments",
    )
    template_fields_renderers = {  # noqa: RUF012 - typed so by Airflow
        "primary_keys": "json",
        "query1": "sql",
        "query2": "sql",
        "arguments": "json",
    }

    primary_keys: Mapping[str, Sequence[str]] | str | None
    arguments: Mapping[str, Mapping[str, Any]] | str | None
    _left_out: list[LeftOut]

    def __init__(
        self,
        *,
        data_source1_id: int | str,
        schema1: Sequence[str] | str,
        data_source2_id: int | str,
        schema2: Sequence[str] | str,
        include: Sequence[str] | str | None = None,
        exclude: Sequence[str] | str | None = None,
        primary_keys: Mapping[str, Sequence[str]] | str | None = None,
        missing_pk: str = "fail",
        one_sided: str = "fail",
        query1: str | None = None,
        query2: str | None = None,
        arguments: Mapping[str, Mapping[str, Any]] | str | None = None,
        datafold_conn_id: str = "datafold_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        store(self, locals())

    def execute(self, context: Context) -> Any:
        """Return the arguments of the gates, and push what is left out.

        :param context: Airflow's task context.
        :return: a list of dictionaries; it lands in XCom.
        """
        left_out = self._left_out = []
        try:
            return super().execute(context)
        finally:
            context["ti"].xcom_push(key="left_out", value=left_out)

    def call(self, hook: JobHook) -> list[dict[str, Any]]:
        """Pair the tables and find their keys."""
        wanted = self._wanted(hook)
        one, other = (side.place for side in wanted.sides)
        check_count = partial(check_map_length, "include", "tables")
        gates = jobs.tables.plan.plan_gates(hook, wanted, self._left_out, check_count)
        self.log.info("Comparing %d tables of %s with %s.", len(gates), one, other)
        for each in self._left_out:
            self.log.warning("Left out: %(name)s, %(reason)s.", each)
        return gates

    def _wanted(self, hook: JobHook) -> Wanted:
        """Check all arguments, and look up the data sources."""
        given = self.checked(
            hook,
            schema1=schema_path,
            schema2=schema_path,
            query1=fields.optional(fields.name),
            query2=fields.optional(fields.name),
            include=fields.optional(fields.texts),
            exclude=fields.optional(fields.texts),
            missing_pk=fields.one_of("fail", "skip"),
            one_sided=fields.one_of("fail", "skip"),
        )
        ids = self.look_up(hook, jobs.identity.DATA_SOURCE, "data_source1_id", "data_source2_id")
        # Not concealed: a table may have the name of a secret.
        keys, arguments = self.primary_keys, self.arguments
        given |= hook.checked(lambda *_: _by_table(ids, keys, arguments), keys, arguments)
        sides = [
            jobs.tables.listing.Side(
                number,
                ids[f"data_source{number}_id"],
                given.pop(f"schema{number}"),
                given.pop(f"query{number}"),
            )
            for number in (1, 2)
        ]
        if sides[0].path == sides[1].path:
            raise DatafoldInputError(
                f"schema2: both sides are {sides[0].place}, so each table would be compared with "
                f"itself. Nothing was started."
            )
        return jobs.tables.plan.Wanted(sides, **given)


def _by_table(ids: Mapping[str, int], keys: Any, arguments: Any) -> dict[str, Any]:
    """Check what is given for single tables."""
    defaults = {
        name: each.default
        for name, each in signature(DatafoldRunDataDiffOperator).parameters.items()
        if name not in _OWN
    }
    side = {"table1": "a", "table2": "b", "query1": None, "query2": None, "pk_columns": ["id"]}

    def check(more: Mapping[str, Any]) -> None:
        given = {**defaults, **ids, **side, **more}
        gate.decision.Gate({name: given[name] for name in PASSING}, gate.approval.Approval())
        jobs.data_diff.creation(given, given["options"])

    read = jobs.tables.arguments
    return {
        "primary_keys": read.read_keys("primary_keys", keys),
        "arguments": read.read_arguments("arguments", arguments, [*defaults], check),
    }

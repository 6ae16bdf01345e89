"""What a gate reports to OpenLineage. tests/lineage uses OpenLineage's own provider."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_datafold.jobs.gate.figures import Figures
from airflow_provider_datafold.jobs.gate.limits import Limits
from airflow_provider_datafold.jobs.gate.verdict import judge
from dev.sandbox import data_diffs
from dev.sandbox.course import Job

pytest.importorskip("airflow.providers.openlineage", reason="OpenLineage's provider is missing")

from airflow_provider_datafold.jobs.hook import JobHook
from airflow_provider_datafold.jobs.lineage import lineage_of, test_run

BODY: dict[str, Any] = {
    "data_source1_id": 1,
    "data_source2_id": 2,
    "table1": ["PUBLIC", "ORDERS"],
    "table2": ["DB", "PUBLIC", "ORDERS"],
    "pk_columns": ["id"],
}
LAKE = ("snowflake://lake", "DB.PUBLIC.ORDERS")


@pytest.fixture(autouse=True)
def _connected(connections: None) -> None:
    """All of these send to the sandbox."""


def told(sandbox: Any, body: Any = BODY, **seen: Any) -> Any:
    """The lineage of a data diff that is done and differs in one column."""
    diff = sandbox.state.data_diffs.add({**body, "tags": []}, Job(data_diffs.IDENTICAL))
    stats = {"diff_rows_count": 3, "table_a_row_count": 9}
    done = {**diff, "status": "done", "result": "different", "diff_stats": stats, **seen}
    columns = [{"column_name": "amount", "values_different": 3}]
    values = {"columns_with_differences": 1, "columns_diff_stats": columns}
    figures = Figures(done, {"status": "done", "values": values}, BODY)
    verdict = judge(figures, Limits(max_values_different={"amount": 2}))
    with JobHook() as hook:
        return lineage_of(hook, done, verdict, "error")


def tables(lineage: Any) -> list[tuple[str, str]]:
    return [(found.namespace, found.name) for found in lineage.inputs]


@pytest.mark.parametrize(
    ("kind", "options", "path", "dataset"),
    [
        ("pg", {"host": "h", "port": 1, "dbname": "d"}, "s.t", ("postgres://h:1", "d.s.t")),
        ("mysql", {"host": "h", "db": "d"}, "a.s.t", ("mysql://h", "a.s.t")),
        ("mysql", {"host": "h", "db": "d"}, "t", ("mysql://h", "t")),
        ("mysql", {"host": "h", "db": "d"}, "s.t", ("mysql://h", "d.s.t")),
        ("mysql", {"host": "h"}, "s.t", ("mysql://h", "s.t")),
        ("bigquery", {"projectId": "p"}, "s.t", ("bigquery", "p.s.t")),
        ("snowflake", {"account": "a", "default_db": "d"}, "s.t", ("snowflake://a", "d.s.t")),
        ("databricks", None, "s.t", ("datafold://{host}/1", "s.t")),
        (None, {"host": "h"}, "s.t", ("datafold://{host}/1", "s.t")),
        *(
            (kind, {"host": "h", "database": "d"}, "s.t", (f"{scheme}://h", "d.s.t"))
            for kind, scheme in (
                ("azure_synapse", "mssql"),
                ("mariadb", "mysql"),
                ("microsoft_fabric", "mssql"),
                ("postgres_aurora", "postgres"),
                ("postgres_aws_rds", "postgres"),
                ("redshift", "redshift"),
                ("starburst", "trino"),
            )
        ),
    ],
)
def test_names_a_table_as_openlineage_does(
    kind: Any, options: Any, path: str, dataset: tuple[str, str], sandbox: Any
) -> None:
    sandbox.state.data_sources.sources[1] |= {"type": kind, "options": options}
    namespace, name = dataset
    host = sandbox.url.removeprefix("http://")
    expected = (namespace.format(host=host), name)
    assert tables(told(sandbox, {**BODY, "table1": path.split(".")})) == [expected, LAKE]


def test_a_table_that_is_compared_with_itself_is_told_once(sandbox: Any) -> None:
    body = {**BODY, "data_source1_id": 2, "table1": BODY["table2"]}
    before = len(sandbox.state.requests)
    assert tables(told(sandbox, body)) == [LAKE]
    assert len(sandbox.state.requests) == before + 1


def test_a_data_source_that_cannot_be_looked_up_is_named_by_its_id(sandbox: Any, log: Any) -> None:
    del sandbox.state.data_sources.sources[1]
    lineage = told(sandbox, data_source1_id=7)
    host = sandbox.url.removeprefix("http://")
    assert tables(lineage) == [(f"datafold://{host}/7", "PUBLIC.ORDERS"), LAKE]
    (warning,) = log.warnings
    assert warning.startswith("Could not look up a data source for lineage: 404, ")


IN_WORDS = "values_different <= 2 in 'amount'"
FIELDS = {"expected": "<= 2 in 'amount'", "actual": "3", "severity": "error"}


def has(told: Any, fields: dict[str, Any]) -> bool:
    """Whether all fields that the installed client has say this."""
    return all(getattr(told, name, value) == value for name, value in fields.items())


def test_tells_the_limits_and_counts_of_each_table(sandbox: Any) -> None:
    lineage = told(sandbox)
    for table in lineage.inputs:
        each = table.inputFacets["dataQualityAssertions"].assertions
        (column,) = (one for one in each if one.assertion == IN_WORDS)
        assert not column.success
        assert has(column, {**FIELDS, "name": "values_different", "column": "amount"})
    first, second = (table.inputFacets.get("dataQualityMetrics") for table in lineage.inputs)
    assert (first.rowCount, second) == (9, None)
    assert "test" not in lineage.run_facets


def test_queries_are_no_datasets_so_their_limits_are_tests_of_the_run(sandbox: Any) -> None:
    lineage = told(sandbox, table1=None, table2=None)
    assert lineage.inputs == []
    if test_run is None:
        assert set(lineage.run_facets) == {"externalQuery"}
        return
    (column,) = (one for one in lineage.run_facets["test"].tests if one.name == IN_WORDS)
    assert has(column, {**FIELDS, "status": "fail", "type": "values_different"})

"""What a gate reports to OpenLineage. tests/lineage uses OpenLineage's own provider."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_datafold.operators.data_diffs import DatafoldRunDataDiffOperator
from dev.sandbox import data_diffs
from dev.sandbox.course import Job
from tests.contexts import context_of

pytest.importorskip("airflow.providers.openlineage", reason="OpenLineage's provider is missing")

from airflow_provider_datafold.jobs.hook import JobHook
from airflow_provider_datafold.jobs.lineage import lineage_of

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
    """The lineage of a data diff that is done and has more than one added row."""
    diff = sandbox.state.data_diffs.add({**body, "tags": []}, Job(data_diffs.IDENTICAL))
    done = {**diff, "status": "done", "result": "identical", "diff_stats": {}, **seen}
    with JobHook() as hook:
        return lineage_of(hook, done, [("rows_added <= 1", False)])


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


def test_a_query_is_no_dataset(sandbox: Any) -> None:
    assert tables(told(sandbox, table1=None, query1="select 1")) == [LAKE]


def test_a_data_source_that_cannot_be_looked_up_is_named_by_its_id(sandbox: Any, log: Any) -> None:
    del sandbox.state.data_sources.sources[1]
    lineage = told(sandbox, data_source1_id=7)
    host = sandbox.url.removeprefix("http://")
    assert tables(lineage) == [(f"datafold://{host}/7", "PUBLIC.ORDERS"), LAKE]
    (warning,) = log.warnings
    assert warning.startswith("Could not look up a data source for lineage: 404, ")


def test_tells_the_limits_and_the_page(sandbox: Any) -> None:
    lineage = told(sandbox)
    for table in lineage.inputs:
        quality = table.inputFacets["dataQualityAssertions"]
        found = {each.assertion: each.success for each in quality.assertions}
        assert found == {"rows_added <= 1": False}
    query = lineage.run_facets["externalQuery"]
    assert query.source == f"{sandbox.url}/datadiffs/{query.externalQueryId}/overview"


def test_a_gate_tells_nothing_before_it_has_compared(sandbox: Any) -> None:
    gate = DatafoldRunDataDiffOperator(
        task_id="gate", **{**BODY, "poll_interval": 0.01, "deferrable": False}
    )
    assert gate.get_openlineage_facets_on_complete(None) is None
    gate.execute(context_of(gate))
    told_of = gate.get_openlineage_facets_on_complete(None)
    assert told_of is not None
    assert tables(told_of) == [
        ("postgres://warehouse.example.com:5432", "warehouse.PUBLIC.ORDERS"),
        LAKE,
    ]

"""Whole schemas and names, in a real Airflow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.dags.test_gate_recipes import created, source, states

pytestmark = [pytest.mark.airflow, pytest.mark.usefixtures("connections")]

ROWS = "select 1 as id, 'a' as name union all select 2, 'b'"
LINES = "select 1 as order_id, 1 as line union all select 1, 2"
KEYLESS = "select 1 as a union all select 1"
TABLES = {"orders": ROWS, "events": ROWS, "order_lines": LINES, "tmp_x": ROWS, "log": KEYLESS}
MAPPED = """
from datetime import datetime

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_datafold.operators.data_diffs import DatafoldRunDataDiffOperator
from airflow_provider_datafold.operators.tables import DatafoldTablesOperator

with DAG(
    "names",
    schedule=None,
    start_date=datetime(2024, 1, 1),
    default_args={"retries": 0},
    params={"source": "lake", "month": "2024_01"},
    render_template_as_native_obj=True,
) as dag:
"""


def write(file: Path, tables: dict[str, str], schema: str = "shop") -> str:
    with duckdb.connect(str(file)) as database:
        database.execute(f'create schema if not exists "{schema}"')
        for name, rows in tables.items():
            database.execute(f'create or replace table "{schema}"."{name}" as {rows}')
    return str(file)


@pytest.fixture
def warehouses(sandbox: Any, tmp_path: Path) -> Path:
    """The data sources have a database each, with the same tables."""
    for number in (1, 2):
        address = write(tmp_path / f"{number}.duckdb", TABLES)
        sandbox.state.data_sources.connect(number, address)
    return tmp_path


def test_a_whole_schema_and_one_message(
    run_dag: Any, sandbox: Any, warehouses: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write(warehouses / "2.duckdb", {"orders": f"{ROWS} union all select 3, 'c'"})
    run = run_dag(source("whole_schema"), "datafold_whole_schema")

    assert run.state == "failed"
    printed = capfd.readouterr()
    said = printed.out + printed.err
    assert "To the channel: 2 of 3 passed, 1 did not; 1 was left out." in said
    assert {body["table1"][1]: body["pk_columns"] for body in created(sandbox)} == {
        "events": ["id"],
        "order_lines": ["order_id", "line"],
        "orders": ["id"],
    }
    assert all(body["data_source2_id"] == 2 for body in created(sandbox))


def test_a_schema_that_is_the_same_sends_no_message(
    run_dag: Any, sandbox: Any, warehouses: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = run_dag(source("whole_schema"), "datafold_whole_schema")
    assert run.state == "success"
    assert "To the channel" not in "".join(capfd.readouterr())


def test_a_table_on_one_side_stops_the_dag(run_dag: Any, sandbox: Any, warehouses: Path) -> None:
    write(warehouses / "2.duckdb", {"new_one": ROWS})
    run = run_dag(source("whole_schema"), "datafold_whole_schema")
    assert states(run) == {"tables": "failed", "gate": "upstream_failed", "summarize": "failed"}
    left_out = run.get_task_instance("tables").xcom_pull("tables", key="left_out")
    assert left_out == [{"name": "new_one", "reason": "only on side 2, shop of data source 2"}]
    assert created(sandbox) == []


# A name that would be another one as a Python literal.
ODD = ("2024_01", "1.50", "1e5", "[1]", "'x'", "0b1")


def test_native_rendering_leaves_names_alone(run_dag: Any, sandbox: Any, tmp_path: Path) -> None:
    odd = dict.fromkeys(ODD, 'select 1 as "2024_01"')
    for number in (1, 2):
        address = write(tmp_path / f"{number}.duckdb", odd, "1_0")
        sandbox.state.data_sources.connect(number, address)
    tasks = """
    tables = DatafoldTablesOperator(
        task_id="tables",
        data_source1_id="Warehouse",
        schema1="1_0",
        data_source2_id="{{ params.source }}",
        schema2=["1_0"],
        primary_keys={"1.50": ["2024_01"]},
    )
    DatafoldRunDataDiffOperator.partial(task_id="gate").expand_kwargs(tables.output)
    DatafoldRunDataDiffOperator(
        task_id="direct",
        data_source1_id=1,
        table1=["1_0", "2024_01"],
        data_source2_id=2,
        table2='"1_0"."1.50"',
        pk_columns=["2024_01"],
        include_columns=["2024_01"],
    )
    """
    run = run_dag(MAPPED + tasks, "names")

    assert run.state == "success"
    bodies = {tuple(each["table1"]): each for each in created(sandbox)}
    assert {name for _, name in bodies} == {*ODD}
    assert all(each["pk_columns"] == ["2024_01"] for each in bodies.values())
    direct = next(each for each in created(sandbox) if each.get("include_columns"))
    assert direct["table1"] == ["1_0", "2024_01"]
    assert direct["table2"] == ["1_0", "1.50"]
    assert direct["include_columns"] == ["2024_01"]


def test_what_a_template_made_a_number_of_is_refused(run_dag: Any, sandbox: Any) -> None:
    tasks = """
    DatafoldRunDataDiffOperator(
        task_id="gate",
        data_source1_id=1,
        table1=["S", "{{ params.month }}"],
        data_source2_id=1,
        table2=["S", "T"],
        pk_columns=["id"],
    )
    """
    assert states(run_dag(MAPPED + tasks, "names")) == {"gate": "failed"}
    assert json.dumps(created(sandbox)) == "[]"

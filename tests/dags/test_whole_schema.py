"""Whole schemas and names, in a real Airflow."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dev.sandbox import data_diffs
from tests import documents
from tests.conftest import ROOT
from tests.dags.test_gate_recipes import created, source, states

pytestmark = [pytest.mark.airflow, pytest.mark.usefixtures("connections")]

ROWS = "select 1 as id, 'a' as name union all select 2, 'b'"
LINES = "select 1 as order_id, 1 as line union all select 1, 2"
KEYLESS = "select 1 as a union all select 1"
TABLES = {"orders": ROWS, "events": ROWS, "order_lines": LINES, "tmp_x": ROWS, "log": KEYLESS}
PAGE = ROOT / "docs" / "schemas.md"
GATES = """
    from airflow_provider_datafold.operators.data_diffs import DatafoldRunDataDiffOperator
    gate = DatafoldRunDataDiffOperator.partial(
        task_id="gate", poll_interval=0.01
    ).expand_kwargs(tables.output)
"""
PLAIN = """
    from airflow_provider_datafold.operators.tables import DatafoldTablesOperator
    tables = DatafoldTablesOperator(
        task_id="tables",
        data_source1_id=1,
        schema1="shop",
        data_source2_id=2,
        schema2="shop",
        include=["orders", "events"],
    )
"""
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


def test_a_name_from_a_template_is_not_made_a_number(run_dag: Any, sandbox: Any) -> None:
    tasks = """
    DatafoldRunDataDiffOperator(
        task_id="gate",
        data_source1_id=1,
        table1=["S", "{{ params.month }}"],
        data_source2_id=1,
        table2=["S", "{{ ds_nodash }}"],
        pk_columns=["id"],
    )
    """
    assert states(run_dag(MAPPED + tasks, "names")) == {"gate": "success"}
    (body,) = created(sandbox)
    assert body["table1"] == ["S", "2024_01"]
    assert body["table2"][1].isdecimal()


# The snippets of docs/schemas.md.


def recipe(heading: str) -> str:
    (snippet,) = documents.blocks_in(documents.section(PAGE, heading), "python")
    return textwrap.indent(snippet, "    ")


FAILED = ("gate", "failed")


def test_the_first_dag(run_dag: Any, sandbox: Any, tmp_path: Path) -> None:
    script = documents.blocks(PAGE, "bash")[0].split("'")[1]
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, timeout=60)
    for number, name in ((1, "old"), (2, "new")):
        sandbox.state.data_sources.connect(number, tmp_path / f"{name}.duckdb")
    run = run_dag(documents.blocks(PAGE, "python")[0], "whole_schema")
    assert run.state == "failed"
    text = run.get_task_instance("summarize").xcom_pull("summarize", key="text")
    # Which gate is the first one, and has the lower id, is Airflow's choice.
    (gate,) = (each for each in run.get_task_instances() if (each.task_id, each.state) == FAILED)
    verdict = gate.xcom_pull("gate", key="verdict", map_indexes=gate.map_index)
    page = documents.blocks(PAGE, "text")[0].replace("datadiffs/4/", f"datadiffs/{verdict['id']}/")
    # The host differs, and so the width of its column.
    shown, sent = (re.sub(r"https?://[^/]*|[ -]+", " ", each).split() for each in (page, text))
    assert sent == shown


def test_a_query_for_a_type_without_sql(run_dag: Any, sandbox: Any) -> None:
    snippet = recipe("Which tables").replace("oracle prod", "Warehouse")
    snippet = snippet.replace("snowflake prod", "Lake")
    sandbox.state.data_sources.sources[1]["type"] = "oracle"
    rows = {"rows": [{"name": "orders"}]}
    names = "SELECT table_name FROM all_tables WHERE owner = 'SHOP'"
    sandbox.state.data_sources.answers[names] = rows
    task = MAPPED + snippet.replace('"SHOP_DB.PUBLIC",', f'"SHOP_DB.PUBLIC", query2="{names}",')
    run = run_dag(task, "names")
    assert run.state == "success"
    (found,) = run.get_task_instance("tables").xcom_pull("tables")
    assert (found["table1"], found["table2"]) == (
        ["SHOP", "orders"],
        ["SHOP_DB", "PUBLIC", "orders"],
    )


def test_a_live_replica(run_dag: Any, sandbox: Any, tmp_path: Path) -> None:
    old = "select 1 as id, timestamp '2020-01-01' as updated_at"
    # The second side lags behind.
    new = f"{old} union all select 2, timestamp '2999-01-01'"
    for number, rows in enumerate((new, old), 1):
        tables = {"orders": rows, "countries": "select 1 as id"}
        address = write(tmp_path / f"{number}.duckdb", tables)
        sandbox.state.data_sources.connect(number, address)

    run = run_dag(
        MAPPED.replace("native_obj=True", "native_obj=False") + recipe("A live replica") + GATES,
        "names",
    )

    assert run.state == "success"
    bodies = {each["table1"][1]: each for each in created(sandbox)}
    assert bodies["orders"]["filter1"] == bodies["orders"]["filter2"]
    assert bodies["orders"]["filter1"].startswith("updated_at < '20")
    assert "filter1" not in bodies["countries"]


def test_a_migration_wave(run_dag: Any, sandbox: Any, tmp_path: Path) -> None:
    for number, name in ((1, "a"), (2, "b")):
        rows = f"select 1 as id, '{name}' as name, now() as loaded_at"
        same = "select 1 as id, now() as loaded_at"
        tables = {"orders": rows, "dim_day": same, "DIM_place": same, "later": rows}
        sandbox.state.data_sources.connect(number, write(tmp_path / f"{number}.duckdb", tables))

    run = run_dag(
        MAPPED.replace("native_obj=True", "native_obj=False") + recipe("A migration wave") + GATES,
        "names",
    )

    assert run.state == "success"
    assert {each["table1"][1] for each in created(sandbox)} == {"orders", "dim_day", "DIM_place"}


def test_which_rows_differ(
    run_dag: Any, sandbox: Any, warehouses: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write(warehouses / "2.duckdb", {"orders": f"{ROWS} union all select 3, 'c'"})
    # Datafold writes the rows that differ into a table, which the sandbox does not do.
    write(warehouses / "1.duckdb", {"diff_3": "select 3 as id, 'planted-row' as name"}, "tmp")
    written = {"data_source_id": 1, "path": ["tmp", "diff_3"], "is_sampled": False}
    results = data_diffs.results

    def materialized(diff: Any, job: Any) -> Any:
        return {
            **results(diff, job),
            "materialized_results": {"exclusives": [written], "diff": None},
        }

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data_diffs, "results", materialized)
        run = run_dag(
            MAPPED.replace("native_obj=True", "native_obj=False")
            + PLAIN
            + GATES
            + recipe("Which rows differ"),
            "names",
        )

    assert states(run)["show_rows"] == "success"
    assert "exclusives [{'id': 3, 'name': 'planted-row'}]" in "".join(capfd.readouterr())
    assert not run.get_task_instance("show_rows").xcom_pull("show_rows")


def test_results_over_time(
    run_dag: Any, sandbox: Any, warehouses: Path, connect: Any, tmp_path: Path
) -> None:
    connect("warehouse_default", conn_type="sqlite", host=str(tmp_path / "results.db"))
    with closing(sqlite3.connect(tmp_path / "results.db")) as database:
        database.execute("create table diff_results (run_id, name, outcome, reason)")
        summary = """
    from airflow_provider_datafold.operators.summary import DatafoldSummarizeOperator
    summarize = DatafoldSummarizeOperator(task_id="summarize", task_ids=["tables", "gate"])
    [tables, gate] >> summarize
"""
        run = run_dag(
            MAPPED.replace("native_obj=True", "native_obj=False")
            + PLAIN
            + GATES
            + summary
            + recipe("Results over time"),
            "names",
        )
        assert run.state == "success"
        found = database.execute("select name, outcome from diff_results order by 1").fetchall()
    assert [outcome for _, outcome in found] == ["passes", "passes"]

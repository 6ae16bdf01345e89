"""Whole schemas and names, in a real Airflow."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dev.sandbox import data_diffs
from tests import documents
from tests.conftest import ROOT
from tests.dags.runs import example

pytestmark = [pytest.mark.airflow, pytest.mark.usefixtures("connections")]

ROWS = "select 1 as id, 'a' as name union all select 2, 'b'"
LINES = "select 1 as order_id, 1 as line union all select 1, 2"
KEYLESS = "select 1 as a union all select 1"
TABLES = {"orders": ROWS, "events": ROWS, "order_lines": LINES, "tmp_x": ROWS, "log": KEYLESS}
NEW_ROW = {"orders": f"{ROWS} union all select 3, 'c'"}
PAGE = ROOT / "docs" / "schemas.md"


def write(file: Path, tables: dict[str, str], schema: str = "shop") -> str:
    with duckdb.connect(str(file)) as database:
        database.execute(f'create schema if not exists "{schema}"')
        for name, rows in tables.items():
            database.execute(f'create or replace table "{schema}"."{name}" as {rows}')
    return str(file)


@pytest.fixture
def fill(sandbox: Any, tmp_path: Path) -> Any:
    """Write a database for each data source."""

    def filled(*databases: dict[str, str], schema: str = "shop") -> None:
        for number, tables in enumerate(databases, 1):
            address = write(tmp_path / f"{number}.duckdb", tables, schema)
            sandbox.state.data_sources.connect(number, address)

    return filled


def test_a_whole_schema_and_one_message(
    run_file: Any, fill: Any, created: Any, printed: Any
) -> None:
    source, dag_id = example("whole_schema"), "datafold_whole_schema"
    fill(TABLES, TABLES)
    assert run_file(source, dag_id).state == "success"
    assert "To the channel" not in printed()
    assert {body["table1"][1]: body["pk_columns"] for body in created()} == {
        "events": ["id"],
        "order_lines": ["order_id", "line"],
        "orders": ["id"],
    }
    assert all(body["data_source2_id"] == 2 for body in created())

    fill(TABLES, NEW_ROW)
    assert run_file(source, dag_id).state == "failed"
    assert "To the channel: 2 of 3 passed, 1 did not; 1 was left out." in printed()

    fill(TABLES, {"new_one": ROWS})
    before = len(created())
    run = run_file(source, dag_id)
    assert run.states == {"tables": "failed", "gate": "upstream_failed", "summarize": "failed"}
    left_out = [{"name": "new_one", "reason": "only on side 2, shop of data source 2"}]
    assert run.xcom("tables", "left_out") == left_out
    assert len(created()) == before


# A name that would be another one as a Python literal.
ODD = ("2024_01", "1.50", "1e5", "[1]", "'x'", "0b1")


def test_native_rendering_leaves_names_alone(run_tasks: Any, fill: Any, created: Any) -> None:
    odd = dict.fromkeys(ODD, 'select 1 as "2024_01"')
    fill(odd, odd, schema="1_0")
    tasks = """
    tables = DatafoldTablesOperator(
        task_id="tables",
        data_source1_id="Warehouse",
        schema1="1_0",
        data_source2_id="{{ params.source }}",
        schema2=["1_0"],
        primary_keys={"1.50": ["2024_01"]},
    )
    Gate.partial(task_id="gate").expand_kwargs(tables.output)
    Gate(
        task_id="direct",
        data_source1_id=1,
        table1=["1_0", "{{ params.month }}"],
        data_source2_id=2,
        table2='"1_0"."1.50"',
        pk_columns=["2024_01"],
        include_columns=["2024_01"],
    )
    """
    run = run_tasks(tasks, {"source": "lake", "month": "2024_01"}, native=True)

    assert run.state == "success"
    assert {tuple(each["table1"]) for each in created()} == {("1_0", name) for name in ODD}
    assert all(each["pk_columns"] == ["2024_01"] for each in created())
    (direct,) = (each for each in created() if each.get("include_columns"))
    assert direct["table1"] == ["1_0", "2024_01"]
    assert direct["table2"] == ["1_0", "1.50"]
    assert direct["include_columns"] == ["2024_01"]


# The snippets of docs/schemas.md.

GATES = """
gate = Gate.partial(task_id="gate", poll_interval=0.01).expand_kwargs(tables.output)
summarize = DatafoldSummarizeOperator(task_id="summarize", task_ids=["tables", "gate"])
[tables, gate] >> summarize
"""
PLAIN = """
tables = DatafoldTablesOperator(
    task_id="tables",
    data_source1_id=1,
    schema1="shop",
    data_source2_id=2,
    schema2="shop",
    include=["orders", "events"],
)
"""


def recipe(heading: str) -> str:
    (snippet,) = documents.blocks_in(documents.section(PAGE, heading), "python")
    return snippet


def test_the_first_dag(run_file: Any, sandbox: Any, tmp_path: Path) -> None:
    script = documents.blocks(PAGE, "bash")[0].split("'")[1]
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, timeout=60)
    for number, name in ((1, "old"), (2, "new")):
        sandbox.state.data_sources.connect(number, tmp_path / f"{name}.duckdb")
    run = run_file(documents.blocks(PAGE, "python")[0], "whole_schema")
    assert run.state == "failed"
    # Which gate is the first one, and has the lower id, is Airflow's choice.
    number = run.xcom("main.orders", "verdict")["id"]
    page = documents.blocks(PAGE, "text")[0].replace("datadiffs/4/", f"datadiffs/{number}/")
    # The host differs, and so the width of its column.
    shown, sent = (
        re.sub(r"https?://[^/]*|[ -]+", " ", each).split()
        for each in (page, run.xcom("summarize", "text"))
    )
    assert sent == shown


def test_a_query_for_a_type_without_sql(run_tasks: Any, sandbox: Any) -> None:
    snippet = recipe("Which tables").replace("oracle prod", "Warehouse")
    snippet = snippet.replace("snowflake prod", "Lake")
    names = "SELECT table_name FROM all_tables WHERE owner = 'SHOP'"
    snippet = snippet.replace('"SHOP_DB.PUBLIC",', f'"SHOP_DB.PUBLIC", query2="{names}",')
    sandbox.state.data_sources.sources[1]["type"] = "oracle"
    sandbox.state.data_sources.answers[names] = {"rows": [{"name": "orders"}]}
    run = run_tasks(snippet)
    assert run.state == "success"
    (found,) = run.xcom("tables")
    assert found["table1"] == ["SHOP", "orders"]
    assert found["table2"] == ["SHOP_DB", "PUBLIC", "orders"]


def test_a_live_replica(run_tasks: Any, fill: Any, created: Any) -> None:
    old = {
        "orders": "select 1 as id, timestamp '2020-01-01' as updated_at",
        "countries": "select 1 as id",
    }
    # The second side lags behind.
    new = {**old, "orders": f"{old['orders']} union all select 2, timestamp '2999-01-01'"}
    fill(new, old)

    assert run_tasks(recipe("A live replica") + GATES).state == "success"

    bodies = {each["table1"][1]: each for each in created()}
    assert bodies["orders"]["filter1"] == bodies["orders"]["filter2"]
    assert bodies["orders"]["filter1"].startswith("updated_at < '20")
    assert "filter1" not in bodies["countries"]


def test_a_migration_wave(run_tasks: Any, fill: Any, created: Any) -> None:
    same = "select 1 as id, now() as loaded_at"
    first, second = (f"select 1 as id, '{name}' as name, now() as loaded_at" for name in "ab")
    days = {"dim_day": same, "DIM_place": same}
    fill({**days, "orders": first, "later": first}, {**days, "orders": second, "later": second})

    assert run_tasks(recipe("A migration wave") + GATES).state == "success"

    assert {each["table1"][1] for each in created()} == {"orders", "dim_day", "DIM_place"}


def test_which_rows_differ_and_results_over_time(
    run_tasks: Any,
    fill: Any,
    printed: Any,
    connect: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill(TABLES, {**TABLES, **NEW_ROW})
    # Datafold writes the rows that differ into a table, which the sandbox does not do.
    write(tmp_path / "1.duckdb", {"found": "select 3 as id, 'planted-row' as name"}, "tmp")
    written = {"data_source_id": 1, "path": ["tmp", "found"], "is_sampled": False}
    results = data_diffs.results

    def materialized(diff: Any, job: Any) -> Any:
        shown = {"exclusives": [written], "diff": None}
        return {**results(diff, job), "materialized_results": shown}

    monkeypatch.setattr(data_diffs, "results", materialized)
    connect("warehouse_default", conn_type="sqlite", host=str(tmp_path / "results.db"))
    with closing(sqlite3.connect(tmp_path / "results.db")) as database:
        database.execute("create table diff_results (run_id, name, outcome, reason)")
        keep = recipe("Results over time")
        run = run_tasks(PLAIN + GATES + recipe("Which rows differ") + keep)
        assert (run.states["show_rows"], run.states["keep"]) == ("success", "success")
        found = database.execute("select outcome from diff_results order by 1").fetchall()
    assert found == [("differs",), ("passes",)]
    assert "exclusives [{'id': 3, 'name': 'planted-row'}]" in printed()
    assert not run.xcom("show_rows")

"""The lineage of a gate, from OpenLineage's own provider in a real Airflow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dev.sandbox import data_diffs
from dev.sandbox.course import Course
from tests.conftest import API_KEY, ROOT

pytest.importorskip("airflow.providers.openlineage", reason="OpenLineage's provider is missing")

pytestmark = pytest.mark.airflow

DAG_FILE = """
from datetime import datetime

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_datafold.operators.data_diffs import DatafoldRunDataDiffOperator as Gate

with DAG("gates", schedule=None, start_date=datetime(2024, 1, 1)) as dag:
    Gate(task_id="gate", poll_interval=0.1, pk_columns=["id"], {arguments})

if __name__ == "__main__":
    dag.test()
"""

TABLES = 'data_source1_id=1, data_source2_id=2, table1="PUBLIC.ORDERS", table2="DB.PUBLIC.ORDERS"'
WAREHOUSE = ("postgres://warehouse.example.com:5432", "warehouse.PUBLIC.ORDERS")
LAKE = ("snowflake://lake", "DB.PUBLIC.ORDERS")


@pytest.fixture
def events(tmp_path: Path, sandbox: Any, airflow_database: None) -> Any:
    """Run a gate, and return the events that OpenLineage got, by their type."""

    def run(arguments: str) -> dict[str, Any]:
        file = tmp_path / "dags" / "gates.py"
        file.parent.mkdir()
        file.write_text(DAG_FILE.format(arguments=arguments))
        told = tmp_path / "events.json"
        connection = {"conn_type": "datafold", "host": sandbox.url, "password": API_KEY}
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "AIRFLOW__CORE__DAGS_FOLDER": str(file.parent),
            "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(
                {"type": "file", "log_file_path": str(told), "append": True}
            ),
            "AIRFLOW_CONN_DATAFOLD_DEFAULT": json.dumps(connection),
        }
        done = subprocess.run(
            [sys.executable, str(file)],
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
        )
        lines = told.read_text().splitlines() if told.exists() else []
        assert lines, done.stderr[-3000:]
        assert API_KEY not in told.read_text()
        found = [json.loads(line) for line in lines]
        return {
            event["eventType"]: event for event in found if event["job"]["name"] == "gates.gate"
        }

    return run


def inputs(event: dict[str, Any]) -> dict[tuple[str, str], list[tuple[str, bool]]]:
    return {
        (part["namespace"], part["name"]): [
            (assertion["assertion"], assertion["success"])
            for assertion in part["inputFacets"]["dataQualityAssertions"]["assertions"]
        ]
        for part in event["inputs"]
    }


@pytest.mark.parametrize("deferrable", [False, True])
def test_both_tables_and_the_limits_are_told(sandbox: Any, events: Any, deferrable: bool) -> None:
    sandbox.state.data_diffs.courses.default = data_diffs.DIFFERENT
    limits = "max_rows_added=3, max_rows_removed=2, min_match_ratio=0.9, max_rows_different=9"
    told = events(f"{TABLES}, {limits}, deferrable={deferrable}")["COMPLETE"]
    assertions = [
        ("rows_added <= 3", True),
        ("rows_removed <= 2", True),
        ("diff_rows_count <= 9", True),
        ("match_ratio >= 0.9", True),
    ]
    assert inputs(told) == {WAREHOUSE: assertions, LAKE: assertions}
    query = told["run"]["facets"]["externalQuery"]
    assert query["source"] == f"{sandbox.url}/datadiffs/{query['externalQueryId']}/overview"


def test_failed_gate_tells_what_does_not_hold(sandbox: Any, events: Any) -> None:
    sandbox.state.data_diffs.courses.default = data_diffs.DIFFERENT
    told = events(TABLES)["FAIL"]
    assert inputs(told) == {WAREHOUSE: [("identical", False)], LAKE: [("identical", False)]}


def test_query_is_no_dataset(sandbox: Any, events: Any) -> None:
    told = events(
        'data_source1_id=1, data_source2_id=1, table1="PUBLIC.ORDERS", query2="select 1 as id"'
    )["COMPLETE"]
    assert inputs(told) == {WAREHOUSE: [("identical", True)]}


def test_nothing_is_told_before_there_is_a_verdict(sandbox: Any, events: Any) -> None:
    sandbox.state.data_diffs.courses.default = Course((), "needs_confirmation")
    assert events(TABLES)["FAIL"]["inputs"] == []

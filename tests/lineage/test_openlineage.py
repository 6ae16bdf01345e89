"""The lineage of a gate, from OpenLineage's own provider in a real Airflow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from dev.sandbox import data_diffs
from dev.sandbox.course import Course, Step
from tests.conductor import Conductor
from tests.conftest import API_KEY, ROOT

pytest.importorskip("airflow.providers.openlineage", reason="OpenLineage's provider is missing")

pytestmark = pytest.mark.airflow

TABLES = {
    "data_source1_id": 1,
    "data_source2_id": 2,
    "table1": "PUBLIC.ORDERS",
    "table2": "DB.PUBLIC.ORDERS",
}
WAREHOUSE = ("postgres://warehouse.example.com:5432", "warehouse.PUBLIC.ORDERS")
LAKE = ("snowflake://lake", "DB.PUBLIC.ORDERS")
LIMITS = {
    "max_rows_added": 3,
    "max_rows_removed": 2,
    "max_rows_different": 9,
    "min_match_ratio": 0.9,
}
GATES = {
    "worker": {**TABLES, **LIMITS},
    "triggerer": {**TABLES, **LIMITS, "deferrable": True},
    "differs": TABLES,
    "warns": {**TABLES, "on_difference": "pass"},
    "blocked": TABLES,
}
COURSES = {
    "worker": data_diffs.DIFFERENT,
    "triggerer": Course((Step("waiting"),), "done", data_diffs.DIFFERENT.outcome),
    "differs": data_diffs.DIFFERENT,
    "warns": data_diffs.DIFFERENT,
    "blocked": Course((), "needs_confirmation"),
}

DAG_FILE = f"""
from datetime import datetime

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_datafold.operators.data_diffs import DatafoldRunDataDiffOperator as Gate

with DAG("gates", schedule=None, start_date=datetime(2024, 1, 1)) as dag:
    for name, arguments in {GATES}.items():
        Gate(task_id=name, tags=[name], poll_interval=0.1, pk_columns=["id"], **arguments)

if __name__ == "__main__":
    dag.test()
"""


@pytest.fixture(scope="module")
def events(
    tmp_path_factory: pytest.TempPathFactory, running_sandbox: Any, airflow_database: None
) -> dict[str, dict[str, Any]]:
    """Run the gates, and return by task and type the events that OpenLineage got."""
    file = tmp_path_factory.mktemp("dags") / "gates.py"
    file.write_text(DAG_FILE)
    told = file.with_name("events.json")
    connection = {"conn_type": "datafold", "host": running_sandbox.url, "password": API_KEY}
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "AIRFLOW__CORE__DAGS_FOLDER": str(file.parent),
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(
            {"type": "file", "log_file_path": str(told), "append": True}
        ),
        "AIRFLOW_CONN_DATAFOLD_DEFAULT": json.dumps(connection),
    }
    with pytest.MonkeyPatch.context() as patched:
        running_sandbox.state.reset()
        Conductor(patched, COURSES)
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
    found: dict[str, dict[str, Any]] = {name: {} for name in GATES}
    for event in map(json.loads, lines):
        _, _, name = event["job"]["name"].partition(".")
        if name:
            found[name][event["eventType"]] = event
    return found


def assertions(event: dict[str, Any]) -> list[dict[str, Any]]:
    return event["inputs"][0]["inputFacets"]["dataQualityAssertions"]["assertions"]  # type: ignore[no-any-return]


def inputs(event: dict[str, Any]) -> dict[tuple[str, str], list[tuple[str, bool]]]:
    return {
        (part["namespace"], part["name"]): [
            (assertion["assertion"], assertion["success"])
            for assertion in part["inputFacets"]["dataQualityAssertions"]["assertions"]
        ]
        for part in event["inputs"]
    }


@pytest.mark.parametrize("name", ["worker", "triggerer"])
def test_both_tables_and_the_limits_are_told(events: Any, running_sandbox: Any, name: str) -> None:
    told = events[name]["COMPLETE"]
    assertions = [
        ("rows_added <= 3", True),
        ("rows_removed <= 2", True),
        ("diff_rows_count <= 9", True),
        ("match_ratio >= 0.9", True),
    ]
    assert inputs(told) == {WAREHOUSE: assertions, LAKE: assertions}
    query = told["run"]["facets"]["externalQuery"]
    number = query["externalQueryId"]
    assert query["source"] == f"{running_sandbox.url}/datadiffs/{number}/overview"


def test_failed_gate_tells_what_does_not_hold(events: Any) -> None:
    told = events["differs"]["FAIL"]
    assert inputs(told) == {WAREHOUSE: [("identical", False)], LAKE: [("identical", False)]}
    severities = {
        task: {each.get("severity") for each in assertions(events[task][end])}
        for task, end in (("differs", "FAIL"), ("warns", "COMPLETE"))
    }
    # Older clients have no field for it.
    assert severities in (
        {"differs": {"error"}, "warns": {"warn"}},
        {"differs": {None}, "warns": {None}},
    )


def test_nothing_is_told_before_there_is_a_verdict(events: Any) -> None:
    assert events["blocked"]["FAIL"]["inputs"] == []

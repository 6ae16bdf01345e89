"""The recipes for gates, in a real Airflow."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import airflow
import pytest

from tests.conftest import ROOT

pytestmark = [pytest.mark.airflow, pytest.mark.usefixtures("connections")]

AIRFLOW = tuple(int(part) for part in airflow.__version__.split(".")[:2])


def source(name: str) -> str:
    """A DAG without retries, for which Airflow 2.11 would really wait."""
    return (ROOT / "example_dags" / f"{name}.py").read_text().replace("retries=2", "retries=0")


def states(run: Any) -> dict[str, str]:
    return {task.task_id: str(task.state) for task in run.get_task_instances()}


def created(sandbox: Any) -> list[dict[str, Any]]:
    return [
        json.loads(request.body)
        for request in sandbox.state.requests
        if (request.method, request.path) == ("POST", "/api/v1/datadiffs")
    ]


@pytest.mark.skipif(AIRFLOW < (3, 1), reason="nobody can be asked")
def test_nobody_is_asked_about_equal_tables(run_dag: Any) -> None:
    run = run_dag(source("approve_difference"), "datafold_approve_difference")
    assert states(run) == {"gate": "success", "publish": "success"}


def test_a_table_before_and_after_its_load(run_dag: Any, sandbox: Any) -> None:
    begin = datetime.now(timezone.utc).replace(microsecond=0)
    run = run_dag(source("before_the_load"), "datafold_before_the_load")
    assert run.state == "success"
    (body,) = created(sandbox)
    assert body["table1"] == body["table2"]
    moment = datetime.fromisoformat(body["time_travel_point1"])
    assert begin <= moment <= datetime.now(timezone.utc)
    assert "time_travel_point2" not in body


@pytest.mark.skipif(AIRFLOW < (3, 3), reason="no run is for a partition")
def test_one_partition(run_dag: Any, sandbox: Any) -> None:
    # dag.test() runs without a partition, whose key is then null.
    run = run_dag(source("one_partition"), "datafold_one_partition")
    assert run.state == "success"
    (body,) = created(sandbox)
    assert body["filter1"] == body["filter2"] == "region = 'None'"
    key = source("one_partition").replace("partition_key }}", "partition_key or 'EU' }}")
    run_dag(key, "datafold_one_partition")
    assert created(sandbox)[-1]["filter2"] == "region = 'EU'"

"""The README's DAG that calls the hook runs in a real Airflow."""

from __future__ import annotations

from typing import Any

import pytest

from tests import documents
from tests.conftest import ROOT

pytestmark = pytest.mark.airflow

BLOCKS = documents.blocks_in(documents.section(ROOT / "README.md", "Operators"), "python")
(SOURCE,) = (block for block in BLOCKS if "with DAG(" in block)
CHANGES = {
    # Where these are in Airflow 2.11, too.
    "\nfrom airflow.sdk": "\nfrom airflow.providers.common.compat.sdk",
    "2024, 1, 1)):": "2024, 1, 1)) as dag:",
    "poke_interval=30": "poke_interval=0",
    # In Airflow 3.0's dag.test() a sensor that is rescheduled fails when it looks again.
    'mode="reschedule"': 'mode="poke"',
}


@pytest.mark.usefixtures("connections")
def test_data_diff_and_monitor(run_dag: Any, sandbox: Any) -> None:
    source = SOURCE
    for old, new in CHANGES.items():
        assert source.count(old) == 1
        source = source.replace(old, new)

    run = run_dag(source, "check_orders")

    assert run.state == "success"
    assert [f"{request.method} {request.path}" for request in sandbox.state.requests] == [
        "POST /api/v1/datadiffs",
        *["GET /api/v1/datadiffs/3"] * 3,
        "POST /api/v1/monitors/4/run",
    ]
    returned = {task.task_id: task.xcom_pull(task.task_id) for task in run.get_task_instances()}
    assert returned == {"start_diff": 3, "read_diff": ["done", "identical"], "run_monitor": 1}

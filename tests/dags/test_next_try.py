"""What a task's next try does with the job of the try before, in a real Airflow and its store."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_datafold.retry_policy import DEFAULT_RETRY_POLICY
from dev.sandbox.course import Course

pytestmark = pytest.mark.airflow

HAS_STORES = DEFAULT_RETRY_POLICY is not None
"""Airflow has both from 3.3 on."""

DAG_FILE = """
from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_datafold.operators.monitors import DatafoldRunMonitorOperator


class Lost(DatafoldRunMonitorOperator):
    def post_execute(self, context, result=None):
        if context["ti"].try_number == 1:
            raise RuntimeError("Airflow does not get to know that the task has ended")


with DAG(
    "next_try",
    schedule=None,
    start_date=datetime(2024, 1, 1),
    default_args={
        "monitor_id": 4,
        "deferrable": False,
        "poll_interval": 0.05,
        "retries": 1,
        "retry_delay": timedelta(0),
    },
) as dag:
    DatafoldRunMonitorOperator(task_id="failed") >> Lost(task_id="lost")
"""


def test_a_job_that_was_not_judged_is_taken_over(
    run_dag: Any, connections: None, sandbox: Any
) -> None:
    sandbox.state.monitors.courses.coming.append(Course((), "error"))
    sandbox.state.monitors.courses.default = Course((), "ok")

    run = run_dag(DAG_FILE, "next_try")

    ids = {
        task.task_id: task.xcom_pull(task.task_id)["run_id"] for task in run.get_task_instances()
    }
    assert ids == {"failed": 2, "lost": 3 if HAS_STORES else 4}

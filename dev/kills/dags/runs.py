"""A DAG for each case whose task waits for a run of a monitor or of CI."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_datafold.operators.ci import DatafoldTriggerCIOperator
from airflow_provider_datafold.operators.monitors import DatafoldRunMonitorOperator
from dev.kills.plan import CI_CONFIG_ID, CI_RUN, MONITOR_ID, MONITOR_RUN, RETRIES, TASK_ID

_ARGUMENTS: dict[str, Any] = {
    "task_id": TASK_ID,
    "deferrable": False,
    "poll_interval": 0.5,
    "retries": RETRIES,
    "retry_delay": timedelta(0),
}
_BEGIN = datetime(2024, 1, 1)

with DAG(dag_id=MONITOR_RUN, schedule=None, start_date=_BEGIN, catchup=False):
    DatafoldRunMonitorOperator(monitor_id=MONITOR_ID, **_ARGUMENTS)

with DAG(dag_id=CI_RUN, schedule=None, start_date=_BEGIN, catchup=False):
    DatafoldTriggerCIOperator(
        ci_config_id=CI_CONFIG_ID,
        pr_number=12,
        pr_sha="1234567",
        base_sha="7654321",
        pr_branch="orders",
        base_branch="main",
        wait_for_completion=True,
        **_ARGUMENTS,
    )

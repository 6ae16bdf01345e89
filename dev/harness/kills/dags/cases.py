"""A DAG for each case; its task waits for a data diff, or for a run of a monitor or of CI."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import DAG
from airflow.providers.common.compat.standard.operators import PythonOperator

from airflow_provider_datafold.operators.ci import DatafoldTriggerCIOperator
from airflow_provider_datafold.operators.data_diffs import DatafoldRunDataDiffOperator
from airflow_provider_datafold.operators.monitors import DatafoldRunMonitorOperator
from dev.harness.kills import plan

_IN_WORKER = (
    "worker_killed",
    "worker_killed_while_creating",
    "worker_killed_150_younger",
    "failed_while_running",
    "failed_while_creating",
    "cleared_after_end",
    "cleared_while_running",
)
_IN_TRIGGERER = (
    "triggerer_killed",
    "failed_while_deferred",
    "cleared_while_deferred",
    "two_airflows",
)
_MAPPED = {"triggerer_restarted": 2, "fires_at_once": 6}
"""How many mapped tasks the gate of a DAG has, all of which wait in the triggerer."""

_RETRIES: dict[str, Any] = {"retries": plan.RETRIES, "retry_delay": timedelta(0)}
_TASK: dict[str, Any] = {
    "task_id": plan.TASK_ID,
    "deferrable": False,
    "poll_interval": 0.5,
    **_RETRIES,
}


def load() -> None:
    """Fill the table that the gate compares with that of the customers."""
    file = Path(os.environ["AIRFLOW_HOME"], plan.WAREHOUSE)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("DROP TABLE IF EXISTS loaded")
        connection.execute("CREATE TABLE loaded AS SELECT * FROM customers")
        if plan.is_on(plan.LOAD_BREAKS):
            connection.execute("UPDATE loaded SET name = name || '?'")


def _dag(dag_id: str) -> DAG:
    return DAG(dag_id=dag_id, schedule=None, start_date=datetime(2024, 1, 1), catchup=False)


def _gate(dag_id: str, **more: Any) -> dict[str, Any]:
    arguments = _TASK | {"data_source1_id": 1, "data_source2_id": 1, "pk_columns": ["id"]} | more
    return {
        "table1": "DB.PUBLIC.ORDERS",
        "tags": [f"{dag_id}.{arguments['task_id']}"],
        **arguments,
    }


for name in (*_IN_WORKER, *_IN_TRIGGERER):
    with _dag(name):
        DatafoldRunDataDiffOperator(
            **_gate(name, table2="DB.STAGING.ORDERS", deferrable=name in _IN_TRIGGERER)
        )

for name, count in _MAPPED.items():
    with _dag(name):
        DatafoldRunDataDiffOperator.partial(**_gate(name, deferrable=True)).expand(
            table2=[f"DB.STAGING.ORDERS_{number}" for number in range(count)]
        )

with _dag("cleared_with_its_load") as dag:
    sources = dict.fromkeys(("data_source1_id", "data_source2_id"), plan.SOURCE_ID)
    loads = PythonOperator(task_id=plan.LOAD, python_callable=load, **_RETRIES)
    loads >> DatafoldRunDataDiffOperator(
        **_gate(dag.dag_id, table1="customers", table2="loaded", **sources)
    )

with _dag(plan.RETRIES_CHANGED) as dag:
    retries = plan.RETRIES + plan.is_on(plan.ONE_MORE_RETRY)
    DatafoldRunDataDiffOperator(**_gate(dag.dag_id, table2="DB.STAGING.ORDERS", retries=retries))
    # It keeps the DAG run going when the gate has ended.
    neighbour = {"task_id": plan.NEIGHBOUR, "table2": "DB.STAGING.CUSTOMERS", "deferrable": True}
    DatafoldRunDataDiffOperator(**_gate(dag.dag_id, **neighbour))

with _dag(plan.MONITOR_RUN):
    DatafoldRunMonitorOperator(monitor_id=plan.MONITOR_ID, **_TASK)

with _dag(plan.CI_RUN):
    DatafoldTriggerCIOperator(
        ci_config_id=plan.CI_CONFIG_ID,
        pr_number=12,
        pr_sha="1234567",
        base_sha="7654321",
        pr_branch="orders",
        base_branch="main",
        wait_for_completion=True,
        **_TASK,
    )

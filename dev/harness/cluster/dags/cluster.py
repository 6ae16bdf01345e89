"""The DAG of the cluster."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_datafold.operators.bi import DatafoldUpdateHightouchOperator
from airflow_provider_datafold.operators.data_diffs import DatafoldRunDataDiffOperator
from airflow_provider_datafold.operators.monitors import DatafoldRunMonitorOperator
from dev.harness.cluster import plan

_RETRIES: dict[str, Any] = {"retries": 5, "retry_delay": timedelta(seconds=2)}

with DAG(
    dag_id=plan.DAG_ID,
    schedule=None,
    start_date=datetime(2024, 1, 1),
    catchup=False,
    max_active_tasks=1000,
):
    for task_id in plan.GATES:
        DatafoldRunDataDiffOperator.partial(
            task_id=task_id,
            data_source1_id=1,
            data_source2_id=1,
            table1="DB.PUBLIC.ORDERS",
            pk_columns=["id"],
            deferrable=task_id == plan.DEFERRED_GATE,
            poll_interval=5 if task_id == plan.DEFERRED_GATE else None,
            **_RETRIES,
        ).expand(table2=[gate.table for gate in plan.keys(task_id)])
    DatafoldRunMonitorOperator.partial(task_id=plan.MONITOR, deferrable=True, **_RETRIES).expand(
        monitor_id=[task.index + 1 for task in plan.keys(plan.MONITOR)]
    )
    DatafoldUpdateHightouchOperator.partial(
        task_id=plan.CHANGE, bindings=[{"remoteId": "1", "boundIds": [1, 2]}], **_RETRIES
    ).expand_kwargs(
        [
            {"bi_datasource_id": task.index + 1, "indexing_cron": task.cron}
            for task in plan.keys(plan.CHANGE)
        ]
    )

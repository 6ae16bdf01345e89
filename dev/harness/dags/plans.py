"""A DAG for each plan; its runs have numbers for ids."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_datafold.operators.bi import DatafoldUpdateHightouchOperator
from airflow_provider_datafold.operators.data_diffs import DatafoldRunDataDiffOperator
from airflow_provider_datafold.operators.monitors import DatafoldRunMonitorOperator
from dev.harness.plan import (
    CHANGE,
    CLUSTER,
    DEFERRED_GATE,
    GATES,
    MONITOR,
    SOAK,
    Key,
    cron_of,
    table_of,
)

_RETRIES: dict[str, Any] = {"retries": 5, "retry_delay": timedelta(seconds=2)}
_BINDINGS = [{"remoteId": "1", "boundIds": [1, 2]}]


def _macro(function: Callable[[Key], Any]) -> Callable[[str, str, int], Any]:
    return lambda run_id, task_id, index: function(Key(int(run_id), task_id, index))


def _texts(macro: str, task_id: str, count: int) -> list[str]:
    return [f"{{{{ {macro}(run_id, {task_id!r}, {index}) }}}}" for index in range(count)]


for plan in (CLUSTER, SOAK):
    with DAG(
        dag_id=plan.dag_id,
        schedule=None,
        start_date=datetime(2024, 1, 1),
        catchup=False,
        max_active_runs=1000,
        max_active_tasks=1000,
        user_defined_macros={
            "table_of": _macro(table_of),
            "cron_of": _macro(cron_of),
            "monitor_of": _macro(plan.monitor_of),
        },
    ):
        for task_id in GATES:
            DatafoldRunDataDiffOperator.partial(
                task_id=task_id,
                data_source1_id=1,
                data_source2_id=1,
                table1="DB.PUBLIC.ORDERS",
                pk_columns=["id"],
                deferrable=task_id == DEFERRED_GATE,
                poll_interval=5 if task_id == DEFERRED_GATE else None,
                **_RETRIES,
            ).expand(table2=_texts("table_of", task_id, plan.counts[task_id]))
        DatafoldRunMonitorOperator.partial(task_id=MONITOR, deferrable=True, **_RETRIES).expand(
            monitor_id=_texts("monitor_of", MONITOR, plan.counts[MONITOR])
        )
        crons = _texts("cron_of", CHANGE, plan.counts[CHANGE])
        DatafoldUpdateHightouchOperator.partial(
            task_id=CHANGE, bindings=_BINDINGS, **_RETRIES
        ).expand_kwargs(
            [
                {"bi_datasource_id": number, "indexing_cron": cron}
                for number, cron in enumerate(crons, start=1)
            ]
        )

"""A DAG for each case."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG
from airflow.providers.common.compat.standard.operators import PythonOperator

from airflow_provider_datafold.operators.data_diffs import DatafoldRunDataDiffOperator
from dev.kills.load import LOADED, SOURCE_ID, TABLE, load
from dev.kills.plan import GATES, LOAD, NEIGHBOUR, TASK_ID, retries_of

for gate in GATES.values():
    with DAG(dag_id=gate.dag_id, schedule=None, start_date=datetime(2024, 1, 1), catchup=False):
        arguments: dict[str, Any] = {
            "data_source1_id": 1,
            "data_source2_id": 1,
            "table1": "DB.PUBLIC.ORDERS",
            "pk_columns": ["id"],
            "tags": [f"{gate.dag_id}.{TASK_ID}"],
            "deferrable": gate.deferrable,
            "poll_interval": 0.5,
            "retries": retries_of(gate.dag_id),
            "retry_delay": timedelta(0),
        }
        if gate.has_load:
            arguments |= {"data_source1_id": SOURCE_ID, "data_source2_id": SOURCE_ID}
            retries = {name: arguments[name] for name in ("retries", "retry_delay")}
            loads = PythonOperator(task_id=LOAD, python_callable=load, **retries)
            loads >> DatafoldRunDataDiffOperator(
                task_id=TASK_ID, **arguments | {"table1": TABLE, "table2": LOADED}
            )
        elif gate.count is None:
            DatafoldRunDataDiffOperator(task_id=TASK_ID, table2="DB.STAGING.ORDERS", **arguments)
        else:
            DatafoldRunDataDiffOperator.partial(task_id=TASK_ID, **arguments).expand(
                table2=[f"DB.STAGING.ORDERS_{number}" for number in range(gate.count)]
            )
        if gate.has_neighbour:
            arguments |= {"tags": [f"{gate.dag_id}.{NEIGHBOUR}"], "deferrable": True}
            DatafoldRunDataDiffOperator(
                task_id=NEIGHBOUR, table2="DB.STAGING.CUSTOMERS", **arguments
            )

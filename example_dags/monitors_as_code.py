"""Keep Datafold's monitors in sync with files, and pause one during a load."""

from __future__ import annotations

from datetime import datetime

from airflow.providers.common.compat.sdk import DAG, Param
from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator

from airflow_provider_datafold.operators.monitors import (
    DatafoldApplyMonitorsOperator,
    DatafoldRunMonitorOperator,
    DatafoldToggleMonitorOperator,
)

with DAG(
    dag_id="datafold_monitors_as_code",
    description="Create and change monitors as files say, and pause the others",
    doc_md=__doc__,
    schedule=None,  # Run it after each deployment, or "@daily" to undo manual changes.
    start_date=datetime(2024, 1, 1),
    catchup=False,
    max_active_runs=1,
    params={"dry_run": Param(False, type="boolean")},
    tags=["datafold"],
) as apply_dag:
    DatafoldApplyMonitorsOperator(
        task_id="apply",
        # Next to this file, in the format of Datafold's own monitors as code.
        files="monitors/*.yaml",
        set_name="orders",
        dangling_monitors_strategy="pause",  # What is in no file any more.
        dry_run="{{ params.dry_run }}",
    )

with DAG(
    dag_id="datafold_maintenance_window",
    description="Pause a monitor during a load, resume it, and run it",
    doc_md=__doc__,
    schedule=None,  # The schedule of your load, e.g. "0 4 * * *".
    start_date=datetime(2024, 1, 1),
    catchup=False,
    max_active_runs=1,
    params={"monitor_id": Param(4, type="integer", minimum=1)},
    tags=["datafold"],
) as window_dag:
    pause = DatafoldToggleMonitorOperator(
        task_id="pause", monitor_id="{{ params.monitor_id }}", enabled=False
    )
    load = SQLExecuteQueryOperator(
        task_id="load_orders",
        conn_id="warehouse_default",
        sql=[
            "CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, amount REAL)",
            "DELETE FROM orders",
            "INSERT INTO orders VALUES (1, 9.90), (2, 24.50), (3, 5.00)",
        ],
    )
    resume = DatafoldToggleMonitorOperator(
        task_id="resume",
        monitor_id="{{ params.monitor_id }}",
        enabled=True,
        trigger_rule="all_done",  # Even if the load has failed.
        retries=10,  # Until it succeeds, the monitor is off.
    )
    check = DatafoldRunMonitorOperator(task_id="check", monitor_id="{{ params.monitor_id }}")

    pause >> load >> resume
    # The state of a DAG run follows its last task, so this one depends on both: `resume`
    # alone would hide that the load failed.
    [load, resume] >> check

"""Build the data of a pull request in its own table, and let Datafold's CI compare it."""

from __future__ import annotations

from datetime import datetime

from airflow.providers.common.compat.sdk import DAG, Param
from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator

from airflow_provider_datafold.operators.ci import (
    DatafoldTriggerCIOperator,
    DatafoldUploadCIChangesOperator,
)
from airflow_provider_datafold.operators.data_sources import DatafoldTestDataSourceOperator

SHA = "^[0-9a-f]{7,64}$"
TABLE = "orders_pr_{{ params.pr_number }}"

with DAG(
    dag_id="datafold_pull_request",
    description="Let Datafold's CI compare the data of a pull request",
    doc_md=__doc__,
    schedule=None,  # Your repository's CI starts it, with the pull request's params.
    start_date=datetime(2024, 1, 1),
    catchup=False,
    params={
        "ci_config_id": Param(2, type="integer", minimum=1),
        "data_source_id": Param(1, type="integer", minimum=1),
        "pr_number": Param(12, type="integer", minimum=1),
        "pr_branch": Param("orders", type="string", minLength=1),
        "pr_sha": Param("1234567890abcdef1234567890abcdef12345678", type="string", pattern=SHA),
        "base_sha": Param("234567890abcdef1234567890abcdef123456789", type="string", pattern=SHA),
    },
    tags=["datafold"],
) as dag:
    # Check first that Datafold can read the warehouse.
    test = DatafoldTestDataSourceOperator(
        task_id="test_warehouse", data_source_id="{{ params.data_source_id }}"
    )
    build = SQLExecuteQueryOperator(
        task_id="build",
        conn_id="warehouse_default",
        sql=[
            f"DROP TABLE IF EXISTS {TABLE}",
            f"CREATE TABLE {TABLE} (id INTEGER PRIMARY KEY, amount REAL)",
            f"INSERT INTO {TABLE} VALUES (1, 9.90), (2, 24.50), (3, 5.00)",
        ],
    )
    start = DatafoldTriggerCIOperator(
        task_id="start_ci",
        ci_config_id="{{ params.ci_config_id }}",
        pr_number="{{ params.pr_number }}",
        pr_sha="{{ params.pr_sha }}",
        pr_branch="{{ params.pr_branch }}",
        base_sha="{{ params.base_sha }}",
        base_branch="main",
        # The run must still be active when the next task uploads changes.
        wait_for_completion=False,
    )
    compare = DatafoldUploadCIChangesOperator(
        task_id="compare",
        ci_config_id="{{ params.ci_config_id }}",
        pr_number="{{ params.pr_number }}",
        changes=[{"prod": "DB.PUBLIC.ORDERS", "pr": f"DB.PUBLIC.{TABLE}", "pk": ["id"]}],
    )

    test >> build >> start >> compare

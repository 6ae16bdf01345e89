"""Load a table next to the published one, compare the two, and swap them if they agree."""

from __future__ import annotations

from datetime import datetime

from airflow.providers.common.compat.sdk import DAG, Param
from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator

from airflow_provider_datafold.operators.data_diffs import DatafoldRunDataDiffOperator

with DAG(
    dag_id="datafold_write_audit_publish",
    description="Publish a table only if it differs from the published one by no more than allowed",
    doc_md=__doc__,
    schedule=None,  # The schedule of your load, e.g. "0 4 * * *".
    start_date=datetime(2024, 1, 1),
    catchup=False,
    # A second run at the same time would load into the same staging table.
    max_active_runs=1,
    params={
        "max_rows_added": Param(
            100,
            type="integer",
            minimum=0,
            title="Rows added at most",
            description="Raise this for a load that catches up.",
        ),
    },
    tags=["datafold"],
) as dag:
    write = SQLExecuteQueryOperator(
        task_id="write",
        conn_id="warehouse_default",
        sql=[
            "DROP TABLE IF EXISTS payments_staging",
            "CREATE TABLE payments_staging AS SELECT id, amount FROM raw_payments",
        ],
    )
    audit = DatafoldRunDataDiffOperator(
        task_id="audit",
        data_source1_id=1,
        table1="payments",
        data_source2_id=1,
        table2="payments_staging",
        pk_columns=["id"],
        max_rows_added="{{ params.max_rows_added }}",
        max_rows_different=10,  # Late corrections.
        retries=2,  # For a lost worker; a table that differs is not compared again.
    )
    publish = SQLExecuteQueryOperator(
        task_id="publish",
        conn_id="warehouse_default",
        sql=[
            "BEGIN",  # Snowflake has a single statement for all of this: ALTER TABLE ... SWAP WITH.
            "DROP TABLE IF EXISTS payments_before",
            "ALTER TABLE payments RENAME TO payments_before",
            "ALTER TABLE payments_staging RENAME TO payments",
        ],
    )
    write >> audit >> publish

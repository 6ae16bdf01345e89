"""Let a person decide whether a table that differs is published. It needs Airflow 3.1."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_datafold.operators.data_diffs import DatafoldRunDataDiffOperator


@task
def publish() -> None:
    """Publish the table; replace this by your own step."""
    print("Published.")


with DAG(
    dag_id="datafold_approve_difference",
    description="Ask a person before a table that differs is published",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2024, 1, 1),
    catchup=False,
    tags=["datafold"],
) as dag:
    gate = DatafoldRunDataDiffOperator(
        task_id="gate",
        data_source1_id=1,
        table1="DB.PUBLIC.ORDERS",
        data_source2_id=1,
        table2="DB.STAGING.ORDERS",
        pk_columns=["id"],
        on_difference="ask",
        approval_timeout=timedelta(hours=8),
        retries=2,
    )
    gate >> publish()

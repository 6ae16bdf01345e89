"""Let a person decide whether a table that differs is published. It needs Airflow 3.1."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow.providers.common.compat.sdk import DAG, task
from airflow.providers.standard.operators.hitl import ApprovalOperator

from airflow_provider_datafold.operators.data_diffs import DatafoldRunDataDiffOperator


@task.branch
def decide(ti: Any = None) -> str:
    """Ask a person only if the tables differ."""
    verdict = ti.xcom_pull("gate", key="verdict")
    return "publish" if verdict["outcome"] == "passes" else "approve"


@task(trigger_rule="none_failed_min_one_success")
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
        on_difference="pass",  # What was not compared fails nevertheless.
        retries=2,
    )
    approve = ApprovalOperator(
        task_id="approve",
        subject="Publish the orders, although they differ?",
        body="{{ ti.xcom_pull('gate', key='verdict')['reason'] }}\n\n"
        "{{ ti.xcom_pull('gate', key='verdict')['url'] }}",
    )
    published = publish()
    gate >> decide() >> [approve, published]
    approve >> published

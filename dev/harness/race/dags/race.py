"""The DAG of a round: brief waits, none of which has a retry."""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import DAG

from airflow_provider_datafold.operators.data_diffs import DatafoldRunDataDiffOperator
from airflow_provider_datafold.operators.dbt import DatafoldUploadDbtArtifactsOperator
from airflow_provider_datafold.operators.monitors import DatafoldRunMonitorOperator
from dev.harness.race.plan import CI_CONFIG_ID, COUNTS, DAG_ID, GATE, MONITOR, UPLOAD
from dev.samples import shop

with DAG(
    dag_id=DAG_ID,
    schedule=None,
    start_date=datetime(2024, 1, 1),
    catchup=False,
    default_args={"retries": 0, "deferrable": True},
):
    DatafoldRunDataDiffOperator.partial(
        task_id=GATE,
        data_source1_id=1,
        data_source2_id=1,
        table1="DB.PUBLIC.ORDERS",
        pk_columns=["id"],
    ).expand(table2=[f"DB.STAGING.ORDERS_{number}" for number in range(COUNTS[GATE])])
    DatafoldRunMonitorOperator.partial(task_id=MONITOR).expand(
        monitor_id=[number + 1 for number in range(COUNTS[MONITOR])]
    )
    DatafoldUploadDbtArtifactsOperator.partial(
        task_id=UPLOAD,
        ci_config_id=CI_CONFIG_ID,
        run_type="pull_request",
        target=str(shop.manifest("staging").parent),
    ).expand(commit_sha=[f"{number:040x}" for number in range(COUNTS[UPLOAD])])

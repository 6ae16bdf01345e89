"""Compare only the partition that a run is for. It needs Airflow 3.3."""

from __future__ import annotations

from datetime import datetime

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_datafold.operators.data_diffs import DatafoldRunDataDiffOperator

PARTITION = "region = '{{ partition_key }}'"

with DAG(
    dag_id="datafold_one_partition",
    description="Compare one partition of a table with its source",
    doc_md=__doc__,
    schedule=None,  # E.g. a PartitionedAssetTimetable, which gives each run its key.
    start_date=datetime(2024, 1, 1),
    catchup=False,
    tags=["datafold"],
) as dag:
    DatafoldRunDataDiffOperator(
        task_id="gate",
        data_source1_id=1,
        table1="DB.RAW.ORDERS",
        filter1=PARTITION,
        data_source2_id=1,
        table2="DB.PUBLIC.ORDERS",
        filter2=PARTITION,
        pk_columns=["id"],
        retries=2,
    )

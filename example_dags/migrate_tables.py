"""Compare the tables of an old data source with those of a new one, and summarize the results."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_datafold.operators.data_diffs import DatafoldRunDataDiffOperator
from airflow_provider_datafold.operators.summary import DatafoldSummarizeOperator

TABLES: list[dict[str, Any]] = [
    {"table1": "customers", "table2": "customers", "pk_columns": ["id"]},
    {"table1": "products", "table2": "products", "pk_columns": ["sku"]},
    {"table1": "prices", "table2": "prices", "pk_columns": ["sku", "country"]},
]


with DAG(
    dag_id="datafold_migrate_tables",
    description="Compare many tables of two data sources, with a task for each",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2024, 1, 1),
    catchup=False,
    tags=["datafold"],
) as dag:
    compare = DatafoldRunDataDiffOperator.partial(
        task_id="compare",
        data_source1_id=1,
        data_source2_id=2,
        deferrable=True,  # However many wait, they take no worker slot.
        max_active_tis_per_dag=8,  # As many as the databases can handle.
        retries=2,  # For a lost worker; a table that differs is not compared again.
    ).expand_kwargs(TABLES)
    summarize = DatafoldSummarizeOperator(task_id="summarize", task_ids=["compare"])
    compare >> summarize

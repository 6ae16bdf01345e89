"""Let Datafold index a Hightouch integration as soon as a load has ended."""

from __future__ import annotations

from datetime import datetime

from airflow.providers.common.compat.sdk import DAG, Asset
from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator

from airflow_provider_datafold.operators.bi import (
    DatafoldSyncIntegrationOperator,
    DatafoldUpdateHightouchOperator,
)

BI_DATASOURCE_ID = 7
ORDERS = Asset("warehouse://shop/orders")

with DAG(
    dag_id="datafold_load",
    description="Load a table into the warehouse",
    schedule=None,  # The schedule of your load, e.g. "0 4 * * *".
    start_date=datetime(2024, 1, 1),
    catchup=False,
    tags=["datafold"],
) as load_dag:
    SQLExecuteQueryOperator(
        task_id="load_orders",
        conn_id="warehouse_default",
        sql=[
            "CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, amount REAL)",
            "DELETE FROM orders",
            "INSERT INTO orders VALUES (1, 9.90), (2, 24.50), (3, 5.00)",
        ],
        outlets=[ORDERS],
    )

with DAG(
    dag_id="datafold_after_a_load",
    description="Let Datafold index a Hightouch integration after each load",
    doc_md=__doc__,
    schedule=[ORDERS],
    start_date=datetime(2024, 1, 1),
    catchup=False,
    tags=["datafold"],
) as after_dag:
    update_schedule = DatafoldUpdateHightouchOperator(
        task_id="update_schedule",
        bi_datasource_id=BI_DATASOURCE_ID,
        indexing_cron="0 6 * * 1-5",
        # The schedule is the same after each load, and Datafold's audit log records each update.
        only_if_changed=True,
    )
    sync = DatafoldSyncIntegrationOperator(task_id="sync", bi_datasource_id=BI_DATASOURCE_ID)
    update_schedule >> sync

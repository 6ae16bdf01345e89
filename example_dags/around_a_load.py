"""Remove a Hightouch integration's schedule while a load runs, then restore it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow.providers.common.compat.sdk import DAG, AirflowFailException, setup
from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator

from airflow_provider_datafold.hooks.datafold import DatafoldHook
from airflow_provider_datafold.operators.bi import (
    DatafoldSyncIntegrationOperator,
    DatafoldUpdateHightouchOperator,
)

BI_DATASOURCE_ID = 7


# A separate task: if pausing runs twice, it would read the second time that there is no schedule.
@setup
def read() -> dict[str, Any]:
    """Return what `restore` needs, or fail before anything is changed."""
    with DatafoldHook() as hook:
        integration = hook.get_integration(BI_DATASOURCE_ID)
    try:
        bindings, indexing_cron = integration["bindings"], integration["indexing_cron"]
    except (KeyError, TypeError):
        raise AirflowFailException(
            f"Datafold's response has no bindings or no indexing_cron for integration "
            f"{BI_DATASOURCE_ID}, so they could not be restored. Nothing was changed."
        ) from None
    if not indexing_cron:
        raise AirflowFailException(
            f"Integration {BI_DATASOURCE_ID} has no schedule. If a run that paused it has not "
            f"restored it, clear that run's task `restore`. Nothing was changed."
        )
    return {"bindings": bindings, "indexing_cron": indexing_cron}


with DAG(
    dag_id="datafold_around_a_load",
    description="Pause the indexing of a Hightouch integration while a load runs",
    doc_md=__doc__,
    schedule=None,  # The schedule of your load, e.g. "0 4 * * *".
    start_date=datetime(2024, 1, 1),
    catchup=False,
    # A second run at the same time would find the schedule paused.
    max_active_runs=1,
    tags=["datafold"],
) as dag:
    before = read()
    pause = DatafoldUpdateHightouchOperator(
        task_id="pause",
        bi_datasource_id=BI_DATASOURCE_ID,
        bindings=before["bindings"],
        indexing_cron=None,
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
    restore = DatafoldUpdateHightouchOperator(
        task_id="restore",
        bi_datasource_id=BI_DATASOURCE_ID,
        bindings=before["bindings"],
        indexing_cron=before["indexing_cron"],
        retries=10,  # Until it succeeds there is no schedule.
    ).as_teardown(setups=pause)
    sync = DatafoldSyncIntegrationOperator(task_id="sync", bi_datasource_id=BI_DATASOURCE_ID)

    pause >> load >> restore
    # The state of a DAG run follows its last task, so this one depends on both: a teardown
    # alone would hide that the load failed, or would be ignored.
    [load, restore] >> sync

"""Warn the owners of everything downstream of a table when a gate stops the table."""

from __future__ import annotations

from datetime import datetime

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_datafold.hooks.datafold import DatafoldHook
from airflow_provider_datafold.operators.data_diffs import DatafoldRunDataDiffOperator

DATA_SOURCE_ID = 1
TABLE = "DB.PUBLIC.RAW"
OWNERS = {
    "DB.PUBLIC.ORDERS": "sales@example.com",
    "DB.PUBLIC.REVENUE": "finance@example.com",
}
"""The owners of tables, dashboards and models, by the paths that Datafold shows."""


@task(trigger_rule="one_failed")
def warn() -> dict[str, list[str]]:
    """Warn each owner once, and return their tables."""
    with DatafoldHook() as hook:
        found = hook.list_table_downstreams(DATA_SOURCE_ID, TABLE, max_depth=10)
    concerned: dict[str, list[str]] = {}
    for path in (".".join(each["path"]) for each in found):
        if path in OWNERS:
            concerned.setdefault(OWNERS[path], []).append(path)
    for owner, paths in concerned.items():
        # Here you would send a mail or a message.
        print(f"To {owner}: {TABLE} was not published. Out of date: {', '.join(paths)}")
    return concerned


@task
def publish() -> None:
    """Publish the table, which must not happen if the gate stops it."""


with DAG(
    dag_id="datafold_warn_downstream",
    description="Warn the owners downstream of a table that a gate has stopped",
    doc_md=__doc__,
    schedule=None,  # The schedule of your load, e.g. "0 4 * * *".
    start_date=datetime(2024, 1, 1),
    catchup=False,
    tags=["datafold"],
) as dag:
    gate = DatafoldRunDataDiffOperator(
        task_id="gate",
        data_source1_id=DATA_SOURCE_ID,
        table1=TABLE,
        data_source2_id=DATA_SOURCE_ID,
        table2="DB.STAGING.RAW",
        pk_columns=["id"],
    )
    gate >> [publish(), warn()]

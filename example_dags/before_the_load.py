"""Compare a table with itself before the load: only today's rows may be new."""

from __future__ import annotations

from datetime import datetime, timezone

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_datafold.operators.data_diffs import DatafoldRunDataDiffOperator


@task
def remember() -> str:
    """Return the time before the load; a task that is cleared later must not take a new one."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


@task
def load() -> None:
    """Load the table; replace this by your own step."""
    print("Loaded.")


with DAG(
    dag_id="datafold_before_the_load",
    description="Compare a table with itself before the load",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2024, 1, 1),
    catchup=False,
    max_active_runs=1,  # Two loads at once would be compared as one.
    tags=["datafold"],
) as dag:
    before = remember()
    gate = DatafoldRunDataDiffOperator(
        task_id="gate",
        data_source1_id=1,
        table1="DB.PUBLIC.ORDERS",
        data_source2_id=1,
        table2="DB.PUBLIC.ORDERS",
        pk_columns=["id"],
        # Datafold supports such a moment in Snowflake and BigQuery.
        options={"time_travel_point1": before},
        max_rows_added=100_000,
        max_values_different={"updated_at": None, "status": 1000},
        retries=2,
    )
    before >> load() >> gate

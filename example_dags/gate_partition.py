"""Load a day's partition, compare it with its source, and announce it only if it is the same."""

from __future__ import annotations

from datetime import datetime

from airflow.providers.common.compat.sdk import DAG, Asset
from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_datafold.operators.data_diffs import DatafoldRunDataDiffOperator

EVENTS = Asset("warehouse://shop/events")
DAY = "day >= '{{ data_interval_start | ds }}' AND day < '{{ data_interval_end | ds }}'"

with DAG(
    dag_id="datafold_gate_partition",
    description="Announce a day's partition only if it is the same as in its source",
    doc_md=__doc__,
    # In Airflow 3 the data interval of a plain "@daily" is empty.
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=datetime(2024, 1, 1),
    catchup=False,
    tags=["datafold"],
) as dag:
    load = SQLExecuteQueryOperator(
        task_id="load",
        conn_id="warehouse_default",
        sql=[
            f"DELETE FROM events WHERE {DAY}",
            f"INSERT INTO events SELECT id, day, name FROM raw_events WHERE {DAY}",
        ],
    )
    gate = DatafoldRunDataDiffOperator(
        task_id="gate",
        data_source1_id=1,
        table1="raw_events",
        filter1=DAY,
        data_source2_id=1,
        table2="events",
        filter2=DAY,
        pk_columns=["id"],
        outlets=[EVENTS],  # A DAG with schedule=[EVENTS] starts only after this gate.
        retries=2,
    )
    load >> gate

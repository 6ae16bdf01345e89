"""A DAG for each monitor that is watched: it starts when the monitor alerts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_datafold.triggers.monitors import DatafoldMonitorAlertTrigger
from dev.harness.kills.plan import POLL_INTERVAL, REPORTED, WATCHES


@task(task_id=REPORTED)
def tell(triggering_asset_events: Any = None) -> list[int]:
    """Return the runs of the monitor that the DAG was started for."""
    (events,) = triggering_asset_events.values()
    return [event.extra["payload"]["run_id"] for event in events]


for dag_id, monitor_id in WATCHES.items():
    trigger = DatafoldMonitorAlertTrigger([monitor_id], poll_interval=POLL_INTERVAL)
    alerts = Asset(dag_id, watchers=[AssetWatcher(name=dag_id, trigger=trigger)])
    with DAG(dag_id=dag_id, schedule=[alerts], start_date=datetime(2024, 1, 1), catchup=False):
        tell()

"""Start a DAG when a monitor alerts. It needs Airflow 3.0 or newer."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_datafold.triggers.monitors import DatafoldMonitorAlertTrigger

# It sends one request every 15 s, which all watchers of a connection share.
TRIGGER = DatafoldMonitorAlertTrigger(monitor_ids=[3, 4], poll_interval=15)
ALERTS = Asset("datafold_alerts", watchers=[AssetWatcher(name="datafold", trigger=TRIGGER)])


@task
def report(triggering_asset_events: Any = None) -> list[dict[str, Any]]:
    """Print the alerts. There are several if they arrived at the same time."""
    alerts = [event.extra["payload"] for event in triggering_asset_events[ALERTS]]
    for alert in alerts:
        # Here you would send a message.
        print("Monitor {monitor_id} alerts in run {run_id}; data diff: {diff_id}".format(**alert))
    return alerts


with DAG(
    dag_id="datafold_on_alert",
    description="Report the alerts of monitors",
    doc_md=__doc__,
    schedule=[ALERTS],
    start_date=datetime(2024, 1, 1),
    catchup=False,
    tags=["datafold"],
) as dag:
    report()

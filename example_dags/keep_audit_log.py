"""Keep Datafold's audit log, a file for each day."""

from __future__ import annotations

import json
from datetime import datetime

from airflow.providers.common.compat.sdk import DAG, ObjectStoragePath, Param, task
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_datafold.hooks.datafold import DatafoldHook


@task(retries=3)
def keep(folder: str, start: str, end: str) -> int:
    """Write the log of a day, overwrite an earlier try's file, and return its length."""
    with DatafoldHook() as hook:
        entries = hook.list_audit_logs(start_date=start, end_date=end)["logs"]
    place = ObjectStoragePath(folder)
    place.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(entry) + "\n" for entry in entries]
    (place / f"{start[:10]}.jsonl").write_text("".join(lines))
    return len(lines)


with DAG(
    dag_id="datafold_keep_audit_log",
    description="Keep Datafold's audit log, a file for each day",
    doc_md=__doc__,
    # In Airflow 3 the data interval of a plain "@daily" is empty.
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=datetime(2024, 1, 1),
    catchup=False,
    params={"folder": Param("file:///tmp/datafold-audit-log", type="string", minLength=1)},
    tags=["datafold"],
) as dag:
    keep(
        folder="{{ params.folder }}",
        start="{{ data_interval_start }}",
        end="{{ data_interval_end }}",
    )

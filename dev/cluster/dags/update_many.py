"""Give each of the sandbox's integrations the schedule that the plan has for it."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_datafold.operators.bi import DatafoldUpdateHightouchOperator
from dev.cluster.plan import BINDINGS, CRONS

with DAG(dag_id="update_many", schedule="@once", start_date=datetime(2024, 1, 1), catchup=False):
    DatafoldUpdateHightouchOperator.partial(
        task_id="update_schedule",
        bindings=BINDINGS,
        retries=5,
        retry_delay=timedelta(seconds=2),
    ).expand_kwargs(
        [{"bi_datasource_id": number, "indexing_cron": cron} for number, cron in CRONS.items()]
    )

"""Set the schedules of many Hightouch integrations, one for each environment."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow.providers.common.compat.sdk import DAG, BaseHook, task

from airflow_provider_datafold.hooks.datafold import DatafoldHook
from airflow_provider_datafold.operators.bi import DatafoldUpdateHightouchOperator

INTEGRATIONS: list[dict[str, Any]] = [
    {"bi_datasource_id": 1, "indexing_cron": "0 * * * *"},  # production
    {"bi_datasource_id": 2, "indexing_cron": "0 6 * * 1-5"},  # staging
    {"bi_datasource_id": 3, "indexing_cron": None},  # development
]

with DAG(
    dag_id="datafold_many_at_once",
    description="Set the schedules of many integrations, with a task for each",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2024, 1, 1),
    catchup=False,
    tags=["datafold"],
) as mapped_dag:
    DatafoldUpdateHightouchOperator.partial(
        task_id="update_schedule",
        only_if_changed=True,
        map_index_template="{{ task.bi_datasource_id }}",
    ).expand_kwargs(INTEGRATIONS)


@task
def update_schedules(integrations: list[dict[str, Any]]) -> None:
    """Update all of them over one network connection to Datafold."""
    token = BaseHook.get_connection("hightouch_default").password or ""
    with DatafoldHook() as hook:
        for integration in integrations:
            hook.update_hightouch_integration(**integration, token=token, only_if_changed=True)


with DAG(
    dag_id="datafold_many_in_one_task",
    description="Set the schedules of many integrations, in one task",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2024, 1, 1),
    catchup=False,
    tags=["datafold"],
) as one_task_dag:
    update_schedules(INTEGRATIONS)

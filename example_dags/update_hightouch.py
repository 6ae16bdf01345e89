"""Change a Hightouch integration's indexing schedule with values from the trigger form."""

from __future__ import annotations

from datetime import datetime

from airflow.providers.common.compat.sdk import DAG, Param

from airflow_provider_datafold.operators.bi import DatafoldUpdateHightouchOperator

with DAG(
    dag_id="datafold_update_hightouch",
    description="Change the schedule on which Datafold re-indexes a Hightouch integration",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2024, 1, 1),
    catchup=False,
    tags=["datafold"],
    params={
        "bi_datasource_id": Param(
            7,
            type="integer",
            minimum=1,
            title="Integration id",
            description="The Hightouch integration's id in Datafold.",
        ),
        "indexing_cron": Param(
            "0 6 * * *",
            type=["null", "string"],
            examples=["0 6 * * *", "30 5 * * 1-5", "0 */4 * * *", "0 0 1 * *"],
            title="Indexing schedule",
            description="Minute, hour, day of month, month, day of week: 0 6 * * * is every day at "
            "6:00, 30 5 * * 1-5 Monday to Friday at 5:30. An empty field removes the schedule: "
            "Datafold then indexes only when it is asked to.",
        ),
        "bindings": Param(
            None,
            type=["null", "array"],
            title="Bindings",
            description="Leave this empty: the integration's own are sent. The API requires them "
            "with each update, and an update changes only the schedule.",
            items={
                "type": "object",
                "required": ["remoteId", "boundIds"],
                "properties": {
                    "remoteId": {"type": "string"},
                    "boundIds": {"type": "array", "items": {"type": "integer"}},
                },
            },
        ),
    },
) as dag:
    DatafoldUpdateHightouchOperator(
        task_id="update_schedule",
        bi_datasource_id="{{ params.bi_datasource_id }}",
        indexing_cron="{{ params.indexing_cron }}",
        bindings="{{ params.bindings or None }}",  # The form shows none as [].
    )

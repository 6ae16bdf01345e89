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
        "bindings": Param(
            [{"remoteId": "1", "boundIds": [1, 2]}],
            type="array",
            title="Bindings",
            description="The bindings that the integration has: the API requires them with each "
            "update.",
            items={
                "type": "object",
                "required": ["remoteId", "boundIds"],
                "properties": {
                    "remoteId": {"type": "string"},
                    "boundIds": {"type": "array", "items": {"type": "integer"}},
                },
            },
        ),
        "indexing_cron": Param(
            "0 6 * * *",
            type=["null", "string"],
            pattern=r"^\s*(\S+\s+){4}\S+\s*$",
            title="Indexing schedule",
            description="Cron expression of five fields: minute, hour, day of month, month, "
            "day of week. Leave it empty for no schedule.",
        ),
    },
) as dag:
    DatafoldUpdateHightouchOperator(
        task_id="update_schedule",
        bi_datasource_id="{{ params.bi_datasource_id }}",
        bindings="{{ params.bindings }}",
        indexing_cron="{{ params.indexing_cron }}",
    )

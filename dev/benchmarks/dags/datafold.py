"""A DAG of this provider's operator alone."""

from datetime import datetime

from airflow.sdk import DAG

from airflow_provider_datafold.operators.bi import DatafoldUpdateHightouchOperator

with DAG("datafold", schedule=None, start_date=datetime(2024, 1, 1)):
    DatafoldUpdateHightouchOperator(
        task_id="update",
        bi_datasource_id=7,
        bindings=[{"remoteId": "1", "boundIds": [1, 2]}],
        indexing_cron="0 6 * * *",
    )

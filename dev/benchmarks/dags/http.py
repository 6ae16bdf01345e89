"""A DAG of an ``HttpOperator`` alone."""

import json
from datetime import datetime

from airflow.providers.http.operators.http import HttpOperator
from airflow.sdk import DAG

with DAG("http", schedule=None, start_date=datetime(2024, 1, 1)):
    HttpOperator(
        task_id="update",
        method="PUT",
        endpoint="/api/v1/lineage/bi/hightouch/7/",
        headers={"Authorization": "Key benchmark-api-key", "Content-Type": "application/json"},
        data=json.dumps(
            {
                "token": "benchmark-hightouch-token",
                "bindings": [{"remoteId": "1", "boundIds": [1, 2]}],
                "indexing_cron": "0 6 * * *",
            }
        ),
        response_filter=lambda response: response.json(),
    )

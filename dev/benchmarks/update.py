"""The update that is measured, as each contender does it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator

API_KEY = "benchmark-api-key"
TOKEN = "benchmark-hightouch-token"

SCHEDULE: dict[str, Any] = {
    "bindings": [{"remoteId": "1", "boundIds": [1, 2]}],
    "indexing_cron": "0 6 * * *",
}
BODY = {"token": TOKEN, **SCHEDULE}
HEADERS = {"Authorization": f"Key {API_KEY}", "Content-Type": "application/json"}


def path(bi_datasource_id: int) -> str:
    """Return the path of an integration.

    :param bi_datasource_id: the integration's id.
    :return: the path on the service's host.
    """
    return f"/api/v1/lineage/bi/hightouch/{bi_datasource_id}/"


def connections(url: str, *, ca: str | None = None, **extra: Any) -> dict[str, str]:
    """Return the environment variables of the Airflow connections to a service.

    :param url: the service's address.
    :param ca: file of the CA that signed its certificate.
    :param extra: further extra fields of this provider's connection.
    :return: the variables' values by name.
    """
    all_connections: dict[str, dict[str, Any]] = {
        "datafold_default": {"conn_type": "datafold", "host": url, "password": API_KEY}
        | {"extra": {"ca_bundle": ca, **extra}},
        "hightouch_default": {"conn_type": "generic", "password": TOKEN},
        "http_default": {"conn_type": "http", "host": url, "extra": {"verify": ca} if ca else {}},
    }
    return {
        f"AIRFLOW_CONN_{name.upper()}": json.dumps(fields)
        for name, fields in all_connections.items()
    }


def put(url: str, ca: str | None = None) -> Any:
    """Update with a bare ``requests.put``.

    :param url: the service's address.
    :param ca: file of the CA that signed its certificate.
    :return: the parsed response.
    """
    import requests

    response = requests.put(url + path(7), json=BODY, headers=HEADERS, timeout=30, verify=ca)
    response.raise_for_status()
    return response.json()


def our_operator(bi_datasource_id: int = 7) -> BaseOperator:
    """Build this provider's operator.

    :param bi_datasource_id: the integration's id.
    :return: the operator.
    """
    from airflow_provider_datafold.operators.bi import DatafoldUpdateHightouchOperator

    return DatafoldUpdateHightouchOperator(
        task_id="update", bi_datasource_id=bi_datasource_id, **SCHEDULE
    )


def their_operator(task_id: str = "update") -> BaseOperator:
    """Build an ``HttpOperator`` that does the same.

    :param task_id: the task's id.
    :return: the operator.
    """
    from airflow.providers.http.operators.http import HttpOperator

    return HttpOperator(
        task_id=task_id,
        method="PUT",
        endpoint=path(7),
        headers=HEADERS,
        data=json.dumps(BODY),
        response_filter=_json,
    )


def execute(operator: BaseOperator) -> Any:
    """Execute an operator as Airflow's task runner does.

    :param operator: the operator.
    :return: what it returns.
    """
    from airflow.sdk.bases.operator import ExecutorSafeguard

    # Otherwise each execution would log a warning that no task runner called it.
    ExecutorSafeguard.tracker.set(operator)
    return operator.execute({})


def _json(response: Any) -> Any:
    return response.json()

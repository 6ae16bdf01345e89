"""What one update costs from the operator to the response, as each contender makes it."""

from __future__ import annotations

import json
import os
from typing import Any

import requests
from airflow.sdk import BaseHook, BaseOperator

from dev.benchmarks import server
from dev.benchmarks.environment import silenced
from dev.benchmarks.figure import BARE, FLOOR, OURS, THEIRS, Figure, interleave, medians, stopwatch

ONE = "one update, from operator to response"

API_KEY = "benchmark-api-key"
TOKEN = "benchmark-hightouch-token"
SCHEDULE: dict[str, Any] = {
    "bindings": [{"remoteId": "1", "boundIds": [1, 2]}],
    "indexing_cron": "0 6 * * *",
}
PATH = "/api/v1/lineage/bi/hightouch/7/"
_HEADERS = {"Authorization": f"Key {API_KEY}", "Content-Type": "application/json"}


class HandWritten(BaseOperator):
    """The operator that a user without a provider would write: the floor.

    It reads the two connections and sends; it checks, retries and masks nothing.
    """

    def execute(self, context: object) -> Any:
        """Update the integration.

        :param context: Airflow's task context, which is not used.
        :return: the parsed response.
        """
        datafold = BaseHook.get_connection("datafold_default")
        hightouch = BaseHook.get_connection("hightouch_default")
        response = requests.put(
            f"{datafold.host}{PATH}",
            json={"token": hightouch.password, **SCHEDULE},
            headers={"Authorization": f"Key {datafold.password}"},
            timeout=30,
        )
        response.raise_for_status()
        return response.json()


def measure(rounds: int) -> list[Figure]:
    """Measure updates.

    :param rounds: how many updates of each kind.
    :return: the time of an update.
    """
    with silenced(), server.running() as service:
        os.environ.update(connections(service.url))
        ways = {
            OURS: lambda: _execute(our_operator()),
            BARE: lambda: _put(service.url),
            THEIRS: lambda: _execute(their_operator()),
            FLOOR: lambda: _execute(HandWritten(task_id="update")),
        }
        found = interleave({name: stopwatch(way) for name, way in ways.items()}, rounds)
    return [Figure(ONE, "ms", medians(found), "ten lines by hand")]


def connections(url: str, *, ca: str | None = None) -> dict[str, str]:
    """Return the environment variables of the Airflow connections to a service.

    :param url: the service's address.
    :param ca: file of the CA that signed its certificate.
    :return: the variables' values by name.
    """
    extra = {"ca_bundle": ca}
    all_connections: dict[str, dict[str, Any]] = {
        "datafold": {"conn_type": "datafold", "host": url, "password": API_KEY, "extra": extra},
        "hightouch": {"conn_type": "generic", "password": TOKEN},
        "http": {"conn_type": "http", "host": url},
    }
    return {
        f"AIRFLOW_CONN_{name.upper()}_DEFAULT": json.dumps(fields)
        for name, fields in all_connections.items()
    }


def our_operator() -> BaseOperator:
    """Build this provider's operator."""
    from airflow_provider_datafold.operators.bi import DatafoldUpdateHightouchOperator

    return DatafoldUpdateHightouchOperator(task_id="update", bi_datasource_id=7, **SCHEDULE)


def their_operator(task_id: str = "update") -> BaseOperator:
    """Build an ``HttpOperator`` that does the same.

    :param task_id: the task's id.
    :return: the operator.
    """
    from airflow.providers.http.operators.http import HttpOperator

    return HttpOperator(
        task_id=task_id,
        method="PUT",
        endpoint=PATH,
        headers=_HEADERS,
        data=json.dumps({"token": TOKEN, **SCHEDULE}),
        response_filter=_json,
    )


def _put(url: str) -> Any:
    body = {"token": TOKEN, **SCHEDULE}
    response = requests.put(url + PATH, json=body, headers=_HEADERS, timeout=30)
    response.raise_for_status()
    return response.json()


def _execute(operator: BaseOperator) -> Any:
    """Execute an operator as Airflow's task runner does."""
    from airflow.sdk.bases.operator import ExecutorSafeguard

    # Otherwise each execution would log a warning that no task runner called it.
    ExecutorSafeguard.tracker.set(operator)
    return operator.execute({})


def _json(response: Any) -> Any:
    return response.json()

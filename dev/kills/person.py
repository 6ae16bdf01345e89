"""A user's actions on tasks, through Airflow's API, as Airflow's UI sends them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import requests

from dev.kills.plan import LOGICAL_DATE, RUN_ID

_TIMEOUT = 30


@dataclass(frozen=True)
class Task:
    """A task instance.

    :param state: Airflow's name for its state, ``None`` before it is scheduled.
    :param try_number: the number of its last try, 0 before the first.
    :param pid: the process of that try.
    :param map_index: its map index, -1 if it is not mapped.
    """

    state: str | None
    try_number: int
    pid: int | None
    map_index: int


class Person:
    """A user who is logged in to Airflow.

    :param url: Airflow's address.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._run_ids: dict[str, str] = {}
        self._token = self._ask("GET", "/auth/token")["access_token"]

    def trigger(self, dag_id: str, run_id: str = RUN_ID) -> None:
        """Start the DAG's only run.

        :param dag_id: the DAG.
        :param run_id: the run's id.
        """
        self._run_ids[dag_id] = run_id
        self._ask(
            "POST",
            f"/api/v2/dags/{dag_id}/dagRuns",
            {"dag_run_id": run_id, "logical_date": LOGICAL_DATE},
        )

    def has(self, dag_id: str) -> bool:
        """Return whether Airflow has read the DAG.

        :param dag_id: the DAG.
        """
        found = self._ask("GET", "/api/v2/dags?limit=100")["dags"]
        return any(dag["dag_id"] == dag_id for dag in found)

    def retries(self, dag_id: str, task_id: str) -> int:
        """Return the number of retries of a task, in the DAG as Airflow has read it last.

        :param dag_id: the DAG.
        :param task_id: the task.
        """
        return int(self._ask("GET", f"/api/v2/dags/{dag_id}/tasks/{task_id}")["retries"])

    def tasks(self, dag_id: str, task_id: str) -> list[Task]:
        """Return a task's instances, in the order of their map indexes.

        :param dag_id: the DAG.
        :param task_id: the task.
        """
        page = self._ask("GET", f"{self._run(dag_id)}/taskInstances?limit=100")
        found = [
            Task(entry["state"], entry["try_number"] or 0, entry["pid"], entry["map_index"])
            for entry in page["task_instances"]
            if entry["task_id"] == task_id
        ]
        return sorted(found, key=lambda task: task.map_index)

    def run_state(self, dag_id: str) -> str:
        """Return the state of the DAG's run.

        :param dag_id: the DAG.
        """
        return str(self._ask("GET", self._run(dag_id))["state"])

    def fail(self, dag_id: str, task_id: str) -> None:
        """Mark a task as failed.

        :param dag_id: the DAG.
        :param task_id: the task.
        """
        self._ask("PATCH", f"{self._run(dag_id)}/taskInstances/{task_id}", {"new_state": "failed"})

    def clear(self, dag_id: str, *task_ids: str) -> None:
        """Clear tasks.

        :param dag_id: the DAG.
        :param task_ids: the tasks.
        """
        self._ask(
            "POST",
            f"/api/v2/dags/{dag_id}/clearTaskInstances",
            {
                "dry_run": False,
                "dag_run_id": self._run_ids[dag_id],
                "task_ids": [*task_ids],
                "only_failed": False,
                "reset_dag_runs": True,
            },
        )

    def value(self, dag_id: str, task_id: str, map_index: int) -> Any:
        """Return what a task returned, ``None`` if it has returned nothing.

        :param dag_id: the DAG.
        :param task_id: the task.
        :param map_index: the map index, -1 if it is not mapped.
        """
        path = f"{self._run(dag_id)}/taskInstances/{task_id}/xcomEntries/return_value"
        response = self._send("GET", f"{path}?map_index={map_index}&stringify=false")
        if response.status_code == 404:
            return None
        response.raise_for_status()
        return response.json()["value"]

    def run_ids(self, dag_id: str) -> list[str]:
        """Return the ids of a DAG's runs that have succeeded, in the order of their starts.

        :param dag_id: the DAG.
        """
        page = self._ask(
            "GET", f"/api/v2/dags/{dag_id}/dagRuns?state=success&order_by=id&limit=100"
        )
        return [run["dag_run_id"] for run in page["dag_runs"]]

    def returned(self, dag_id: str, run_id: str, task_id: str) -> Any:
        """Return what a task that is not mapped returned in a run.

        :param dag_id: the DAG.
        :param run_id: the run.
        :param task_id: the task.
        """
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
        return self._ask("GET", f"{path}/xcomEntries/return_value?stringify=false")["value"]

    def _run(self, dag_id: str) -> str:
        return f"/api/v2/dags/{dag_id}/dagRuns/{self._run_ids[dag_id]}"

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        response = self._send(method, path, body)
        if not response.ok:
            raise RuntimeError(f"{method} {path}: {response.status_code} {response.text}")
        return response.json()

    def _send(self, method: str, path: str, body: Any = None) -> requests.Response:
        headers = {"Authorization": f"Bearer {self._token}"} if path != "/auth/token" else {}
        return requests.request(
            method, f"{self._url}{path}", json=body, headers=headers, timeout=_TIMEOUT
        )

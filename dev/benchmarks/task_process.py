"""One task as a worker runs it: ``python -m dev.benchmarks.task_process DAG_ID``.

Airflow's own supervisor forks the task's process, which parses the DAG's file, runs the task and
talks to the supervisor; only the API server behind it is a stand-in.
"""

from __future__ import annotations

import sys
from uuid import uuid4

import httpx
from airflow.executors.workloads.base import BundleInfo
from airflow.sdk.api.client import Client
from airflow.sdk.api.datamodels._generated import TaskInstance
from airflow.sdk.execution_time.supervisor import supervise_task

_DAY = "2024-01-01T00:00:00Z"


def main(dag_id: str) -> int:
    """Run the DAG's task.

    :param dag_id: id of a DAG in ``benchmarks/dags``, and name of its file.
    :return: exit code, 0 when the task has succeeded.
    """
    succeeded = []

    def respond(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/state") and b'"success"' in request.content:
            succeeded.append(request)
        is_start = request.url.path.endswith("/run")
        return httpx.Response(200, json=_start(dag_id) if is_start else {})

    supervise_task(
        ti=TaskInstance(
            id=uuid4(),
            task_id="update",
            dag_id=dag_id,
            run_id="run",
            try_number=1,
            dag_version_id=uuid4(),
        ),
        bundle_info=BundleInfo(name="benchmarks"),
        dag_rel_path=f"{dag_id}.py",
        token="",
        client=Client(base_url="http://stand-in", token="", transport=httpx.MockTransport(respond)),
    )
    return 0 if succeeded else 1


def _start(dag_id: str) -> dict[str, object]:
    """Return what a task is told about its run."""
    run: dict[str, object] = {
        "dag_id": dag_id,
        "run_id": "run",
        "run_type": "manual",
        "state": "running",
        "consumed_asset_events": [],
        "partition_key": None,
        "end_date": None,
    }
    times = ("logical_date", "data_interval_start", "data_interval_end", "start_date", "run_after")
    return {
        "dag_run": run | dict.fromkeys(times, _DAY),
        "max_tries": 0,
        "should_retry": False,
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

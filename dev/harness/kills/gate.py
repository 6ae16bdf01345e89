"""The gate of a case: a user's actions on it, through Airflow's API, and its state."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import psutil
import requests

from dev.harness.kills.plan import LOGICAL_DATE, RUN_ID, TASK_ID
from dev.harness.kills.scene import Scene

_ENDS = ("success", "failed", "skipped", "upstream_failed", "removed")
_LONGEST_WAIT = 90.0


class CaseError(Exception):
    """A case did not continue, or did not end as it must."""


def wait_until(what: str, condition: Callable[[], bool]) -> None:
    """Wait until something has happened; it is an error if that takes too long."""
    deadline = time.monotonic() + _LONGEST_WAIT
    while not condition():
        if time.monotonic() > deadline:
            raise CaseError(f"{_LONGEST_WAIT:g} s passed before {what}")
        time.sleep(0.3)


class Gate:
    """A gate of a DAG's only run. Its jobs are data diffs, or runs of a monitor or of CI."""

    def __init__(self, scene: Scene, dag_id: str, task_id: str = TASK_ID) -> None:
        self.scene, self.dag_id, self.task_id = scene, dag_id, task_id
        self.jobs = scene.service.jobs_of(dag_id)
        self.job = 0
        """The id of the newest job that was waited for."""
        self._run_id = RUN_ID

    @property
    def tasks(self) -> list[dict[str, Any]]:
        """Its task instances, as Airflow's API shows them: several if it is mapped."""
        page = self.scene.get(f"{self._run}/taskInstances", limit=100)
        found = [task for task in page["task_instances"] if task["task_id"] == self.task_id]
        return sorted(found, key=lambda task: int(task["map_index"]))

    @property
    def ids(self) -> list[int]:
        """The ids of its jobs, in the order of their starts."""
        return self.jobs.ids(f"{self.dag_id}.{self.task_id}")

    def values(self) -> list[Any]:
        return [self._value(task["map_index"]) for task in self.tasks]

    def start(self, run_id: str = RUN_ID) -> None:
        self._run_id = run_id
        body = {"dag_run_id": run_id, "logical_date": LOGICAL_DATE}
        self.scene.send("POST", f"dags/{self.dag_id}/dagRuns", json=body)

    def wait_for_job(self) -> None:
        """Wait until it has a newer job."""
        wait_until(f"it had a job after {self.job}", lambda: max(self.ids, default=0) > self.job)
        self.job = self.ids[-1]

    def wait_for_look(self, job: int | None = None) -> None:
        """Wait until a task or a trigger reads its job, or another one."""
        number = self.job if job is None else job
        before = self.jobs.reads(number)
        wait_until(f"it looked at job {number}", lambda: self.jobs.reads(number) > before)

    def begin(self) -> None:
        self.start()
        self.wait_for_job()
        self.wait_for_look()

    def finish(self) -> None:
        """Let its job end, and wait until Airflow has finished with it."""
        self.jobs.finish(self.job)
        self.wait_for_end()

    def go_on(self) -> None:
        """Wait until it waits for its job, and let both end."""
        self.wait_for_look()
        self.finish()

    def fail(self) -> None:
        path = f"{self._run}/taskInstances/{self.task_id}"
        self.scene.send("PATCH", path, json={"new_state": "failed"})

    def clear(self, *others: str) -> None:
        body = {
            "dry_run": False,
            "dag_run_id": self._run_id,
            "task_ids": [self.task_id, *others],
            "only_failed": False,
            "reset_dag_runs": True,
        }
        self.scene.send("POST", f"dags/{self.dag_id}/clearTaskInstances", json=body)

    def kill_worker(self) -> None:
        """Kill its process and its worker, as if their machine had crashed."""
        (task,) = self.tasks
        process = psutil.Process(task["pid"])
        # The worker first, or it would report the task's end.
        for each in (process.parent(), process):
            with suppress(psutil.NoSuchProcess):
                each.kill()

    def restart_triggerer(self) -> None:
        self.scene.triggerer.kill()
        self.scene.start_triggerer()

    def wait_for_end(self) -> None:

        def has_ended() -> bool:
            tasks = self.tasks
            return bool(tasks) and all(task["state"] in _ENDS for task in tasks)

        wait_until("it ended", has_ended)

    def wait_for_run(self) -> None:
        """Wait until Airflow has finished the run: if cleared before, it would stay finished."""
        wait_until("its run ended", lambda: self.scene.get(self._run)["state"] == "success")

    @property
    def _run(self) -> str:
        return f"dags/{self.dag_id}/dagRuns/{self._run_id}"

    def _value(self, map_index: int) -> Any:
        path = f"{self._run}/taskInstances/{self.task_id}/xcomEntries/return_value"
        try:
            return self.scene.get(path, map_index=map_index, stringify="false")["value"]
        except requests.HTTPError as error:
            if error.response.status_code == HTTPStatus.NOT_FOUND:
                return None
            raise

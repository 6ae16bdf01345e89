"""An Airflow of real processes, and the service that it calls."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from dev.kills import load
from dev.kills.person import Person, Task
from dev.kills.plan import CI_RUN, GATES, LOGICAL_DATE
from dev.kills.service import Service
from dev.local_airflow import FOR_PEOPLE, ROOT, LocalAirflow
from dev.local_airflow.postgresql import start_postgresql
from dev.local_airflow.programs import Program, Programs
from dev.sandbox import Sandbox

_DAGS = ROOT / "dev" / "kills" / "dags"
_TO_STOP = 60.0
"""Seconds that a cluster gives a triggerer to stop."""
_SETTINGS = {
    **FOR_PEOPLE,
    "PYTHONPATH": str(ROOT),
    "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
    # Each case has a task or two that wait in a worker at the same time.
    "AIRFLOW__CORE__PARALLELISM": "16",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "2",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "2",
    # How soon the tasks of a dead worker, and the triggers of a dead triggerer, are missed.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC": "2",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
}


class Scene:
    """Airflow and the service.

    :param programs: starts Airflow's programs.
    :param elsewhere: starts the programs of the second Airflow.
    :param home: a temporary folder.
    :param service: stands in for Datafold.
    """

    def __init__(
        self, programs: Programs, elsewhere: Programs, home: Path, service: Service
    ) -> None:
        self.service = service
        self._programs = programs
        # SQLite, Airflow's default, refuses some writes if several processes write.
        database = f"postgresql+psycopg2://{start_postgresql(programs, home)}"
        settings = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database}
        self._airflow = _airflow(programs, home / "airflow", service.sandbox, settings)
        self._elsewhere = _airflow(elsewhere, home / "elsewhere", service.sandbox, {})
        service.connect(load.SOURCE_ID, load.prepare(self.home))
        self._triggerer: Program | None = None
        self.person: Person

    @property
    def home(self) -> Path:
        """Airflow's home."""
        return self._airflow.home

    def start(self) -> None:
        """Start everything, and wait until Airflow knows the DAGs."""
        self._airflow.start("dag-processor", "scheduler")
        self.start_triggerer()
        self.person = Person(self._airflow.url)
        for dag_id in (list(GATES)[-1], CI_RUN):
            self._programs.until("Airflow had read the DAGs", partial(self.person.has, dag_id))

    def start_triggerer(self) -> None:
        """Start a triggerer."""
        command = self._airflow.command("triggerer", "triggerer", "--skip-serve-logs")
        self._triggerer = self._programs.start(replace(command, stop_signal=signal.SIGTERM))

    def kill_triggerer(self) -> None:
        """Kill the triggerer, as if its machine had crashed."""
        self._programs.kill(self._take_triggerer())

    def stop_triggerer(self) -> None:
        """Stop the triggerer cleanly, as a restart does."""
        self._programs.stop(self._take_triggerer(), _TO_STOP)

    def kill_worker(self, task: Task) -> None:
        """Kill a task and its worker, as if their machine had crashed.

        :param task: the task.
        """
        assert task.pid is not None
        # The worker first, or it would report the task's end.
        for pid in (_parent(task.pid), task.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def run_elsewhere(self, dag_id: str) -> None:
        """Run a DAG to its end in another Airflow.

        :param dag_id: the DAG.
        """
        self._elsewhere.run("elsewhere-migrate", "db", "migrate")
        self._elsewhere.run("elsewhere-run", "dags", "test", dag_id, LOGICAL_DATE)

    def run_id_elsewhere(self) -> str:
        """Return the id that the other Airflow has given to its only run."""
        with closing(sqlite3.connect(self._elsewhere.home / "airflow.db")) as connection:
            ((run_id,),) = connection.execute("select run_id from dag_run")
        return str(run_id)

    def _take_triggerer(self) -> Program:
        triggerer, self._triggerer = self._triggerer, None
        assert triggerer is not None
        return triggerer


def _airflow(
    programs: Programs, home: Path, sandbox: Sandbox, settings: Mapping[str, str]
) -> LocalAirflow:
    home.mkdir(mode=0o700)
    connection = {"conn_type": "datafold", "host": sandbox.url, "password": sandbox.api_key}
    connections = {"AIRFLOW_CONN_DATAFOLD_DEFAULT": json.dumps(connection)}
    return LocalAirflow(programs, home, _DAGS, {**_SETTINGS, **connections, **settings})


def _parent(pid: int) -> int:
    # The fields follow the program's name, which may contain anything.
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])

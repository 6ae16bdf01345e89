"""An Airflow of real processes, and the service that it calls."""

from __future__ import annotations

import os
import signal
import sqlite3
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import psutil

from dev.kills import load
from dev.kills.plan import CI_RUN, GATES, LOGICAL_DATE, MONITOR_RUN
from dev.kills.service import Service
from dev.local_airflow import LocalAirflow, TestedAirflow, connections_to
from dev.local_airflow.programs import Program, Programs

_TO_STOP = 60.0
"""Seconds that a cluster gives a triggerer to stop."""
_SETTINGS = {
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
        settings = {**_SETTINGS, **connections_to(service.sandbox)}
        self._airflow = TestedAirflow(programs, home, "kills", settings)
        there = home / "elsewhere"
        there.mkdir(mode=0o700)
        self._elsewhere = LocalAirflow(elsewhere, there, self._airflow.dags, settings)
        self.home, self.api = self._airflow.home, self._airflow.api
        service.connect(load.SOURCE_ID, load.prepare(self.home))
        self._triggerer: Program | None = None

    def start(self) -> None:
        """Start everything, and wait until Airflow knows the DAGs."""
        self._airflow.start("dag-processor", "scheduler")
        self.start_triggerer()

        def has_read() -> bool:
            known = {dag["dag_id"] for dag in self.api.get("dags", limit=100)["dags"]}
            return known >= {*GATES, MONITOR_RUN, CI_RUN}

        self._programs.until("Airflow had read the DAGs", has_read)

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

    def kill_worker(self, pid: int) -> None:
        """Kill a task and its worker, as if their machine had crashed.

        :param pid: the task's process.
        """
        # The worker first, or it would report the task's end.
        for each in (psutil.Process(pid).ppid(), pid):
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)

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

"""An Airflow of real processes, and the service that it calls."""

from __future__ import annotations

import sqlite3
from collections.abc import Set
from contextlib import closing
from pathlib import Path

from dev.harness.deployment import IMPATIENT, Deployment
from dev.harness.kills.plan import LOGICAL_DATE, SOURCE_ID, WAREHOUSE
from dev.harness.kills.service import ControlledService
from dev.local_airflow import LocalAirflow
from dev.local_airflow.programs import Programs
from dev.samples.connections import connections_to, in_environment
from dev.samples.warehouse import create_warehouse

_DAGS = Path(__file__).parent / "dags"
_SETTINGS = {
    **IMPATIENT,
    "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
    # Each case has a task or two that wait in a worker at the same time.
    "AIRFLOW__CORE__PARALLELISM": "16",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "2",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "2",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC": "2",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
}


class Scene(Deployment):
    """Airflow and the service, and another Airflow that calls the same service."""

    def __init__(self, programs: Programs, home: Path, service: ControlledService) -> None:
        super().__init__(programs, home, _DAGS, service.sandbox, _SETTINGS)
        self.service = service
        there = home / "elsewhere"
        there.mkdir(mode=0o700)
        logs = {"AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(programs.logs / "elsewhere")}
        settings = {**_SETTINGS, **logs, **in_environment(connections_to(service.sandbox))}
        self._elsewhere = LocalAirflow(programs, there, _DAGS, settings)
        create_warehouse(self.home / WAREHOUSE)
        service.state.data_sources.connect(SOURCE_ID, self.home / WAREHOUSE)

    def start_with(self, dag_ids: Set[str]) -> None:
        """Start everything, and wait until Airflow has read some DAGs."""
        self.start("dag-processor", "scheduler")
        self.start_triggerer()

        def has_read() -> bool:
            return dag_ids <= {dag["dag_id"] for dag in self.get("dags", limit=100)["dags"]}

        self.programs.until("Airflow had read the DAGs", has_read)

    def start_triggerer(self) -> None:
        self.triggerer = self.launch("triggerer", "triggerer", "--skip-serve-logs")

    def run_elsewhere(self, dag_id: str) -> None:
        self._elsewhere.run("elsewhere-migrate", "db", "migrate")
        self._elsewhere.run("elsewhere-run", "dags", "test", dag_id, LOGICAL_DATE)

    def run_id_elsewhere(self) -> str:
        with closing(sqlite3.connect(self._elsewhere.home / "airflow.db")) as connection:
            ((run_id,),) = connection.execute("select run_id from dag_run")
        return str(run_id)

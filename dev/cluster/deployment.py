"""Airflow as a cluster runs it, with Celery workers that come and go."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from dev.cluster.plan import CLUSTER
from dev.cluster.redis import start_redis
from dev.faults.fault import TOKEN
from dev.local_airflow import FOR_PEOPLE, ROOT, LocalAirflow, connections_to
from dev.local_airflow.postgresql import start_postgresql
from dev.local_airflow.programs import Program, Programs
from dev.sandbox import Sandbox

WORKERS = TRIGGERERS = 2
SLOTS = 4
"""Tasks that a worker runs at a time."""


class Deployment:
    """Airflow with PostgreSQL and Redis, all on loopback.

    :param programs: what its programs belong to.
    :param home: a throw-away folder.
    :param sandbox: what stands in for Datafold.
    """

    def __init__(self, programs: Programs, home: Path, sandbox: Sandbox) -> None:
        self._programs = programs
        self._names: Counter[str] = Counter()
        airflow_home = home / "airflow"
        airflow_home.mkdir(mode=0o700)
        postgresql = start_postgresql(programs, home)
        redis = start_redis(programs, home)
        self.database = f"postgresql+psycopg2://{postgresql}"
        self._airflow = LocalAirflow(
            programs,
            airflow_home,
            ROOT / "dev" / "cluster" / "dags",
            {
                **FOR_PEOPLE,
                "PYTHONPATH": str(ROOT),
                **connections_to(sandbox, TOKEN),
                "AIRFLOW__CELERY__BROKER_URL": redis,
                "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{self.database}",
                # The scheduler would have a process for each core ask how tasks are.
                "AIRFLOW__CELERY__SYNC_PARALLELISM": "1",
                "AIRFLOW__CELERY__WORKER_CONCURRENCY": str(SLOTS),
                "AIRFLOW__CELERY__WORKER_PREFETCH_MULTIPLIER": "1",
                "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
                # The next tasks are in the queue already when a slot becomes free.
                "AIRFLOW__CORE__PARALLELISM": str(2 * WORKERS * SLOTS),
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self.database,
                # How soon the tasks of a dead worker, and the triggers of a dead triggerer, are
                # missed; by default that takes minutes.
                "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
                "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
                "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
                "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "60",
                "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "3",
                "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
                "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
            },
        )

    def ask(self, run: int) -> None:
        """Have Airflow do all tasks of the plan.

        :param run: the DAG run's number.
        """
        self._airflow.trigger(CLUSTER.dag_id, str(run))

    def start(self) -> None:
        """Start everything but workers and triggerers."""
        self._airflow.start("dag-processor", "scheduler", restarts=True)

    def start_worker(self) -> Program:
        """Start one more Celery worker.

        :return: the worker.
        """
        name = self._name("worker")
        return self._start(
            name,
            "celery",
            "worker",
            f"--celery-hostname={name}@127.0.0.1",
            f"--pid={self._airflow.home}/{name}.pid",
            "--skip-serve-logs",
        )

    def start_triggerer(self) -> Program:
        """Start one more triggerer.

        :return: the triggerer.
        """
        return self._start(self._name("triggerer"), "triggerer", "--skip-serve-logs")

    def _name(self, part: str) -> str:
        self._names[part] += 1
        return f"{part}-{self._names[part]}"

    def _start(self, name: str, *arguments: str) -> Program:
        return self._programs.start(self._airflow.command(name, *arguments), restarts=True)

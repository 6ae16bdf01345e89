"""Airflow as a cluster runs it, with Celery workers that come and go."""

from __future__ import annotations

from pathlib import Path

from dev.cluster.redis import start_redis
from dev.local_airflow import ROOT, LocalAirflow, connections_to
from dev.local_airflow.postgresql import start_postgresql
from dev.local_airflow.programs import Program, Programs
from dev.sandbox import Sandbox

WORKERS = 2
SLOTS = 3
"""Tasks that a worker runs at a time."""


class Deployment:
    """Airflow with PostgreSQL and Redis, all on loopback.

    :param programs: what its programs belong to.
    :param home: a throw-away folder.
    :param sandbox: what stands in for Datafold.
    """

    def __init__(self, programs: Programs, home: Path, sandbox: Sandbox) -> None:
        self._programs = programs
        self._workers = 0
        airflow_home = home / "airflow"
        airflow_home.mkdir(mode=0o700)
        # PostgreSQL's account has to get at its own folder.
        home.chmod(0o711)
        postgresql = start_postgresql(programs, home)
        redis = start_redis(programs, home)
        self.database = f"postgresql+psycopg2://{postgresql}"
        self._airflow = LocalAirflow(
            programs,
            airflow_home,
            ROOT / "dev" / "cluster" / "dags",
            {
                "PYTHONPATH": str(ROOT),
                **connections_to(sandbox),
                "AIRFLOW__CELERY__BROKER_URL": redis,
                "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{self.database}",
                "AIRFLOW__CELERY__WORKER_CONCURRENCY": str(SLOTS),
                "AIRFLOW__CELERY__WORKER_PREFETCH_MULTIPLIER": "1",
                "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
                # What no worker has room for waits with the scheduler, so that only tasks which
                # a dead worker had fetched wait in the queue for long.
                "AIRFLOW__CORE__PARALLELISM": str(WORKERS * SLOTS),
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self.database,
                # How soon the tasks of a dead worker are missed; by default that takes minutes.
                "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
                "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
                "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "30",
                "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "3",
            },
        )

    def start(self) -> None:
        """Start everything but the workers."""
        self._airflow.start("dag-processor", "scheduler")

    def start_worker(self) -> Program:
        """Start one more Celery worker.

        :return: the worker.
        """
        self._workers += 1
        name = f"worker-{self._workers}"
        return self._programs.start(
            self._airflow.command(
                name,
                "celery",
                "worker",
                f"--celery-hostname={name}@127.0.0.1",
                f"--pid={self._airflow.home}/{name}.pid",
                "--skip-serve-logs",
            )
        )

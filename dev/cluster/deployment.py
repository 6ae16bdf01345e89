"""Airflow as a cluster runs it, with Celery workers that come and go."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from dev.cluster.redis import start_redis
from dev.faults.fault import TOKEN
from dev.local_airflow import TestedAirflow, connections_to
from dev.local_airflow.programs import Program, Programs
from dev.sandbox import Sandbox

WORKERS = TRIGGERERS = 2
SLOTS = 4
"""Tasks that a worker runs at a time."""
_SETTINGS = {
    # The scheduler would have a process for each core ask how tasks are.
    "AIRFLOW__CELERY__SYNC_PARALLELISM": "1",
    "AIRFLOW__CELERY__WORKER_CONCURRENCY": str(SLOTS),
    "AIRFLOW__CELERY__WORKER_PREFETCH_MULTIPLIER": "1",
    "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
    # The next tasks are in the queue already when a slot becomes free.
    "AIRFLOW__CORE__PARALLELISM": str(2 * WORKERS * SLOTS),
    # How soon the tasks of a dead worker, and the triggers of a dead triggerer, are missed; by
    # default that takes minutes.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "60",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "3",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
}


class Cluster(TestedAirflow):
    """Airflow with PostgreSQL and Redis, all on loopback.

    :param programs: what its programs belong to.
    :param home: a throw-away folder.
    :param sandbox: what stands in for Datafold.
    """

    def __init__(self, programs: Programs, home: Path, sandbox: Sandbox) -> None:
        settings = {**_SETTINGS, **connections_to(sandbox, TOKEN)}
        super().__init__(programs, home, "cluster", settings)
        self.settings |= {
            "AIRFLOW__CELERY__BROKER_URL": start_redis(programs, home),
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{self.database}",
        }
        self._names: Counter[str] = Counter()

    def start_worker(self) -> Program:
        """Start one more Celery worker."""
        name = self._name("worker")
        host, pid = f"--celery-hostname={name}@127.0.0.1", f"--pid={self.home}/{name}.pid"
        return self.launch(name, "celery", "worker", host, pid, "--skip-serve-logs", restarts=True)

    def start_triggerer(self) -> Program:
        """Start one more triggerer."""
        return self.launch(self._name("triggerer"), "triggerer", "--skip-serve-logs", restarts=True)

    def _name(self, part: str) -> str:
        self._names[part] += 1
        return f"{part}-{self._names[part]}"

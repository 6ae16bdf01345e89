"""Airflow as a cluster runs it, with Celery workers that come and go."""

from __future__ import annotations

import json
import os
import secrets
import signal
import sys
from pathlib import Path

from cluster.programs import Command, Program, Programs
from cluster.services import free_port, listens, start_postgresql, start_redis
from sandbox import Sandbox

ROOT = Path(__file__).resolve().parent.parent
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
        self._port = free_port()
        mine = {name: text for name, text in os.environ.items() if not name.startswith("AIRFLOW_")}
        self._environment = mine | {
            "AIRFLOW_HOME": str(airflow_home),
            "PYTHONPATH": str(ROOT),
            # What is killed can't tidy up after itself.
            "TMPDIR": str(airflow_home),
            "no_proxy": "127.0.0.1",
            "AIRFLOW_CONN_DATAFOLD_DEFAULT": json.dumps(
                {"conn_type": "datafold", "host": sandbox.url, "password": sandbox.api_key}
            ),
            "AIRFLOW_CONN_HIGHTOUCH_DEFAULT": json.dumps(
                {"conn_type": "generic", "password": secrets.token_urlsafe()}
            ),
            "AIRFLOW__API__SECRET_KEY": secrets.token_urlsafe(),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(64),
            "AIRFLOW__CELERY__BROKER_URL": redis,
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{self.database}",
            "AIRFLOW__CELERY__WORKER_CONCURRENCY": str(SLOTS),
            "AIRFLOW__CELERY__WORKER_PREFETCH_MULTIPLIER": "1",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "cluster" / "dags"),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{self._port}/execution/",
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            # What no worker has room for waits with the scheduler, so that only tasks which a
            # dead worker had fetched wait in the queue for long.
            "AIRFLOW__CORE__PARALLELISM": str(WORKERS * SLOTS),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self.database,
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(programs.logs / "tasks"),
            # How soon the tasks of a dead worker are missed; by default that takes minutes.
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
            "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "30",
            "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "3",
        }

    def start(self) -> None:
        """Start everything but the workers."""
        self._programs.run(self._airflow("db-migrate", "db", "migrate"))
        self._programs.start(
            self._airflow(
                "api-server",
                "api-server",
                "--host=127.0.0.1",
                f"--port={self._port}",
                "--workers=1",
            )
        )
        self._programs.until("the API server listened", lambda: listens(self._port))
        self._programs.start(self._airflow("dag-processor", "dag-processor"))
        self._programs.start(self._airflow("scheduler", "scheduler", "--skip-serve-logs"))

    def start_worker(self) -> Program:
        """Start one more Celery worker.

        :return: the worker.
        """
        self._workers += 1
        name = f"worker-{self._workers}"
        return self._programs.start(
            self._airflow(
                name,
                "celery",
                "worker",
                f"--celery-hostname={name}@127.0.0.1",
                f"--pid={self._environment['AIRFLOW_HOME']}/{name}.pid",
                "--skip-serve-logs",
            )
        )

    def _airflow(self, name: str, *arguments: str) -> Command:
        return Command(
            name,
            [sys.executable, "-m", "airflow", *arguments],
            environment=self._environment,
            # It would wait for its tasks, and nobody needs them any more.
            stop_signal=signal.SIGKILL,
        )

"""Airflow as it is deployed: with PostgreSQL, for Celery with Redis."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from dev.faults.fault import TOKEN
from dev.harness.database import Database
from dev.local_airflow import FOR_PEOPLE, ROOT, LocalAirflow
from dev.local_airflow.ports import free_port, listens
from dev.local_airflow.postgresql import start_postgresql
from dev.local_airflow.programs import Command, ProgramError, Programs
from dev.samples.connections import connections_to, in_environment
from dev.sandbox import Sandbox

IMPATIENT = {
    # How soon the tasks of a dead worker, and the triggers of a dead triggerer, are missed; by
    # default that takes minutes.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
}


class Deployment(LocalAirflow):
    """Airflow without a login, in a throw-away home, for which Datafold is the sandbox.

    It has PostgreSQL because SQLite refuses some writes where several processes write.
    """

    def __init__(
        self, programs: Programs, home: Path, dags: Path, sandbox: Sandbox, more: Mapping[str, str]
    ) -> None:
        airflow_home = home / "airflow"
        airflow_home.mkdir(mode=0o700)
        self.database = Database(f"postgresql+psycopg2://{start_postgresql(programs, home)}")
        mine = {"PYTHONPATH": str(ROOT), "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self.database.url}
        mine |= FOR_PEOPLE | in_environment(connections_to(sandbox, hightouch_token=TOKEN))
        super().__init__(programs, airflow_home, dags, {**mine, **more})


def start_redis(programs: Programs, home: Path) -> str:
    """Start Redis with nothing in it, and return its URL."""
    server = shutil.which("redis-server")
    if server is None:
        raise ProgramError("There is no redis-server; install Debian's package redis-server.")
    folder = home / "redis"
    folder.mkdir(mode=0o700)
    port, password = free_port(), secrets.token_hex()
    # In a file, because everyone can read a command line.
    settings = folder / "redis.conf"
    settings.write_text(f'bind 127.0.0.1\nport {port}\nrequirepass {password}\nsave ""\n')
    programs.start(Command("redis", [server, settings], folder=folder))
    programs.until("Redis listened", lambda: listens(port))
    return f"redis://:{password}@127.0.0.1:{port}/0"

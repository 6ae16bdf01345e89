"""Airflow's parts, each a program of its own: on loopback, with a throw-away home."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from dev.local_airflow.ports import free_port
from dev.local_airflow.programs import Command, Programs
from dev.sandbox import Sandbox

ROOT = Path(__file__).resolve().parents[2]
_PARTS = {"dag-processor": "dag_processor", "scheduler": "scheduler", "triggerer": "triggerer"}
"""By their commands, what the API server calls them when it is asked for their health."""

FOR_PEOPLE = {
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
    "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
}
"""Settings for whoever looks at the pages: there is no login, and connections can be tested."""


def connections_to(sandbox: Sandbox) -> dict[str, str]:
    """Give the two connections that the example DAGs need, as settings.

    :param sandbox: what stands in for Datafold.
    :return: environment variables.
    """
    return {
        "AIRFLOW_CONN_DATAFOLD_DEFAULT": json.dumps(
            {"conn_type": "datafold", "host": sandbox.url, "password": sandbox.api_key}
        ),
        "AIRFLOW_CONN_HIGHTOUCH_DEFAULT": json.dumps(
            {"conn_type": "generic", "password": secrets.token_urlsafe()}
        ),
    }


class LocalAirflow:
    """Airflow as its own programs run it, not ``airflow standalone``.

    That would have its log servers listen on every interface, on ports that may be taken.

    :param programs: what Airflow's programs belong to.
    :param home: a throw-away folder, which has to exist.
    :param dags: the folder of the DAGs.
    :param settings: environment variables that count beside, and before, those set here.
    """

    def __init__(
        self, programs: Programs, home: Path, dags: Path, settings: Mapping[str, str]
    ) -> None:
        self.home = home
        self._programs = programs
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        mine = {name: text for name, text in os.environ.items() if not name.startswith("AIRFLOW_")}
        self._environment = {
            **mine,
            "AIRFLOW_HOME": str(home),
            # What is killed can't tidy up after itself.
            "TMPDIR": str(home),
            "no_proxy": "127.0.0.1",
            "AIRFLOW__API__SECRET_KEY": secrets.token_urlsafe(),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(64),
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(programs.logs / "tasks"),
            **settings,
        }

    def start(self, *parts: str) -> None:
        """Make the database, then start the API server and further parts.

        :param parts: Airflow's commands, such as ``"scheduler"``; this waits until they are well.
        """
        self.run("db-migrate", "db", "migrate")
        self._programs.start(
            self.command(
                "api-server",
                "api-server",
                "--host=127.0.0.1",
                f"--port={self._port}",
                "--workers=1",
            )
        )
        for part in parts:
            quiet = [] if part == "dag-processor" else ["--skip-serve-logs"]
            self._programs.start(self.command(part, part, *quiet))
        self._programs.until("Airflow was well", lambda: self._is_well(*parts))

    def run(self, name: str, *arguments: str, may_fail: bool = False) -> None:
        """Run an ``airflow`` command to its end.

        :param name: what to call it, and its log.
        :param arguments: its arguments.
        :param may_fail: whether a failure of the command is no error.
        """
        self._programs.run(self.command(name, *arguments), may_fail=may_fail)

    def returned(self, dag_id: str) -> dict[str, Any]:
        """Ask Airflow what the tasks of a DAG returned in its only run.

        :param dag_id: the DAG.
        :return: by task.
        """
        file = self.home / "returned.json"
        ask = [sys.executable, "-m", "dev.local_airflow.returned", dag_id, str(file)]
        self._programs.run(replace(self.command("returned"), arguments=ask, folder=ROOT))
        return {task: value for task, (_, value) in json.loads(file.read_text()).items()}

    def command(self, name: str, *arguments: str) -> Command:
        """Say how to start an ``airflow`` command.

        :param name: what to call it, and its log.
        :param arguments: its arguments.
        :return: the command.
        """
        return Command(
            name,
            [sys.executable, "-m", "airflow", *arguments],
            environment=self._environment,
            # It would wait for its tasks, and nobody needs them any more.
            stop_signal=signal.SIGKILL,
        )

    def _is_well(self, *parts: str) -> bool:
        with suppress(OSError, http.client.HTTPException, ValueError):
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
            connection.request("GET", "/api/v2/monitor/health")
            health = json.loads(connection.getresponse().read())
            return all(health[_PARTS[part]]["status"] == "healthy" for part in parts)
        return False

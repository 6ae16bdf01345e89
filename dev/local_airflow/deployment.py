"""Airflow's parts, each a program of its own: on loopback, with a throw-away home."""

from __future__ import annotations

import json
import os
import secrets
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

import requests

from dev.local_airflow.api import Api, ApiError
from dev.local_airflow.ports import free_port
from dev.local_airflow.postgresql import start_postgresql
from dev.local_airflow.programs import Command, Program, Programs
from dev.sandbox import Sandbox

ROOT = Path(__file__).resolve().parents[2]
_PARTS = {"dag-processor": "dag_processor", "scheduler": "scheduler", "triggerer": "triggerer"}
"""By their commands, what the API server calls them when it is asked for their health."""

FOR_PEOPLE = {
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
    "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
}
"""Settings for whoever looks at the pages: there is no login, and connections can be tested."""


def connections_to(sandbox: Sandbox, hightouch_token: str | None = None) -> dict[str, str]:
    """Give the two connections that the example DAGs need, as settings.

    :param sandbox: what stands in for Datafold.
    :param hightouch_token: the secret that updates of Hightouch send; a random one by default.
    :return: environment variables.
    """
    return {
        "AIRFLOW_CONN_DATAFOLD_DEFAULT": json.dumps(
            {"conn_type": "datafold", "host": sandbox.url, "password": sandbox.api_key}
        ),
        "AIRFLOW_CONN_HIGHTOUCH_DEFAULT": json.dumps(
            {"conn_type": "generic", "password": hightouch_token or secrets.token_urlsafe()}
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
        self.home, self.dags = home, dags
        self._programs = programs
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.api = Api(self.url)
        mine = {name: text for name, text in os.environ.items() if not name.startswith("AIRFLOW_")}
        self.settings = {
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

    def start(self, *parts: str, restarts: bool = False) -> dict[str, Program]:
        """Make the database, then start the API server and further parts.

        :param parts: Airflow's commands, such as ``"scheduler"``; this waits until they are well.
        :param restarts: whether to start again what ends by itself.
        :return: the further parts, by their commands.
        """
        self.run("db-migrate", "db", "migrate")
        where = ("--host=127.0.0.1", f"--port={self._port}", "--workers=1")
        self.launch("api-server", "api-server", *where, restarts=restarts)
        started = {}
        for part in parts:
            quiet = [] if part == "dag-processor" else ["--skip-serve-logs"]
            started[part] = self.launch(part, part, *quiet, restarts=restarts)
        self._programs.until("Airflow was well", lambda: self._is_well(*parts))
        return started

    def trigger(self, dag_id: str, run_id: str) -> None:
        """Start a run of a DAG, as soon as Airflow has read the DAG; :data:`FOR_PEOPLE` allows it.

        :param dag_id: the DAG.
        :param run_id: the run's id.
        """

        def is_started() -> bool:
            body = {"dag_run_id": run_id, "logical_date": None}
            try:
                self.api.send("POST", f"dags/{dag_id}/dagRuns", body)
            except ApiError as error:
                # There is one already if the reply to an earlier request was lost.
                return error.status == HTTPStatus.CONFLICT
            except requests.RequestException:
                return False
            return True

        self._programs.until(f"run {run_id} of {dag_id} was started", is_started)

    def launch(self, name: str, *arguments: str, restarts: bool = False) -> Program:
        """Start an ``airflow`` command that has to run until it is killed.

        :param name: what to call it, and its log.
        :param arguments: its arguments.
        :param restarts: whether to start it again when it ends by itself.
        """
        return self._programs.start(self.command(name, *arguments), restarts=restarts)

    def run(self, name: str, *arguments: str, may_fail: bool = False) -> None:
        """Run an ``airflow`` command to its end.

        :param name: what to call it, and its log.
        :param arguments: its arguments.
        :param may_fail: whether a failure of the command is no error.
        """
        self._programs.run(self.command(name, *arguments), may_fail=may_fail)

    def returned(self, dag_id: str, key: str = "return_value") -> dict[str, Any]:
        """Ask Airflow what the tasks of a DAG returned in its only run.

        :param dag_id: the DAG.
        :param key: the key of something else that they left in XCom.
        :return: by task.
        """
        file = self.home / "returned.json"
        ask = [sys.executable, "-m", "dev.local_airflow.returned", dag_id, str(file), key]
        self._programs.run(replace(self.command("returned"), arguments=ask, folder=ROOT))
        return {task: value for task, (_, value) in json.loads(file.read_text()).items()}

    def command(self, name: str, *arguments: str) -> Command:
        """Say how to start an ``airflow`` command.

        :param name: what to call it, and its log.
        :param arguments: its arguments.
        :return: the command.
        """
        return self.python(name, "airflow", *arguments)

    def python(self, name: str, module: str, *arguments: str) -> Command:
        """Say how to start a module that sees what this Airflow's parts see.

        :param name: what to call it, and its log.
        :param module: the module.
        :param arguments: its arguments.
        :return: the command.
        """
        return Command(
            name,
            [sys.executable, "-m", module, *arguments],
            environment=self.settings,
            # It would wait for its tasks, and nobody needs them any more.
            stop_signal=signal.SIGKILL,
        )

    def _is_well(self, *parts: str) -> bool:
        with suppress(requests.RequestException, ValueError, KeyError):
            health = requests.get(f"{self.url}/api/v2/monitor/health", timeout=10).json()
            return all(health[_PARTS[part]]["status"] == "healthy" for part in parts)
        return False


class TestedAirflow(LocalAirflow):
    """Airflow with PostgreSQL, and without a login: what a test of a whole deployment needs.

    SQLite, Airflow's default, refuses some writes where several processes write.

    :param programs: what Airflow's programs belong to.
    :param home: a throw-away folder, which has to exist.
    :param tool: the folder of the test, beside this one, with the DAGs.
    :param settings: environment variables that count beside, and before, those set here.
    """

    __test__ = False

    def __init__(
        self, programs: Programs, home: Path, tool: str, settings: Mapping[str, str]
    ) -> None:
        airflow_home = home / "airflow"
        airflow_home.mkdir(mode=0o700)
        self.database = f"postgresql+psycopg2://{start_postgresql(programs, home)}"
        mine = {"PYTHONPATH": str(ROOT), "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self.database}
        dags = ROOT / "dev" / tool / "dags"
        super().__init__(programs, airflow_home, dags, {**FOR_PEOPLE, **mine, **settings})

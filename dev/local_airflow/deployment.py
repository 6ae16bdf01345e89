"""Airflow's parts, each a program of its own: on loopback, with a throw-away home."""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import Any

import requests

from dev.local_airflow.ports import free_port
from dev.local_airflow.programs import Command, Program, Programs

ROOT = Path(__file__).resolve().parents[2]

FOR_PEOPLE = {
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
    "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
    "AIRFLOW__DATAFOLD__PAGE": "True",
}
"""Settings for people who look at the pages: no login, connections can be tested, our own page."""

_TIMEOUT = 30.0


class LocalAirflow:
    """Airflow as its own programs run it, not ``airflow standalone``.

    That would have its log servers listen on every interface, on ports that may be taken.
    """

    def __init__(
        self, programs: Programs, home: Path, dags: Path, settings: Mapping[str, str]
    ) -> None:
        self.programs, self.home = programs, home
        self.parts: dict[str, Program] = {}
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
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
        """Make the database, start the API server and parts such as ``"scheduler"``, and wait."""
        self.run("db-migrate", "db", "migrate")
        where = ("--host=127.0.0.1", f"--port={self._port}", "--workers=1")
        self.launch("api-server", "api-server", *where, restarts=restarts)
        for part in parts:
            quiet = [] if part == "dag-processor" else ["--skip-serve-logs"]
            self.parts[part] = self.launch(part, part, *quiet, restarts=restarts)
        self.programs.until("Airflow was well", lambda: self._is_well(*parts))
        return self.parts

    def launch(self, name: str, *arguments: str, restarts: bool = False) -> Program:
        """Start an ``airflow`` command that has to run until it is killed, under some name."""
        return self.programs.start(self.python(name, "airflow", *arguments), restarts=restarts)

    def run(self, name: str, *arguments: str, may_fail: bool = False) -> None:
        """Run an ``airflow`` command to its end, under some name."""
        self.programs.run(self.python(name, "airflow", *arguments), may_fail=may_fail)

    def python(self, name: str, module: str, *arguments: str) -> Command:
        """Return how to start a module that sees what this Airflow's parts see."""
        # What stops it at once kills it: it would wait for its tasks, which nobody needs any more.
        return Command(name, [sys.executable, "-m", module, *arguments], self.settings)

    def returned(self, dag_id: str, key: str = "return_value") -> dict[str, Any]:
        """Return what the tasks of a DAG left in XCom in its only run, by task."""
        file = self.home / "returned.json"
        ask = self.python("returned", "dev.local_airflow.returned", dag_id, str(file), key)
        self.programs.run(replace(ask, folder=ROOT))
        return {task: value for task, (_, value) in json.loads(file.read_text()).items()}

    def get(self, path: str, **query: Any) -> Any:
        """Read something from Airflow's REST API, where :data:`FOR_PEOPLE` allows everything."""
        return self.send("GET", path, params=query)

    def send(self, method: str, path: str, **more: Any) -> Any:
        """Send a request to Airflow's REST API, with what else :func:`requests.request` takes."""
        response = requests.request(
            method,
            f"{self.url}/api/v2/{path}",
            headers={"Authorization": f"Bearer {self._token}"},
            timeout=_TIMEOUT,
            **more,
        )
        if not response.ok:
            what = f"{method} {path}: {response.status_code} {response.text}"
            raise requests.HTTPError(what, response=response)
        return response.json()

    def trigger(self, dag_id: str, run_id: str) -> None:
        """Start a run of a DAG, as soon as Airflow has read the DAG."""

        def is_started() -> bool:
            body = {"dag_run_id": run_id, "logical_date": None}
            try:
                self.send("POST", f"dags/{dag_id}/dagRuns", json=body)
            except requests.RequestException as error:
                # There is one already if the response to an earlier request was lost.
                response = error.response
                return response is not None and response.status_code == HTTPStatus.CONFLICT
            return True

        self.programs.until(f"run {run_id} of {dag_id} was started", is_started)

    @cached_property
    def _token(self) -> str:
        found = requests.get(f"{self.url}/auth/token", timeout=_TIMEOUT).json()
        return str(found["access_token"])

    def _is_well(self, *parts: str) -> bool:
        with suppress(requests.RequestException, ValueError, KeyError):
            health = requests.get(f"{self.url}/api/v2/monitor/health", timeout=_TIMEOUT).json()
            return all(health[part.replace("-", "_")]["status"] == "healthy" for part in parts)
        return False

"""Secrets are sent, and appear in nothing that Airflow writes, even if Datafold repeats them."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from airflow import __version__ as airflow_version
from fastapi import Response

from dev.sandbox.course import Course, Step
from dev.sandbox.data_diffs import DIFFERENT, IDENTICAL
from tests.conductor import Conductor
from tests.conftest import API_KEY, ROOT, TOKEN, shows_error
from tests.integrations import SECRET_FIELDS

pytestmark = pytest.mark.airflow

MODE_TOKEN = "planted-mode-token-4b8a"
PASSWORD = "planted-warehouse-password-3b8a"

OTHERS = ("looker", "mode")
OTHER = {
    "conn_type": "generic",
    "host": "https://bi.example.com",
    "login": "who",
    "password": TOKEN,
    "extra": {"token": MODE_TOKEN, "site_id": "site"},
}
STATUSES = (200, 302, 401, 422, 503)

ECHO = f"cannot log in with {PASSWORD} and Key {API_KEY}"


def _ends(status: str, **outcome: Any) -> Course:
    return Course((Step("waiting"), Step("processing")), status, outcome)


_FOUND = {
    "values": {"columns_diff_stats": [{"column_name": ECHO, "values_different": 5}]},
    "schema": {"exclusive_columns": [[API_KEY], [PASSWORD]]},
}
COURSES = {
    "failed": _ends("failed", error={"error_type": "LoginError", "error_value": ECHO}),
    "failed_for_good": _ends("failed", error={"error_value": ECHO, "is_retryable": False}),
    "differs": _ends("done", **DIFFERENT.outcome, summary_results=_FOUND),
    "passed": _ends("done", **DIFFERENT.outcome, summary_results=_FOUND),
    "odd": _ends("done", result=f"odd: {API_KEY}"),
    "refused": IDENTICAL,
}

DAG_FILE = """
import sys
from datetime import datetime

from airflow import __version__ as airflow_version
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_datafold.hooks.datafold import DatafoldHook
from airflow_provider_datafold.operators import bi
from airflow_provider_datafold.operators.bi import DatafoldUpdateHightouchOperator as Update
from airflow_provider_datafold.operators.data_diffs import DatafoldRunDataDiffOperator as Gate
from airflow_provider_datafold.sensors.data_diffs import DatafoldDataDiffSensor as Sensor
from dev.local_airflow import returned
from tests import pauses

FILLED = {"bi_datasource_id": 7, "bindings": [], "indexing_cron": None}
OTHERS = {
    bi.DatafoldUpdateLookerOperator: {"repo_id": 3, "bindings": []},
    bi.DatafoldUpdateModeOperator: {},
}

with DAG(
    "secrets",
    schedule=None,
    start_date=datetime(2024, 1, 1),
    default_args={"retries": 0},
) as dag:
    for name in [*(f"status_{each}" for each in STATUSES), "no_json", "refused", "wrong_key"]:
        Update(task_id=name, datafold_conn_id=name, **FILLED)
    Update(task_id="no_connection", datafold_conn_id="nowhere", **FILLED)
    Update(
        task_id="no_token", datafold_conn_id="status_200", hightouch_conn_id="nowhere", **FILLED
    )
    Update(task_id="secret_in_the_wrong_place", datafold_conn_id="status_200", **{
        **FILLED, "indexing_cron": "* * * * {{ conn.hightouch_default.password }}"
    })
    for other, fields in OTHERS.items():
        for status in (200, 422):
            other(
                task_id=f"{other.kind}_{status}",
                datafold_conn_id=f"status_{status}",
                bi_datasource_id=7,
                indexing_cron=None,
                **fields,
            )

    data_diff = {"data_source1_id": 1, "data_source2_id": 1, "pk_columns": ["id"]}
    session = {"password": "{{ conn.warehouse.password }}"}
    for name in NAMES:
        for mode in ("worker", "triggerer"):
            Gate(
                task_id=f"{name}_{mode}",
                **{**data_diff, "table1": "A", "table2": "B", "tags": [name]},
                options={"data_source1_session_parameters": session},
                on_difference="pass" if name == "passed" else "fail",
                deferrable=mode == "triggerer",
                poll_interval=0.01,
            )
    key = "{{ conn.datafold_default.password }}"
    Gate(task_id="in_the_wrong_place", **data_diff, table1=key + "..B", table2=key)
    Sensor(task_id="sensor", datadiff_id=key)

if __name__ == "__main__":
    # A worker of Airflow 3.0 sets up its logging so. Without, as in `airflow dags test`, that
    # version masks nothing, prints each secret that it is asked to mask, and all variables.
    if airflow_version.startswith("3.0."):
        from airflow.sdk.log import configure_logging

        configure_logging(enable_pretty_log=False, output=sys.stdout.buffer)
    pauses.shorten()
    dag.test()
    returned.main("secrets", sys.argv[1], "return_value")
"""


class Echo(BaseHTTPRequestHandler):
    """Responds with everything that was sent, with the status in the first part of the path."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.bodies.append(sent)  # type: ignore[attr-defined]
        secret = next(sent[field] for field in SECRET_FIELDS if field in sent)
        status = int(self.path.split("/")[1])
        echo: Any = {**sent, "headers": dict(self.headers), "nested": [f"Bearer {secret}"]}
        if status == 422:
            message = f"{secret} is wrong"
            echo = {"detail": [{"loc": ["body", secret], "msg": message, "input": echo}]}
        content = json.dumps(echo).encode()
        if self.path.split("/")[2] == "no_json":
            content = b"<html>" + content
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Location", f"https://{secret}.example.com/{secret}")
        self.send_header("X-Echo", self.headers["Authorization"])
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def echo() -> Iterator[Any]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        server.bodies = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def _refused(response: Any) -> Response:
    error = {"loc": ["body", PASSWORD], "msg": ECHO, "input": {"password": PASSWORD}}
    return Response(json.dumps({"detail": [error]}).encode(), 422)


def environment(home: Path, port: int, sandbox: str) -> dict[str, str]:
    base = f"http://127.0.0.1:{port}"
    places = {
        "datafold_default": sandbox,
        "no_json": f"{base}/200/no_json",
        "refused": "http://127.0.0.1:1",
        "wrong_key": f"{base}/200/ok",
        **{f"status_{status}": f"{base}/{status}/status" for status in STATUSES},
    }
    connections: dict[str, Any] = {
        name: {
            "conn_type": "datafold",
            "host": host,
            "password": f"{API_KEY}\n{API_KEY}" if name == "wrong_key" else API_KEY,
            "extra": {"max_retries": int(name == "status_503")},
        }
        for name, host in places.items()
    }
    connections["warehouse"] = {"conn_type": "generic", "password": PASSWORD}
    connections["hightouch_default"] = {"conn_type": "http", "password": TOKEN}
    connections |= {f"{kind}_default": OTHER for kind in OTHERS}
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
        **{f"AIRFLOW_CONN_{name.upper()}": json.dumps(it) for name, it in connections.items()},
    }


# Some versions of Airflow log the request to mask a secret, at debug level, and 3.0 logs so the
# rendered fields before it masks them.
AIRFLOWS_OWN = ["MaskSecret"]
if airflow_version.startswith("3.0."):
    AIRFLOWS_OWN.append("SetRenderedFields")


def secret_lines(text: str) -> list[str]:
    return [
        line
        for line in text.splitlines()
        if any(secret in line for secret in (API_KEY, TOKEN, MODE_TOKEN, PASSWORD))
        and not any(own in line for own in AIRFLOWS_OWN)
    ]


def test_nothing_is_written_down(
    echo: Any, sandbox: Any, new_database: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Conductor(monkeypatch, COURSES, {"refused": {"create": [_refused, ...]}})
    shutil.copy(new_database, tmp_path)
    (tmp_path / "dags").mkdir()
    file = tmp_path / "dags" / "planted.py"
    file.write_text(
        DAG_FILE.replace("STATUSES", repr(STATUSES)).replace("NAMES", repr(list(COURSES)))
    )
    done = subprocess.run(
        [sys.executable, str(file), str(tmp_path / "returned.json")],
        env=environment(tmp_path, echo.server_port, sandbox.url),
        capture_output=True,
        text=True,
        timeout=300,
    )
    output = done.stdout + done.stderr

    assert (tmp_path / "returned.json").exists(), output[-5000:]
    found = json.loads((tmp_path / "returned.json").read_text())
    states = {task: state for task, (state, _) in found.items()}
    with sqlite3.connect(tmp_path / "airflow.db") as database:
        dump = "\n".join(database.iterdump())
    logs = "\n".join(path.read_text() for path in (tmp_path / "logs").rglob("*.log"))

    passed = {"status_200", *(f"{kind}_200" for kind in OTHERS)}
    passed |= {"passed_worker", "passed_triggerer"}
    assert {task for task, state in states.items() if state == "success"} == passed, output[-5000:]
    assert {state for task, state in states.items() if task not in passed} == {"failed"}
    assert len(states) == len(STATUSES) + 6 + 2 * len(OTHERS) + 2 * len(COURSES) + 2
    hightouch = [body for body in echo.bodies if "bindings" in body and "repo_id" not in body]
    # 503 is tried twice, and there is the one without JSON.
    assert [body["token"] for body in hightouch] == [TOKEN] * (len(STATUSES) + 2)
    assert len(echo.bodies) == len(hightouch) + 2 * len(OTHERS)
    mode = found["mode_200"][1]
    assert (mode["token"], mode["password"]) == ("***", "***")
    echoed = found["status_200"][1]
    assert echoed["token"] == "***"
    assert echoed["nested"] == ["Bearer ***"]
    assert echoed["headers"]["Authorization"] == "Key ***"

    # The password was sent, and all messages about it were shown.
    bodies = [request.body for request in sandbox.state.requests if request.method == "POST"]
    assert len(bodies) == 2 * len(COURSES)
    assert all(PASSWORD.encode() in body for body in bodies)
    assert output.count("cannot log in with *** and Key ***") >= 2 * 5
    assert "not '* * * * ***' (str)" in output

    path = "/api/v1/lineage/bi/hightouch/7/"
    assert shows_error(output, "DatafoldValidationError", f"PUT {path}")
    assert "body.***: *** is wrong" in output
    assert secret_lines(output) == []
    assert secret_lines(dump) == []
    assert secret_lines(logs) == []

"""No secret of a gate appears in anything that Airflow writes, even if Datafold repeats it."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from airflow import __version__ as airflow_version
from fastapi import Response

from dev.sandbox.course import Course, Step
from dev.sandbox.data_diffs import DIFFERENT, IDENTICAL
from tests.conductor import Conductor
from tests.conftest import API_KEY

pytestmark = pytest.mark.airflow

PASSWORD = "planted-warehouse-password-3b8a"
ECHO = f"cannot log in with {PASSWORD} and Key {API_KEY}"

DAG_FILE = """
import sys
from datetime import datetime

from airflow import __version__ as airflow_version
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_datafold.operators.data_diffs import DatafoldRunDataDiffOperator as Gate
from airflow_provider_datafold.sensors.data_diffs import DatafoldDataDiffSensor as Sensor

with DAG(
    "gate_secrets",
    schedule=None,
    start_date=datetime(2024, 1, 1),
    default_args={"retries": 0},
) as dag:
    for name in NAMES:
        for mode in ("worker", "triggerer"):
            gate = Gate(
                task_id=f"{name}_{mode}",
                data_source1_id=1,
                data_source2_id=1,
                table1="A",
                table2="B",
                pk_columns=["id"],
                tags=[name],
                options={
                    "data_source1_session_parameters": {
                        "password": "{{ conn.warehouse.password }}"
                    }
                },
                on_difference="pass" if name == "passed" else "fail",
                deferrable=mode == "triggerer",
                poll_interval=0.01,
            )
    Gate(
        task_id="in_the_wrong_place",
        data_source1_id=1,
        data_source2_id=1,
        table1="{{ conn.datafold_default.password }}..B",
        table2="{{ conn.datafold_default.password }}",
        pk_columns=["id"],
    )
    Sensor(task_id="sensor", datadiff_id="{{ conn.datafold_default.password }}")

if __name__ == "__main__":
    # A worker of Airflow 3.0 sets up its logging so; see test_secrets.py.
    if airflow_version.startswith("3.0."):
        from airflow.sdk.log import configure_logging

        configure_logging(enable_pretty_log=False, output=sys.stdout.buffer)
    dag.test()
"""


def _refused(response: Any) -> Response:
    error = {"loc": ["body", PASSWORD], "msg": ECHO, "input": {"password": PASSWORD}}
    return Response(json.dumps({"detail": [error]}).encode(), 422)


def _ends(status: str, **outcome: Any) -> Course:
    # An unknown status is in the log, too.
    return Course((Step(f"held by {API_KEY}"), Step("processing")), status, outcome)


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
    "identical": _ends("done", **IDENTICAL.outcome),
    "refused": IDENTICAL,
}
PASS = ("passed", "identical")

# What Airflow itself logs at debug level; see test_secrets.py.
AIRFLOWS_OWN = ["MaskSecret"]
if airflow_version.startswith("3.0."):
    AIRFLOWS_OWN.append("SetRenderedFields")


def secret_lines(text: str) -> list[str]:
    return [
        line
        for line in text.splitlines()
        if any(secret in line for secret in (API_KEY, PASSWORD))
        and not any(own in line for own in AIRFLOWS_OWN)
    ]


def test_nothing_is_written_down(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Conductor(monkeypatch, COURSES, {"refused": {"create": [_refused, ...]}})
    (tmp_path / "dags").mkdir()
    file = tmp_path / "dags" / "planted.py"
    file.write_text(DAG_FILE.replace("NAMES", repr(list(COURSES))))
    variables = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "dags"),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
        "AIRFLOW_CONN_DATAFOLD_DEFAULT": json.dumps(
            {"conn_type": "datafold", "host": sandbox.url, "password": API_KEY}
        ),
        "AIRFLOW_CONN_WAREHOUSE": json.dumps({"conn_type": "generic", "password": PASSWORD}),
    }
    output = ""
    for command in (["-m", "airflow", "db", "migrate"], [str(file)]):
        done = subprocess.run(
            [sys.executable, *command], env=variables, capture_output=True, text=True, timeout=300
        )
        output += done.stdout + done.stderr

    with sqlite3.connect(tmp_path / "airflow.db") as database:
        states = dict(database.execute("select task_id, state from task_instance").fetchall())
        dump = "\n".join(database.iterdump())
    logs = "\n".join(path.read_text() for path in (tmp_path / "logs").rglob("*.log"))

    assert states == {
        **{
            f"{name}_{mode}": "success" if name in PASS else "failed"
            for name in COURSES
            for mode in ("worker", "triggerer")
        },
        "in_the_wrong_place": "failed",
        "sensor": "failed",
    }, output[-5000:]
    # The password was sent, and all messages about it were shown.
    bodies = [request.body for request in sandbox.state.requests if request.method == "POST"]
    assert len(bodies) == 2 * len(COURSES)
    assert all(PASSWORD.encode() in body for body in bodies)
    assert output.count("cannot log in with *** and Key ***") >= 2 * 5
    assert "is wrong. Its value is not shown, because" in output
    assert secret_lines(output) == []
    assert secret_lines(dump) == []
    assert secret_lines(logs) == []

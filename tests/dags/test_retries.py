"""What Airflow itself does after a failed try, by its own task runner and database."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_datafold.retry_policy import DEFAULT_RETRY_POLICY
from dev.faults.behaviours import answers
from dev.faults.server import FaultServer
from tests.conftest import API_KEY, TOKEN

pytestmark = [
    pytest.mark.airflow,
    pytest.mark.skipif(DEFAULT_RETRY_POLICY is None, reason="Airflow has policies from 3.3 on"),
]

DAG_FILE = """
from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_datafold.operators.bi import DatafoldUpdateHightouchOperator as Update

FILLED = {"bindings": [], "indexing_cron": None}

with DAG(
    "retries",
    schedule=None,
    start_date=datetime(2024, 1, 1),
    default_args={"retries": 5, "retry_delay": timedelta(minutes=10)},
) as dag:
    for name in ("busy", "impatient", "refused", "broken"):
        Update(task_id=name, datafold_conn_id=name, bi_datasource_id=7, **FILLED)
        Update.partial(task_id=f"mapped_{name}", datafold_conn_id=name, **FILLED).expand(
            bi_datasource_id=[8]
        )

if __name__ == "__main__":
    dag.test()
"""

DONE = ("failed", "up_for_retry", "success")


def outcomes(database: Path) -> dict[str, Any]:
    # From 3.4 on each try has a row: the last one counts.
    query = (
        "select task_id, state, retry_delay_override, retry_reason from task_instance "
        "order by try_number"
    )
    with sqlite3.connect(database, timeout=30) as connection:
        return {row[0]: row[1:] for row in connection.execute(query)}


def test_next_try_is_as_the_error_says(new_database: Path, tmp_path: Path) -> None:
    shutil.copy(new_database, tmp_path)
    (tmp_path / "dags").mkdir()
    file = tmp_path / "dags" / "retries.py"
    file.write_text(DAG_FILE)
    with (
        FaultServer([answers(429, b"", {"Retry-After": "3600"})]) as busy,
        FaultServer([answers(429, b"", {"Retry-After": "300"})]) as impatient,
        # Airflow consults no policy about this one.
        FaultServer([answers(401, b"", {"Retry-After": "3600"})]) as refused,
        FaultServer([answers(500)]) as broken,
    ):
        servers = {
            "busy": busy,
            "impatient": impatient,
            "refused": refused,
            "broken": broken,
        }
        environment = {
            **os.environ,
            "AIRFLOW_HOME": str(tmp_path),
            "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "dags"),
            "AIRFLOW_CONN_HIGHTOUCH_DEFAULT": json.dumps({"conn_type": "http", "password": TOKEN}),
            **{
                f"AIRFLOW_CONN_{name.upper()}": json.dumps(
                    {
                        "conn_type": "datafold",
                        "host": f"http://127.0.0.1:{server.port}",
                        "password": API_KEY,
                        "extra": {"max_retries": 0},
                    }
                )
                for name, server in servers.items()
            },
        }
        with (tmp_path / "output.txt").open("w") as output:
            run = subprocess.Popen(
                [sys.executable, str(file)], env=environment, stdout=output, stderr=output
            )
        try:
            # The run itself would last for days: its tasks wait for their next try.
            deadline = time.monotonic() + 240
            found: dict[str, Any] = {}
            while time.monotonic() < deadline and run.poll() is None:
                found = outcomes(tmp_path / "airflow.db")
                if len(found) == 8 and all(state in DONE for state, *_ in found.values()):
                    break
                time.sleep(0.1)
        finally:
            run.kill()
            run.wait()

    waits = ("up_for_retry", 3600.0, "Datafold asks to wait 1:00:00.")
    once = ("failed", None, None)
    as_set = ("up_for_retry", None, None)
    assert found == {
        "busy": waits,
        "mapped_busy": waits,
        "impatient": as_set,
        "mapped_impatient": as_set,
        "refused": once,
        "mapped_refused": once,
        "broken": as_set,
        "mapped_broken": as_set,
    }, (tmp_path / "output.txt").read_text()[-5000:]
    assert {name: len(server.requests) for name, server in servers.items()} == {
        "busy": 2,
        "impatient": 2,
        "refused": 2,
        "broken": 2,
    }

"""What Airflow itself does after a failed try, by its own task runner and database."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import ExitStack
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

ANSWERS = {
    "busy": answers(429, b"", {"Retry-After": "3600"}),
    "impatient": answers(429, b"", {"Retry-After": "300"}),
    # Airflow consults no policy about this one.
    "refused": answers(401, b"", {"Retry-After": "3600"}),
    "broken": answers(500),
}
DONE = ("failed", "up_for_retry", "success")


def outcomes(database: Path) -> dict[str, Any]:
    # From 3.4 on each try has a row: the last one counts.
    query = (
        "select task_id, state, retry_delay_override, retry_reason from task_instance "
        "order by try_number"
    )
    with sqlite3.connect(database, timeout=30) as connection:
        return {row[0]: row[1:] for row in connection.execute(query)}


def environment(home: Path, servers: dict[str, FaultServer]) -> dict[str, str]:
    def connection(port: int) -> str:
        host = f"http://127.0.0.1:{port}"
        more = {"password": API_KEY, "extra": {"max_retries": 0}}
        return json.dumps({"conn_type": "datafold", "host": host, **more})

    return {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW_CONN_HIGHTOUCH_DEFAULT": json.dumps({"conn_type": "http", "password": TOKEN}),
        **{
            f"AIRFLOW_CONN_{name.upper()}": connection(server.port)
            for name, server in servers.items()
        },
    }


def test_next_try_is_as_the_error_says(new_database: Path, tmp_path: Path) -> None:
    shutil.copy(new_database, tmp_path)
    (tmp_path / "dags").mkdir()
    file = tmp_path / "dags" / "retries.py"
    file.write_text(DAG_FILE)
    with ExitStack() as stack:
        servers = {
            name: stack.enter_context(FaultServer([answer])) for name, answer in ANSWERS.items()
        }
        output = stack.enter_context((tmp_path / "output.txt").open("w"))
        variables = environment(tmp_path, servers)
        run = subprocess.Popen(
            [sys.executable, str(file)], env=variables, stdout=output, stderr=output
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

    as_set = ("up_for_retry", None, None)
    each = {
        "busy": ("up_for_retry", 3600.0, "Datafold asks to wait 1:00:00."),
        "impatient": as_set,
        "refused": ("failed", None, None),
        "broken": as_set,
    }
    mapped = {f"mapped_{name}": outcome for name, outcome in each.items()}
    assert found == each | mapped, (tmp_path / "output.txt").read_text()[-5000:]
    assert {len(server.requests) for server in servers.values()} == {2}

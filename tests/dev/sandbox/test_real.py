"""Data diffs, queries and monitor runs of the sandbox that really look into a database."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from tests.conftest import API_KEY, ROOT
from tests.dev.sandbox.test_comparison import ENDLESS, fill_duckdb
from tests.dev.test_sandbox import KEY, call

pytestmark = pytest.mark.whole

DIFFS = "/api/v1/datadiffs"
TABLES = {"table1": ["orders"], "table2": ["other_orders"]}


@pytest.fixture
def warehouse(sandbox: Any, tmp_path: Path) -> Any:
    """The sandbox with a DuckDB file behind data source 1."""
    sandbox.state.data_sources.connect(1, fill_duckdb(tmp_path / "warehouse.duckdb"))
    return sandbox


def ask(sandbox: Any, **fields: Any) -> requests.Response:
    body = {"data_source1_id": 1, "data_source2_id": 1, "pk_columns": ["id"], **fields}
    return call(sandbox, "POST", DIFFS, json=body)


def start(sandbox: Any, **fields: Any) -> str:
    answer = ask(sandbox, **fields)
    assert answer.status_code == 200, answer.text
    return f"{DIFFS}/{answer.json()['id']}"


def wait(sandbox: Any, path: str, until: Callable[[Any], bool]) -> dict[str, Any]:
    for _ in range(3000):
        # Without validation each time, which takes longer than the diff.
        diff: dict[str, Any] = requests.get(sandbox.url + path, headers=KEY, timeout=10).json()
        if until(diff):
            return diff
        time.sleep(0.02)
    raise AssertionError(f"{path} has not got there: {diff}")


def is_gone(pid: int) -> bool:
    for _ in range(500):
        # A process that has ended is kept until its result is read.
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return False


def test_a_comparison_and_its_page(warehouse: Any) -> None:
    path = start(warehouse, **TABLES)
    diff = wait(warehouse, path, lambda diff: diff["done"])
    assert (diff["status"], diff["result"], diff["kind"]) == ("done", "different", "in_db")
    values = call(warehouse, "GET", f"{path}/summary_results").json()["values"]
    assert (values["total_rows"], values["rows_with_differences"]) == (4, 2)
    page = call(warehouse, "GET", f"/datadiffs/{diff['id']}/overview", headers={}).text
    assert '<span class="badge bad">different</span>' in page


def test_is_cancelled_in_mid_run(warehouse: Any) -> None:
    path = start(warehouse, query1=ENDLESS, table2=["orders"])
    wait(warehouse, path, lambda diff: diff["status"] == "processing")
    assert call(warehouse, "POST", f"{path}/cancel").json()["status"] == "cancelled"
    assert is_gone(warehouse.state.data_diffs.jobs[3].pid)


def test_the_program_compares_and_leaves_nothing_when_it_is_killed() -> None:
    running = subprocess.Popen(
        [sys.executable, "-m", "dev.sandbox", "--api-key", API_KEY],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert running.stdout is not None
    try:
        url = running.stdout.readline().split()[-1]
        fields = {"data_source1_id": 1, "data_source2_id": 1, "pk_columns": ["id"]}
        body = {**fields, "query1": ENDLESS, "table2": ["orders"]}
        assert requests.post(url + DIFFS, json=body, headers=KEY, timeout=10).ok
        until = time.monotonic() + 30
        while not (found := psutil.Process(running.pid).children()) and time.monotonic() < until:
            time.sleep(0.05)
        (child,) = found
    finally:
        running.kill()
        running.communicate()
    assert is_gone(child.pid)

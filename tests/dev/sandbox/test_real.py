"""Data diffs, queries and monitor runs of the sandbox that really look into a database."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

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
    assert not warehouse.state.data_diffs.jobs[3].thread.is_alive()


def test_a_query_runs(warehouse: Any) -> None:
    def query(text: str) -> Any:
        path = "/api/v1/data_sources/1/query"
        return call(warehouse, "POST", path, json={"query": text}).json()

    assert query("select id, day from orders where id = 4 -- some")["rows"] == [
        {"id": 4, "day": "2024-01-02"}
    ]
    assert query("selec 1")["detail"][0]["type"] == "value_error"


@pytest.mark.parametrize(("avoided", "keys"), [([], [{"pk": ["id"]}]), (["id"], [])])
def test_a_key_is_guessed_without_what_is_avoided(avoided: Any, keys: Any, warehouse: Any) -> None:
    body = {"table": ["orders"], "avoid_names": avoided}
    answer = call(warehouse, "POST", "/api/v1/data_sources/1/guess_pk", json=body)
    assert answer.json() == {"candidates": keys, "error": None}

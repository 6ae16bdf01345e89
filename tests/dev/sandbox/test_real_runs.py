"""Runs of monitors of the sandbox that really count rows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dev.sandbox import Sandbox
from dev.sandbox.monitors import run_course
from tests.conftest import API_KEY
from tests.dev.test_sandbox import call

pytestmark = pytest.mark.whole

SCHEDULE = {"type": "none"}
WATCHED = {"name": "Orders", "schedule": SCHEDULE, "connection_id": 1}
ROW_COUNT = {"type": "table", "metric": "row_count", "table": "orders"}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("warehouse") / "warehouse.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("create table orders as select range as id from range(10)")
    return file


@pytest.fixture(scope="module")
def shop(database: Path) -> Iterator[Sandbox]:
    """A sandbox whose first data source has a database."""
    with Sandbox(api_key=API_KEY) as sandbox:
        sandbox.state.data_sources.connect(1, database)
        yield sandbox


def start(sandbox: Sandbox, kind: str, **spec: Any) -> str:
    """Create a monitor, run it, and return the path of the run."""
    created = call(sandbox, "POST", f"/api/v1/monitors/create/{kind}", json={**WATCHED, **spec})
    one = f"/api/v1/monitors/{created.json()['id']}"
    return f"{one}/runs/{call(sandbox, 'POST', f'{one}/run').json()['run_id']}"


def run(sandbox: Sandbox, kind: str, **spec: Any) -> dict[str, Any]:
    """Create a monitor, run it and read the run to its end."""
    path = start(sandbox, kind, **spec)
    for _ in range(600):
        found: dict[str, Any] = call(sandbox, "GET", path).json()
        if found["state"] not in ("queued", "checking"):
            return found
        time.sleep(0.05)
    raise AssertionError("The run does not end.")


def absolute(**limits: float | None) -> dict[str, Any]:
    return {"type": "absolute", **limits}


@pytest.mark.parametrize(
    ("kind", "spec", "state"),
    [
        ("test", {"query": "select * from orders where id > 100"}, "ok"),
        ("test", {"query": "select * from orders where id > 8;"}, "alert"),
        ("metric", {"metric": ROW_COUNT}, "ok"),
        ("metric", {"metric": {**ROW_COUNT, "table": "main.orders"}}, "ok"),
        ("metric", {"metric": ROW_COUNT, "alert": absolute(min=10, max=10)}, "ok"),
        ("metric", {"metric": ROW_COUNT, "alert": absolute(min=10.5)}, "alert"),
        ("metric", {"metric": ROW_COUNT, "alert": absolute(max=9)}, "alert"),
        (
            "metric",
            {"metric": {**ROW_COUNT, "filter": "id < 3"}, "alert": absolute(min=None, max=3)},
            "ok",
        ),
        (
            "metric",
            {"metric": {**ROW_COUNT, "filter": "id > 9"}, "alert": absolute(min=1)},
            "alert",
        ),
    ],
)
def test_rows_are_counted(kind: str, spec: dict[str, Any], state: str, shop: Sandbox) -> None:
    found = run(shop, kind, **spec)

    assert (found["state"], found["error"]) == (state, None)


def test_a_query_that_fails_says_why(shop: Sandbox) -> None:
    found = run(shop, "test", query="select * from nowhere")

    assert found["state"] == "error"
    assert "nowhere" in found["error"]


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("test", {"query": None}),
        ("test", {"query": "select 1", "connection_id": 2}),
        ("schema", {"table": "orders"}),
        ("metric", {"metric": {**ROW_COUNT, "metric": "freshness"}}),
        ("metric", {"metric": {**ROW_COUNT, "table": None}}),
        ("metric", {"metric": {"type": "custom", "query": "select 1"}}),
        ("metric", {"metric": ROW_COUNT, "alert": {"type": "automatic", "sensitivity": 1}}),
    ],
)
def test_the_others_follow_their_course(kind: str, spec: dict[str, Any], shop: Sandbox) -> None:
    shop.state.monitors.courses.coming.append(run_course("learning"))

    assert run(shop, kind, **spec)["state"] == "learning"


def test_a_run_is_stopped_with_the_sandbox(database: Path) -> None:
    with Sandbox(api_key=API_KEY) as sandbox:
        sandbox.state.data_sources.connect(1, database)
        start(sandbox, "test", query="select 1")
        (job,) = sandbox.state.monitors.jobs.values()
    assert job.status in ("cancelled", "alert")

"""The example DAGs of monitors and of the recipes, in a real Airflow."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from dev.sandbox.data_diffs import DIFFERENT, IDENTICAL
from dev.sandbox.data_sources import checked
from dev.sandbox.journal import Change
from tests.conftest import HOME, ROOT

pytestmark = [pytest.mark.airflow, pytest.mark.usefixtures("connections")]

MONITORS, WARN, KEEP, PULL_REQUEST = (
    (ROOT / "example_dags" / f"{name}.py").read_text()
    for name in ("monitors_as_code", "warn_downstream", "keep_audit_log", "pull_request")
)
NAMES = {"Orders come in", "Orders cost something"}


def states(run: Any) -> dict[str, str]:
    return {task.task_id: str(task.state) for task in run.get_task_instances()}


@pytest.fixture
def specs() -> Iterator[Path]:
    """The folder of files next to the DAG's file."""
    folder = HOME / "dags" / "monitors"
    shutil.copytree(ROOT / "example_dags" / "monitors", folder)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def warehouse(connect: Callable[..., None], sandbox: Any, tmp_path: Path) -> Path:
    """The file of an empty warehouse, which is data source 1, too."""
    file = tmp_path / "warehouse.db"
    connect("warehouse_default", conn_type="sqlite", host=str(file))
    sandbox.state.data_sources.connect(1, file)
    return file


def named(sandbox: Any) -> dict[str, Any]:
    """The monitors that the specs are of, by name."""
    monitors = sandbox.state.monitors.monitors.values()
    return {each["name"]: each for each in monitors if each["name"] in NAMES}


def test_monitors_as_code(run_dag: Any, sandbox: Any, specs: Path) -> None:
    slugs = ["orders_come_in", "orders_cost_something"]
    empty: dict[str, Any] = {
        name: [] for name in ("created", "updated", "unchanged", "paused", "deleted")
    }
    nothing = {**empty, "ids": dict(zip(slugs, (5, 6), strict=True))}

    def run(**conf: Any) -> Any:
        task = run_dag(MONITORS, "datafold_monitors_as_code", conf=conf).get_task_instance("apply")
        assert str(task.state) == "success"
        return task.xcom_pull("apply")

    assert run(dry_run=True) == {**nothing, "created": slugs, "ids": {}}
    assert named(sandbox) == {}
    assert run() == {**nothing, "created": slugs}
    assert run() == {**nothing, "unchanged": slugs}
    file = specs / "tests.yaml"
    file.write_text(file.read_text().replace("amount <= 0", "amount <= 1"))
    assert run() == {**nothing, "unchanged": slugs[:1], "updated": slugs[1:]}
    (specs / "metrics.yaml").unlink()
    left = {**nothing, "ids": {slugs[1]: 6}}
    assert run() == {**left, "paused": slugs[:1], "unchanged": slugs[1:]}

    monitors = named(sandbox)
    assert set(monitors) == NAMES
    assert len(sandbox.state.monitors.monitors) == 4 + len(NAMES)
    assert "amount <= 1" in monitors["Orders cost something"]["query"]


def window(run_dag: Any, sandbox: Any) -> Any:
    """Apply the specs, and load while the test of the orders is paused."""
    run_dag(MONITORS, "datafold_monitors_as_code")
    monitor = named(sandbox)["Orders cost something"]
    sandbox.state.requests.clear()
    run = run_dag(MONITORS, "datafold_maintenance_window", conf={"monitor_id": monitor["id"]})
    switched = [
        json.loads(seen.body)["enabled"] for seen in sandbox.state.requests if seen.method == "PUT"
    ]
    assert switched == [False, True]
    assert monitor["enabled"] is True
    return run


@pytest.mark.usefixtures("specs", "warehouse")
def test_maintenance_window(run_dag: Any, sandbox: Any) -> None:
    run = window(run_dag, sandbox)

    assert run.state == "success"
    check = run.get_task_instance("check").xcom_pull("check")
    assert check["state"] == "ok"


@pytest.mark.usefixtures("specs", "warehouse")
def test_a_load_that_fails(run_dag: Any, sandbox: Any, connect: Callable[..., None]) -> None:
    connect("warehouse_default", conn_type="sqlite", host="/nowhere/warehouse.db")

    run = window(run_dag, sandbox)

    assert run.state == "failed"
    assert states(run) == {
        "pause": "success",
        "load_orders": "failed",
        "resume": "success",
        "check": "upstream_failed",
    }


def test_no_owner_is_warned_if_the_gate_passes(run_dag: Any, sandbox: Any) -> None:
    sandbox.state.data_diffs.courses.default = IDENTICAL

    run = run_dag(WARN, "datafold_warn_downstream")

    assert run.state == "success"
    assert states(run) == {"gate": "success", "publish": "success", "warn": "skipped"}


def test_owners_are_warned_if_the_gate_stops_the_table(
    run_dag: Any, sandbox: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    sandbox.state.data_diffs.courses.default = DIFFERENT

    run = run_dag(WARN, "datafold_warn_downstream")

    assert run.state == "failed"
    assert states(run) == {"gate": "failed", "publish": "upstream_failed", "warn": "success"}
    warned = run.get_task_instance("warn").xcom_pull("warn")
    assert warned == {"sales@example.com": ["DB.PUBLIC.ORDERS"]}
    printed = capfd.readouterr()
    assert "To sales@example.com: DB.PUBLIC.RAW was not published." in printed.out + printed.err


def test_the_audit_log_of_a_day_is_kept(run_dag: Any, sandbox: Any, tmp_path: Path) -> None:
    now = datetime.now(timezone.utc)
    for days in range(4):
        moment = (now - timedelta(days=days)).isoformat()
        change = Change("monitors", f"change {days}", 1, "PUT", "/", timestamp=moment)
        sandbox.state.changes.append(change)
    folder = tmp_path / "new" / "log"

    for _ in range(2):
        run = run_dag(KEEP, "datafold_keep_audit_log", conf={"folder": f"file://{folder}"})
        assert run.state == "success"

    (file,) = folder.iterdir()
    (entry,) = map(json.loads, file.read_text().splitlines())
    assert run.get_task_instance("keep").xcom_pull("keep") == 1
    assert entry["timestamp"].startswith(file.stem)
    assert entry["action"] in {"change 1", "change 2"}


def test_ci_compares_what_a_pull_request_has_built(
    run_dag: Any, sandbox: Any, warehouse: Path
) -> None:
    run = run_dag(PULL_REQUEST, "datafold_pull_request", conf={"pr_number": 34})

    assert run.state == "success"
    with closing(sqlite3.connect(warehouse)) as connection:
        assert connection.execute("SELECT count(*) FROM orders_pr_34").fetchall() == [(3,)]
    ended = run.get_task_instance("compare").xcom_pull("compare")
    assert ended["status"] == "done"
    assert sandbox.state.ci.runs[2][ended["run_id"]]["pr_num"] == "34"
    assert sandbox.state.ci.changes[ended["run_id"]] == [
        {"prod": "DB.PUBLIC.ORDERS", "pr": "DB.PUBLIC.orders_pr_34", "pk": ["id"]}
    ]


def test_nothing_is_built_in_a_warehouse_that_datafold_cannot_read(
    run_dag: Any, sandbox: Any, warehouse: Path
) -> None:
    sandbox.state.data_sources.courses.default = checked("connection", "no route to host")

    run = run_dag(PULL_REQUEST, "datafold_pull_request")

    assert run.state == "failed"
    assert states(run) == {
        "test_warehouse": "failed",
        "build": "upstream_failed",
        "start_ci": "upstream_failed",
        "compare": "upstream_failed",
    }

"""The example DAGs of monitors, CI and the audit log, in a real Airflow."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from dev.sandbox.data_sources import checked
from dev.sandbox.journal import Change
from tests.conftest import HOME, ROOT
from tests.dags.runs import example, execute

pytestmark = [pytest.mark.airflow, pytest.mark.usefixtures("connections")]

NAMES = {"Orders come in", "Orders cost something"}


@pytest.fixture
def specs() -> Iterator[Path]:
    """The folder of files next to the DAG's file."""
    folder = HOME / "dags" / "monitors"
    shutil.copytree(ROOT / "example_dags" / "monitors", folder)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def source1(warehouse: Path, sandbox: Any) -> Path:
    """The warehouse is data source 1, too."""
    sandbox.state.data_sources.connect(1, warehouse)
    return warehouse


def named(sandbox: Any) -> dict[str, Any]:
    """The monitors that the specs are of, by name."""
    monitors = sandbox.state.monitors.monitors.values()
    return {each["name"]: each for each in monitors if each["name"] in NAMES}


def test_monitors_as_code(run_file: Any, sandbox: Any, specs: Path) -> None:
    slugs = ["orders_come_in", "orders_cost_something"]
    empty: dict[str, Any] = {
        name: [] for name in ("created", "updated", "unchanged", "paused", "deleted")
    }
    nothing = {**empty, "ids": dict(zip(slugs, (5, 6), strict=True))}

    def run(**conf: Any) -> Any:
        run = run_file(example("monitors_as_code"), "datafold_monitors_as_code", conf=conf)
        assert run.state == "success"
        return run.xcom("apply")

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


def window(run_file: Any, sandbox: Any) -> Any:
    """Apply the specs, and load while the test of the orders is paused."""
    run_file(example("monitors_as_code"), "datafold_monitors_as_code")
    monitor = named(sandbox)["Orders cost something"]
    sandbox.state.requests.clear()
    run = run_file(
        example("monitors_as_code"),
        "datafold_maintenance_window",
        conf={"monitor_id": monitor["id"]},
    )
    switched = [
        json.loads(seen.body)["enabled"] for seen in sandbox.state.requests if seen.method == "PUT"
    ]
    assert switched == [False, True]
    assert monitor["enabled"] is True
    return run


@pytest.mark.usefixtures("specs", "source1")
def test_maintenance_window(run_file: Any, sandbox: Any) -> None:
    run = window(run_file, sandbox)

    assert run.state == "success"
    check = run.xcom("check")
    assert check["state"] == "ok"


@pytest.mark.usefixtures("specs", "source1")
def test_a_load_that_fails(run_file: Any, sandbox: Any, connect: Callable[..., None]) -> None:
    connect("warehouse_default", conn_type="sqlite", host="/nowhere/warehouse.db")

    run = window(run_file, sandbox)

    assert run.state == "failed"
    assert run.states == {
        "pause": "success",
        "load_orders": "failed",
        "resume": "success",
        "check": "upstream_failed",
    }


def test_the_audit_log_of_a_day_is_kept(run_file: Any, sandbox: Any, tmp_path: Path) -> None:
    now = datetime.now(timezone.utc)
    for days in range(4):
        moment = (now - timedelta(days=days)).isoformat()
        change = Change("monitors", f"change {days}", 1, "PUT", "/", timestamp=moment)
        sandbox.state.changes.append(change)
    folder = tmp_path / "new" / "log"

    for _ in range(2):
        run = run_file(
            example("keep_audit_log"),
            "datafold_keep_audit_log",
            conf={"folder": f"file://{folder}"},
        )
        assert run.state == "success"

    (file,) = folder.iterdir()
    (entry,) = map(json.loads, file.read_text().splitlines())
    assert run.xcom("keep") == 1
    assert entry["timestamp"].startswith(file.stem)
    assert entry["action"] in {"change 1", "change 2"}


def test_ci_compares_what_a_pull_request_has_built(
    run_file: Any, sandbox: Any, source1: Path
) -> None:
    run = run_file(example("pull_request"), "datafold_pull_request", conf={"pr_number": 34})

    assert run.state == "success"
    assert execute(source1, "SELECT count(*) FROM orders_pr_34") == [(3,)]
    ended = run.xcom("compare")
    assert ended["status"] == "done"
    assert sandbox.state.ci.runs[2][ended["run_id"]]["pr_num"] == "34"
    assert sandbox.state.ci.changes[ended["run_id"]] == [
        {"prod": "DB.PUBLIC.ORDERS", "pr": "DB.PUBLIC.orders_pr_34", "pk": ["id"]}
    ]


def test_nothing_is_built_in_a_warehouse_that_datafold_cannot_read(
    run_file: Any, sandbox: Any, source1: Path
) -> None:
    sandbox.state.data_sources.courses.default = checked("connection", "no route to host")

    run = run_file(example("pull_request"), "datafold_pull_request")

    assert run.state == "failed"
    assert run.states == {
        "test_warehouse": "failed",
        "build": "upstream_failed",
        "start_ci": "upstream_failed",
        "compare": "upstream_failed",
    }

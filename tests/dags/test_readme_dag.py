"""The README's gate runs in a real Airflow: it publishes what it should, and nothing else."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dev.sandbox.data_diffs import done
from tests import documents
from tests.conftest import ROOT

pytestmark = pytest.mark.airflow

(SOURCE,) = documents.blocks_in(documents.section(ROOT / "README.md", "First gate"), "python")
CHANGES = {
    # Where it is in Airflow 2.11, too.
    "\nfrom airflow.sdk": "\nfrom airflow.providers.common.compat.sdk",
    "2024, 1, 1)):": "2024, 1, 1)) as dag:",
    # SQL that SQLite understands.
    "ALTER TABLE DB.PUBLIC.ORDERS SWAP WITH DB.STAGING.ORDERS": "CREATE TABLE swapped (id)",
}


def test_it_is_short() -> None:
    assert len(SOURCE.splitlines()) <= 20


@pytest.mark.usefixtures("connections")
@pytest.mark.parametrize(("rows", "is_published"), [(1000, True), (1001, False)])
def test_first_gate(
    rows: int, is_published: bool, run_dag: Any, sandbox: Any, connect: Any, tmp_path: Path
) -> None:
    source = SOURCE
    for old, new in CHANGES.items():
        assert source.count(old) == 1
        source = source.replace(old, new)
    connect("warehouse_default", conn_type="sqlite", host=str(tmp_path / "warehouse.db"))
    course = done("different", rows_added=rows, rows_removed=0, diff_rows_count=0)
    sandbox.state.data_diffs.courses.default = course

    run = run_dag(source, "publish_orders")

    assert {task.task_id: str(task.state) for task in run.get_task_instances()} == {
        "gate": "success" if is_published else "failed",
        "publish": "success" if is_published else "upstream_failed",
    }
    with closing(sqlite3.connect(tmp_path / "warehouse.db")) as warehouse:
        (tables,) = warehouse.execute("SELECT count(*) FROM sqlite_master").fetchone()
    assert tables == is_published

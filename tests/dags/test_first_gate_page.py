"""docs/first_gate.md: what a newcomer copies works, and prints what the page says."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests import documents
from tests.conftest import ROOT, shows_error

pytestmark = pytest.mark.airflow

PAGE = ROOT / "docs" / "first_gate.md"
LISTING, GATE = documents.blocks(PAGE, "python")
(FAILURE,) = documents.blocks(PAGE, "text")
# Where it is in Airflow 2.11, too.
SOURCE = GATE.replace("from airflow.sdk", "from airflow.providers.common.compat.sdk")


@pytest.fixture
def warehouse(sandbox: Any, connections: None, tmp_path: Path) -> Path:
    """The file of a warehouse whose tables the sandbox really compares."""
    file = tmp_path / "warehouse.db"
    execute(file, "CREATE TABLE payments (id INTEGER PRIMARY KEY, amount REAL)")
    for number in range(1, 101):
        execute(file, f"INSERT INTO payments VALUES ({number}, {number})")
    execute(file, "CREATE TABLE payments_staging AS SELECT * FROM payments")
    sandbox.state.data_sources.connect(1, file)
    return file


def execute(file: Path, sql: str) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(sql)
        connection.commit()


@pytest.mark.usefixtures("connections")
def test_data_sources_are_listed(capsys: pytest.CaptureFixture[str], sandbox: Any) -> None:
    exec(LISTING, {})
    # Some versions of Airflow print their log there, too.
    assert any(line.startswith("1 ") for line in capsys.readouterr().out.splitlines())


@pytest.mark.usefixtures("warehouse")
def test_equal_tables_pass(run_dag: Any) -> None:
    assert run_dag(SOURCE, "first_gate").state == "success"


def test_other_tables_fail_with_what_the_page_shows(
    run_dag: Any, warehouse: Path, sandbox: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    execute(warehouse, "UPDATE payments_staging SET amount = 0 WHERE id <= 37")
    execute(warehouse, "DELETE FROM payments_staging WHERE id = 100")
    assert run_dag(SOURCE, "first_gate").state == "failed"
    printed = capfd.readouterr()
    error, _, text = " ".join(FAILURE.split()).partition(": ")
    text = text.replace("https://app.datafold.com", sandbox.url)
    # Airflow 3.0 wraps the lines.
    assert shows_error(" ".join((printed.out + printed.err).split()), error, text)

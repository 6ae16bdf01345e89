"""The load before a gate: it fills a table of a warehouse, which the sandbox really compares."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from dev.local_airflow.warehouse import create_warehouse

SOURCE_ID = 2
"""The data source of the warehouse."""

TABLE, LOADED = "customers", "loaded"
_FILE = "warehouse.sqlite"
_BREAKS = "load-breaks"


def prepare(home: Path) -> Path:
    """Create the warehouse.

    :param home: Airflow's home.
    :return: its file.
    """
    file = home / _FILE
    create_warehouse(file)
    return file


def break_next(home: Path) -> None:
    """Let the load break every row, from its next run on.

    :param home: Airflow's home.
    """
    (home / _BREAKS).touch()


def load() -> None:
    """Fill the table, in one of Airflow's processes."""
    home = Path(os.environ["AIRFLOW_HOME"])
    with closing(sqlite3.connect(home / _FILE)) as connection, connection:
        connection.execute(f"DROP TABLE IF EXISTS {LOADED}")
        connection.execute(f"CREATE TABLE {LOADED} AS SELECT * FROM {TABLE}")
        if (home / _BREAKS).exists():
            connection.execute(f"UPDATE {LOADED} SET name = name || '?'")

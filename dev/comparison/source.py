"""Read a side from any kind of database."""

from __future__ import annotations

from pathlib import Path

from duckdb import DuckDBPyConnection

from dev.comparison import duckdb_file, postgresql, sqlite_file
from dev.comparison.question import Side, is_url
from dev.comparison.table import ReadError, Table

_MAGIC = slice(8, 12)
"""The position of DuckDB's magic bytes in a file."""


def copy(connection: DuckDBPyConnection, side: Side, name: str) -> Table:
    """Copy a side into DuckDB.

    :param connection: DuckDB in memory.
    :param side: the side.
    :param name: the table to create.
    :raises ReadError: if the side cannot be read.
    """
    if is_url(side.address):
        return postgresql.copy(connection, side.address, side.select, name)
    path = Path(side.address)
    if not path.is_file():
        raise ReadError("DatabaseNotFound", f"There is no file {path}")
    with path.open("rb") as file:
        start = file.read(_MAGIC.stop)
    copy_file = duckdb_file.copy if start[_MAGIC] == b"DUCK" else sqlite_file.copy
    return copy_file(connection, path, side.select, name)

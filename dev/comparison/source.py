"""Read a side from any kind of database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from duckdb import DuckDBPyConnection

from dev.comparison import duckdb_file, postgresql, sqlite_file
from dev.comparison.question import Side, is_url
from dev.comparison.table import ReadError, Table

_MAGIC = slice(8, 12)
"""The position of DuckDB's magic bytes in a file."""


def is_duckdb_file(address: str) -> bool:
    """Return whether a database is a DuckDB file.

    :param address: a file or a URL.
    """
    path = Path(address)
    if is_url(address) or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(_MAGIC.stop)[_MAGIC] == b"DUCK"


def copy(
    connection: DuckDBPyConnection, sides: Sequence[Side], step: Callable[[int], None]
) -> list[Table]:
    """Copy sides into DuckDB, as the tables ``side1``, ``side2`` and so on.

    Then DuckDB can open no other file, and its configuration can no longer be changed.

    :param connection: DuckDB in memory.
    :param sides: the sides.
    :param step: is called with the number of copied sides.
    :raises ReadError: if a side cannot be read.
    """
    tables: dict[int, Table] = {}

    def copy_each(places: Iterable[int]) -> None:
        for place in places:
            try:
                tables[place] = _copy(connection, sides[place], f"side{place + 1}")
            except ReadError as error:
                message = f"Side {place + 1}: {error}"
                raise ReadError(error.kind, message, error.is_retryable) from error
            step(len(tables))

    files = [place for place, side in enumerate(sides) if is_duckdb_file(side.address)]
    copy_each(place for place in range(len(sides)) if place not in files)
    # This DuckDB itself runs the queries for its files, and so must not reach any others.
    duckdb_file.lock(connection, [Path(sides[place].address) for place in files])
    copy_each(files)
    return [tables[place] for place in range(len(sides))]


def _copy(connection: DuckDBPyConnection, side: Side, name: str) -> Table:
    if is_url(side.address):
        return postgresql.copy(connection, side.address, side.select, name)
    path = Path(side.address)
    if not path.is_file():
        raise ReadError("DatabaseNotFound", f"There is no file {path}")
    copy_file = duckdb_file.copy if is_duckdb_file(side.address) else sqlite_file.copy
    return copy_file(connection, path, side.select, name)

"""A side that is in a DuckDB file."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import duckdb
from duckdb import DuckDBPyConnection

from dev.comparison.question import quoted
from dev.comparison.table import ReadError, Table, columns_of

_ATTEMPTS = 40
_LOCKED = "Could not set lock"
_PAUSE = 0.25
_TAKEN = {"memory", "system", "temp"}


def check(path: Path) -> None:
    """Check that this DuckDB can read a file.

    :param path: the file.
    :raises ReadError: it cannot, for example because a newer DuckDB wrote it.
    """
    try:
        duckdb.connect(str(path), read_only=True).close()
    except duckdb.Error as error:
        # A file that is open for writing can be read later.
        if _LOCKED in str(error):
            return
        message = (
            f"DuckDB {duckdb.__version__}, which compares here, cannot read {path}: {error}. If a "
            f"newer DuckDB wrote the file, such as the one beside dbt, install the same version of "
            f"DuckDB for both: the storage version of the file must be one that both know"
        )
        raise ReadError("DatabaseError", message) from error


def lock(connection: DuckDBPyConnection, paths: Sequence[Path]) -> None:
    """Keep all that runs in DuckDB from now on away from other files, and from the network.

    :param connection: DuckDB in memory.
    :param paths: the files that can still be attached.
    """
    # DuckDB compares the paths of a file and of its log without links in them.
    files = [path.resolve() for path in paths]
    allowed = ", ".join(_text(f"{path}{end}") for path in files for end in ("", ".wal"))
    connection.execute("set python_enable_replacements = false")
    connection.execute(f"set allowed_paths = [{allowed}]")
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")


def copy(connection: DuckDBPyConnection, path: Path, select: str, name: str) -> Table:
    """Copy a side.

    The file is open only while it is copied, because no other process can write to an open file.

    :param connection: DuckDB in memory.
    :param path: the file.
    :param select: the query for the side's rows.
    :param name: the table to create.
    """
    # DuckDB names a database after its file, so a table's name may begin with that.
    database = quoted(path.stem if path.stem not in _TAKEN else f"{path.stem}_file")
    _attach(connection, path, database)
    try:
        connection.execute(f"use {database}")
        describe = f"describe {select}"
        if len(connection.extract_statements(describe)) != 1:
            raise ReadError("QueryError", "This is more than one statement")
        described = connection.execute(describe).fetchall()
        table = Table(name, columns_of([(row[0], row[1]) for row in described]))
        fields = ", ".join(column.field for column in table.columns)
        connection.execute(
            f"create table memory.main.{name} as select * from ({select}) as side({fields})"
        )
    except duckdb.Error as error:
        raise ReadError("QueryError", str(error)) from error
    finally:
        connection.execute("use memory")
        connection.execute(f"detach {database}")
    return table


def _attach(connection: DuckDBPyConnection, path: Path, database: str) -> None:
    address = _text(str(path.resolve()))
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            connection.execute(f"attach {address} as {database} (read_only)")
        except duckdb.IOException as error:
            if _LOCKED not in str(error):
                raise ReadError("DatabaseError", str(error)) from error
            if attempt == _ATTEMPTS:
                message = f"{path.name} is open for writing in another process: {error}"
                raise ReadError("DatabaseLocked", message, is_retryable=True) from error
            time.sleep(_PAUSE)
        except duckdb.Error as error:
            raise ReadError("DatabaseError", str(error)) from error
        else:
            return


def _text(value: str) -> str:
    escaped = value.replace("'", "''")
    return f"'{escaped}'"

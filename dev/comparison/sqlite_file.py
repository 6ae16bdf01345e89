"""A side that is in an SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

from duckdb import DuckDBPyConnection

from dev.comparison.question import quoted
from dev.comparison.table import ReadError, Table, columns_of, load

_SECONDS_FOR_LOCK = 10
_ROWS = 10_000


def copy(connection: DuckDBPyConnection, path: Path, select: str, name: str) -> Table:
    """Copy a side.

    :param connection: DuckDB in memory.
    :param path: the file.
    :param select: the query for the side's rows.
    :param name: the table to create.
    """
    try:
        with closing(
            sqlite3.connect(
                f"file:{quote(str(path))}?mode=ro",
                uri=True,
                timeout=_SECONDS_FOR_LOCK,
                # Another thread reads from it, while this one waits.
                check_same_thread=False,
            )
        ) as database:
            return _copy(connection, database, select, name)
    # Up to Python 3.11, a second statement is a Warning.
    except (sqlite3.Error, sqlite3.Warning) as error:
        locked = "locked" in str(error)
        kind = "DatabaseLocked" if locked else "QueryError"
        raise ReadError(kind, str(error), is_retryable=True if locked else None) from error


def _copy(
    connection: DuckDBPyConnection, database: sqlite3.Connection, select: str, name: str
) -> Table:
    database.text_factory = lambda text: text.decode(errors="replace")
    # A transaction, so that all queries see the same rows.
    database.isolation_level = None
    database.execute("begin")
    database.execute(f"create temp view side as {select}")
    declared = [(row[1], row[2]) for row in database.execute("pragma table_info(side)")]
    stored = _stored(database, [column for column, _ in declared])
    described = [
        (column, _affinity(kind) or _kind(found))
        for (column, kind), found in zip(declared, stored, strict=True)
    ]
    table = Table(name, columns_of(described))

    def write(file: BinaryIO) -> None:
        rows = database.execute("select * from side")
        while batch := rows.fetchmany(_ROWS):
            file.write("".join(map(_line, batch)).encode())

    load(connection, table, [_duckdb_type(found) for found in stored], write)
    return table


def _stored(database: sqlite3.Connection, names: Iterable[str]) -> list[set[str]]:
    """Return the types of the values in each column: any value may have any type here."""
    kinds = ", ".join(f"group_concat(distinct typeof({quoted(name)}))" for name in names)
    row = database.execute(f"select {kinds} from side").fetchone()
    return [set((found or "").split(",")) - {"", "null"} for found in row]


def _affinity(declared: str) -> str:
    """Return SQLite's affinity for a declared type, by its documented rules.

    ``create table ... as select`` keeps only the affinity, so only that can be compared.
    """
    declared = declared.upper()
    if not declared:
        return ""
    if "INT" in declared:
        return "INTEGER"
    if any(word in declared for word in ("CHAR", "CLOB", "TEXT")):
        return "TEXT"
    if "BLOB" in declared:
        return "BLOB"
    if any(word in declared for word in ("REAL", "FLOA", "DOUB")):
        return "REAL"
    return "NUMERIC"


def _kind(found: set[str]) -> str:
    """Return the type of a column that was computed and has no declared one."""
    if len(found) == 1:
        return next(iter(found)).upper()
    return "NUMERIC" if found == {"integer", "real"} else "BLOB"


def _duckdb_type(found: set[str]) -> str:
    if found == {"integer"}:
        return "BIGINT"
    return "DOUBLE" if found and found <= {"integer", "real"} else "VARCHAR"


def _line(row: tuple[Any, ...]) -> str:
    return ",".join(map(_value, row)) + "\n"


def _value(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        return f'"\\x{value.hex()}"'
    if isinstance(value, str):
        return '"' + value.replace('"', '""') + '"'
    return repr(value)

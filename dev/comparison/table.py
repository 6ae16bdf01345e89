"""Reads a side into the workspace, from a DuckDB or SQLite file or from PostgreSQL.

What reads it changes nothing, runs one query only, and reaches no other file of this machine.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg2

from dev.comparison.question import is_url, quoted
from dev.comparison.workspace import SECONDS_FOR_LOCK, ReadError, Workspace

_WITH_ZONE = "TIMESTAMP WITH TIME ZONE"
_KINDS = {
    bool: "BOOLEAN",
    int: "BIGINT",
    float: "DOUBLE",
    Decimal: "DOUBLE",  # because one of PostgreSQL may have more digits than one of DuckDB
    bytes: "BLOB",
    memoryview: "BLOB",
    date: "DATE",
    datetime: "TIMESTAMP",
}
"""DuckDB's types for the values of others. What is not here is compared as text."""
_ROWS_AT_ONCE = 50_000
_ONE_QUERY = """
do $$
declare side refcursor;
begin
    open side for execute current_setting('sandbox.side');
end $$
"""
"""Refuses what is more than one query, such as one that ends the read-only transaction first."""


@dataclass(frozen=True)
class Column:
    name: str
    declared: str  # its type in its database; SQLite has none for what is computed
    kind: str  # its type in the workspace
    field: str  # the SQL of its value in the workspace


def read(space: Workspace, table: str, address: str, select: str) -> list[Column]:
    """Read the rows of a query into a new table of the workspace."""
    if is_url(address):
        declared = _read_postgresql(space, table, address, select)
    elif not Path(address).is_file():
        raise ReadError("DatabaseNotFound", f"There is no file {address}")
    elif _is_duckdb(address):
        with space.using(address):
            space.run(f"create table memory.sides.{table} as {select}")
        declared = []
    else:
        declared = _read_sqlite(space, table, address, select)
    columns = []
    for place, (name, kind, *_) in enumerate(space.run(f"describe {table}")):
        field = f"{table}.{quoted(name)}"
        # As the others have it, which know no zones.
        field = f"({field} at time zone 'UTC')" if kind == _WITH_ZONE else field
        columns.append(Column(name, declared[place] if declared else kind, kind, field))
    return columns


def _is_duckdb(address: str) -> bool:
    with open(address, "rb") as file:
        return file.read(12)[8:] == b"DUCK"


def _read_sqlite(space: Workspace, table: str, address: str, select: str) -> list[str]:
    uri = f"file:{quote(address)}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=SECONDS_FOR_LOCK)) as database:
            space.cancel = database.interrupt
            database.text_factory = lambda text: text.decode(errors="replace")
            # Its types are only affinities, which is all that any copy of a table keeps.
            database.execute(f"create temp table side as select * from ({select}) limit 0")
            types = [row[2] for row in database.execute("pragma table_info(side)")]
            _fill(space, table, database.execute(select))
            return types
    # Up to Python 3.11, a second statement is a Warning.
    except (sqlite3.Error, sqlite3.Warning) as error:
        locked = "locked" in str(error)
        kind = "DatabaseLocked" if locked else "QueryError"
        raise ReadError(kind, str(error), is_retryable=True if locked else None) from error


def _read_postgresql(space: Workspace, table: str, address: str, select: str) -> list[str]:
    try:
        with closing(psycopg2.connect(address, connect_timeout=10)) as database:
            database.set_session(readonly=True, isolation_level="REPEATABLE READ")
            space.cancel = database.cancel
            cursor = database.cursor()
            # PostgreSQL 14 and later can then stop the query if this process is killed.
            cursor.execute(
                "select set_config(name, '1000', false) from pg_settings"
                " where name = 'client_connection_check_interval'"
            )
            cursor.execute("select set_config('sandbox.side', %s, true)", [select])
            cursor.execute(_ONE_QUERY)
            cursor.execute("select oid::int, typname from pg_type")
            names = dict(cursor.fetchall())
            cursor.execute(f"select * from ({select}) as side")
            _fill(space, table, cursor)
            return [names[column.type_code] for column in cursor.description]
    except psycopg2.Error as error:
        raise ReadError("QueryError", str(error).strip()) from error


def _fill(space: Workspace, table: str, cursor: Any) -> None:
    rows, columns = cursor.fetchall(), cursor.description
    kinds = [_kind(column, [row[place] for row in rows]) for place, column in enumerate(columns)]
    fields = (f"{quoted(column[0])} {kind}" for column, kind in zip(columns, kinds, strict=True))
    space.run(f"create table {table} ({', '.join(fields)})")
    # An array of JSON for each column: the fastest way into DuckDB that needs no other library.
    values = (f"unnest(from_json(?, '[\"VARCHAR\"]'))::{kind}" for kind in kinds)
    insert = f"insert into {table} select {', '.join(values)}"
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        each = zip(*rows[start : start + _ROWS_AT_ONCE], strict=True)
        space.run(insert, [json.dumps([*map(_text, values)]) for values in each])


def _kind(column: Sequence[Any], values: list[Any]) -> str:
    *_, digits, scale, _ = column
    if digits and 0 <= scale <= digits <= 38:
        return f"DECIMAL({digits}, {scale})"
    found = {_KINDS.get(each, "VARCHAR") for each in {*map(type, values)} - {type(None)}}
    if len(found) == 1:
        return found.pop()
    # Nulls alone are of any type.
    return "BIGINT" if not found else "DOUBLE" if found == {"BIGINT", "DOUBLE"} else "VARCHAR"


def _text(value: Any) -> str | None:
    if isinstance(value, datetime) and value.tzinfo:
        value = value.astimezone(timezone.utc).replace(tzinfo=None)
    if isinstance(value, (bytes, memoryview)):
        return "".join(f"\\x{byte:02X}" for byte in bytes(value))
    return None if value is None else str(value)

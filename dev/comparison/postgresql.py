"""A side that is in a PostgreSQL database."""

from __future__ import annotations

from contextlib import closing
from typing import Any, BinaryIO

import psycopg2
from duckdb import DuckDBPyConnection

from dev.comparison.table import ReadError, Table, columns_of, load

_SECONDS_TO_CONNECT = 10
_TYPES = {
    "bool": "BOOLEAN",
    "int2": "BIGINT",
    "int4": "BIGINT",
    "int8": "BIGINT",
    "float4": "DOUBLE",
    "float8": "DOUBLE",
    "numeric": "DOUBLE",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "timestamptz": "TIMESTAMPTZ",
}
"""DuckDB's types; all others are compared as PostgreSQL's text output."""
_LONGEST_DECIMAL = 38
_CHECK = """
do $$
declare side refcursor;
begin
    open side for execute current_setting('sandbox.side');
end $$
"""
"""Refuses what is more than one query, such as one that ends the read-only transaction first."""


def copy(connection: DuckDBPyConnection, url: str, select: str, name: str) -> Table:
    """Copy a side.

    :param connection: DuckDB in memory.
    :param url: the database's URL.
    :param select: the query for the side's rows.
    :param name: the table to create.
    """
    try:
        with closing(psycopg2.connect(url, connect_timeout=_SECONDS_TO_CONNECT)) as database:
            database.set_session(readonly=True, isolation_level="REPEATABLE READ")
            database.set_client_encoding("UTF8")
            return _copy(connection, database, select, name)
    except psycopg2.Error as error:
        raise ReadError("QueryError", str(error).strip()) from error


def _copy(connection: DuckDBPyConnection, database: Any, select: str, name: str) -> Table:
    cursor = database.cursor()
    # PostgreSQL 14 and later can then stop the query if this process is killed.
    cursor.execute(
        "select set_config(name, '1000', false) from pg_settings"
        " where name = 'client_connection_check_interval'"
    )
    cursor.execute("select set_config('sandbox.side', %s, true)", [select])
    cursor.execute(_CHECK)
    cursor.execute(f"select * from ({select}) as side limit 0")
    found = cursor.description
    cursor.execute(
        "select oid, typname from pg_type where oid = any(%s)",
        [[column.type_code for column in found]],
    )
    names = dict(cursor.fetchall())
    described = [(column.name, names[column.type_code]) for column in found]
    table = Table(name, columns_of(described))
    types = [_duckdb_type(names[column.type_code], column) for column in found]

    def write(file: BinaryIO) -> None:
        cursor.copy_expert(f"copy ({select}) to stdout (format csv, force_quote *)", file)

    load(connection, table, types, write)
    return table


def _duckdb_type(kind: str, column: Any) -> str:
    # Without a precision it may have any number of digits.
    if kind == "numeric" and column.precision and column.precision <= _LONGEST_DECIMAL:
        return f"DECIMAL({column.precision}, {column.scale})"
    return _TYPES.get(kind, "VARCHAR")

"""The rows of a side, from a DuckDB or SQLite file or from PostgreSQL.

What reads them changes nothing, runs one query only, and reaches no other file of this machine.
"""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb
import psycopg2

from dev.comparison.question import Side, is_url

SECONDS_FOR_LOCK = 10.0
"""How long to wait for a file that another process writes to."""

_DUCKDB: dict[str, Any] = {
    "enable_external_access": "false",
    "lock_configuration": "true",
    "python_enable_replacements": "false",
}
_LOCKED = "Could not set lock"
_IN_UTC = "TIMESTAMP WITH TIME ZONE"
_PLAIN = {bool, int, float, Decimal, str, date, bytes, type(None)}
_ONE_QUERY = """
do $$
declare side refcursor;
begin
    open side for execute current_setting('sandbox.side');
end $$
"""
"""Refuses what is more than one query, such as one that ends the read-only transaction first."""


class ReadError(Exception):
    """A side could not be read.

    :param kind: the name of the error.
    :param message: a sentence about it.
    :param is_retryable: whether a retry may succeed, ``None`` if that is unknown.
    """

    def __init__(self, kind: str, message: str, is_retryable: bool | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.is_retryable = is_retryable


@dataclass(frozen=True)
class Column:
    """A column of a side.

    :param name: its name.
    :param declared: its type's name in its database.
    :param values: its values: ``None``, numbers, strings, bytes, dates and times without a zone.
    """

    name: str
    declared: str
    values: Sequence[Any]


def read(side: Side) -> list[Column]:
    """Read all columns of a side.

    :param side: the side.
    :raises ReadError: if it cannot be read.
    """
    if is_url(side.address):
        described, rows = _postgresql(side.address, side.select)
    elif not (path := Path(side.address)).is_file():
        raise ReadError("DatabaseNotFound", f"There is no file {path}")
    else:
        read_file = _duckdb if _is_duckdb(path) else _sqlite
        described, rows = read_file(path, side.select)
    columns = zip(*rows, strict=True) if rows else [()] * len(described)
    return [
        Column(name, kind or _kind(values), _plain(values))
        for (name, kind), values in zip(described, columns, strict=True)
    ]


def check(address: str) -> None:
    """Check that this DuckDB can read a database, if that is a DuckDB file.

    :param address: the address of the database.
    :raises ReadError: it cannot, for example because a newer DuckDB wrote the file. One that is
        open for writing is no error, because it can be read later.
    """
    if is_url(address) or not Path(address).is_file() or not _is_duckdb(Path(address)):
        return
    try:
        _open_duckdb(Path(address), patience=0).close()
    except ReadError as error:
        if not error.is_retryable:
            raise


_Read = tuple[list[tuple[str, str]], list[tuple[Any, ...]]]
"""The name and the type of each column, and the rows."""


def _is_duckdb(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(12)[8:] == b"DUCK"


def _duckdb(path: Path, select: str) -> _Read:
    try:
        with closing(_open_duckdb(path, SECONDS_FOR_LOCK)) as database:
            if len(database.extract_statements(f"describe {select}")) != 1:
                raise ReadError("QueryError", "This is more than one statement")
            described = [row[:2] for row in database.execute(f"describe {select}").fetchall()]
            names = [f"c{place}" for place, _ in enumerate(described)]
            fields = (
                f"{name} at time zone 'UTC'" if kind == _IN_UTC else name
                for name, (_, kind) in zip(names, described, strict=True)
            )
            query = f"select {', '.join(fields)} from ({select}) as side({', '.join(names)})"
            return described, database.execute(query).fetchall()
    except duckdb.Error as error:
        raise ReadError("QueryError", str(error)) from error


def _open_duckdb(path: Path, patience: float) -> duckdb.DuckDBPyConnection:
    deadline = time.monotonic() + patience
    while True:
        try:
            return duckdb.connect(str(path), read_only=True, config=_DUCKDB)
        except duckdb.Error as error:
            if _LOCKED not in str(error):
                message = (
                    f"DuckDB {duckdb.__version__}, which compares here, cannot read {path}: "
                    f"{error}. If a newer DuckDB wrote the file, such as the one beside dbt, "
                    f"install the same version of DuckDB for both"
                )
                raise ReadError("DatabaseError", message) from error
            if time.monotonic() >= deadline:
                message = f"{path.name} is open for writing in another process: {error}"
                raise ReadError("DatabaseLocked", message, is_retryable=True) from error
            time.sleep(0.25)


def _sqlite(path: Path, select: str) -> _Read:
    address = f"file:{quote(str(path))}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=SECONDS_FOR_LOCK)) as database:
            database.text_factory = lambda text: text.decode(errors="replace")
            database.execute(f"create temp view side as {select}")
            described = [
                (row[1], _affinity(row[2])) for row in database.execute("pragma table_info(side)")
            ]
            return described, database.execute("select * from side").fetchall()
    # Up to Python 3.11, a second statement is a Warning.
    except (sqlite3.Error, sqlite3.Warning) as error:
        locked = "locked" in str(error)
        kind = "DatabaseLocked" if locked else "QueryError"
        raise ReadError(kind, str(error), is_retryable=True if locked else None) from error


def _affinity(declared: str) -> str:
    """Return SQLite's affinity for a declared type, by its documented rules.

    ``create table ... as select`` keeps only the affinity, so only that can be compared.
    """
    rules = (
        ("INTEGER", ("INT",)),
        ("TEXT", ("CHAR", "CLOB", "TEXT")),
        ("BLOB", ("BLOB",)),
        ("REAL", ("REAL", "FLOA", "DOUB")),
    )
    for affinity, words in rules:
        if any(word in declared.upper() for word in words):
            return affinity
    return "NUMERIC" if declared else ""


def _kind(values: Sequence[Any]) -> str:
    """Return the type of a column of SQLite that was computed and has no declared one."""
    names = {int: "INTEGER", float: "REAL", str: "TEXT", bytes: "BLOB"}
    found = {names[type(value)] for value in values if value is not None}
    if found == {"INTEGER", "REAL"}:
        return "NUMERIC"
    return found.pop() if len(found) == 1 else "BLOB"


def _postgresql(url: str, select: str) -> _Read:
    try:
        with closing(psycopg2.connect(url, connect_timeout=10)) as database:
            database.set_session(readonly=True, isolation_level="REPEATABLE READ")
            cursor = database.cursor()
            # PostgreSQL 14 and later can then stop the query if this process is killed.
            cursor.execute(
                "select set_config(name, '1000', false) from pg_settings"
                " where name = 'client_connection_check_interval'"
            )
            cursor.execute("select set_config('sandbox.side', %s, true)", [select])
            cursor.execute(_ONE_QUERY)
            cursor.execute(f"select * from ({select}) as side")
            rows, found = cursor.fetchall(), cursor.description
            cursor.execute("select oid::int, typname from pg_type")
            names = dict(cursor.fetchall())
            return [(column.name, names[column.type_code]) for column in found], rows
    except psycopg2.Error as error:
        raise ReadError("QueryError", str(error).strip()) from error


def _plain(values: Sequence[Any]) -> Sequence[Any]:
    """Return values that can be compared with those of another database."""
    is_plain = set(map(type, values)) <= _PLAIN and not any(map(_is_nan, values))
    return values if is_plain else [*map(_plain_value, values)]


def _is_nan(value: Any) -> bool:
    return bool(value != value)


def _plain_value(value: Any) -> Any:
    if _is_nan(value):
        # Two of them are only equal if they are the same object.
        return math.nan
    match value:
        case datetime():
            return value.astimezone(timezone.utc).replace(tzinfo=None) if value.tzinfo else value
        case memoryview():
            return bytes(value)
    return value if type(value) in _PLAIN else str(value)

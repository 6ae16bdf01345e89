"""A side of a comparison, copied into DuckDB."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from duckdb import DuckDBPyConnection


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

    :param name: its name in its database.
    :param declared: its type's name in its database.
    :param field: its name in the copy, where names such as ``id`` and ``ID`` would collide.
    """

    name: str
    declared: str
    field: str


@dataclass(frozen=True)
class Table:
    """The copy of a side.

    :param name: the table in DuckDB.
    :param columns: its columns.
    """

    name: str
    columns: list[Column]


def columns_of(described: Sequence[tuple[str, str]]) -> list[Column]:
    """Return the columns of a copy.

    :param described: the name and the declared type of each.
    """
    return [Column(name, kind, f"c{place}") for place, (name, kind) in enumerate(described)]


def load(
    connection: DuckDBPyConnection,
    table: Table,
    types: Sequence[str],
    write: Callable[[BinaryIO], None],
) -> None:
    """Create a table and fill it from CSV, in which only an unquoted empty value is null.

    The CSV goes through a pipe: a file would remain if this process is killed.

    :param connection: DuckDB in memory.
    :param table: the table to create.
    :param types: DuckDB's types of its columns.
    :param write: writes the CSV.
    """
    reading, writing = os.pipe()
    failures: list[Exception] = []

    def fill() -> None:
        try:
            with open(writing, "wb") as file:
                write(file)
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=fill, daemon=True)
    thread.start()
    fields = {column.field: kind for column, kind in zip(table.columns, types, strict=True)}
    try:
        connection.execute(
            f"create table {table.name} as select * from read_csv(?, columns=?, auto_detect=false,"
            " header=false, delim=',', quote='\"', escape='\"', nullstr='', parallel=false,"
            " allow_quoted_nulls=false)",
            [f"/dev/fd/{reading}", fields],
        )
    finally:
        # Closing the reader ends a thread that still writes.
        os.close(reading)
        thread.join()
    if failures:
        raise failures[0]

"""Check whether the key of a comparison identifies the rows of both sides."""

from __future__ import annotations

from dataclasses import dataclass

from duckdb import DuckDBPyConnection

from dev.comparison.columns import Pair, Pairing
from dev.comparison.question import Question
from dev.comparison.table import Table


@dataclass(frozen=True)
class KeyFigures:
    """The quality of a key on one side.

    :param rows: how many rows there are.
    :param nulls: how many of them have a null in their key.
    :param distincts: how many keys there are.
    :param dupes: how many rows repeat the key of another one.
    """

    rows: int
    nulls: int = 0
    distincts: int = 0
    dupes: int = 0

    @property
    def is_bad(self) -> bool:
        """Whether the key fails to identify each row."""
        return bool(self.nulls or self.dupes)


def find(
    connection: DuckDBPyConnection, question: Question, tables: list[Table], pairing: Pairing
) -> list[Pair]:
    """Return the columns of the key, none if a side lacks one of them.

    :param connection: DuckDB in memory.
    :param question: the comparison.
    :param tables: the two sides.
    :param pairing: their columns.
    """
    if question.infers_keys and not question.keys:
        return _infer(connection, tables, pairing)
    found = [pairing.pair(name) for name in question.keys]
    return [pair for pair in found if pair is not None] if all(found) else []


def measure(connection: DuckDBPyConnection, table: str, fields: list[str]) -> KeyFigures:
    """Measure the quality of a key on one side.

    :param connection: DuckDB in memory.
    :param table: the side's table.
    :param fields: the key's columns in it.
    """
    key = ", ".join(fields)
    some_null = " or ".join(f"{field} is null" for field in fields)
    row = connection.execute(
        f"select (select count(*) from {table}),"
        f" (select count(*) from {table} where {some_null}),"
        f" (select count(*) from (select distinct {key} from {table} where not ({some_null})))"
    ).fetchone()
    rows, nulls, distincts = row or (0, 0, 0)
    return KeyFigures(rows, nulls, distincts, dupes=rows - nulls - distincts)


def _infer(connection: DuckDBPyConnection, tables: list[Table], pairing: Pairing) -> list[Pair]:
    """Return the first column that identifies the rows of both sides."""
    for pair in pairing.pairs.values():
        sides = zip(tables, pair.columns, strict=True)
        figures = [measure(connection, table.name, [column.field]) for table, column in sides]
        if any(side.rows for side in figures) and not any(side.is_bad for side in figures):
            return [pair]
    return []

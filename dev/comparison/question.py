"""The declaration of a comparison."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

STEPS = 4
"""Reading each side, judging the key, comparing the values."""


@dataclass(frozen=True)
class Side:
    """One of the two things that are compared: a table or a query.

    :param address: the path of a DuckDB or SQLite file, or the URL of a PostgreSQL database.
    :param table: the table's name in parts, such as ``["main", "orders"]``.
    :param query: a query, where there is no table.
    :param filter: a condition in SQL that rows must meet.
    :param limit: the most rows to read.
    """

    address: str
    table: list[str] | None = None
    query: str | None = None
    filter: str | None = None
    limit: int | None = None

    @property
    def select(self) -> str:
        """The query for the rows of this side."""
        source = (
            ".".join('"' + part.replace('"', '""') + '"' for part in self.table)
            if self.table
            # On separate lines, because it may end with a comment.
            else f"(\n{(self.query or '').strip().rstrip(';')}\n) as query"
        )
        condition = f" where (\n{self.filter}\n)" if self.filter else ""
        limit = "" if self.limit is None else f" limit {self.limit}"
        return f"select * from {source}{condition}{limit}"


@dataclass(frozen=True)
class Tolerance:
    """The difference up to which two numbers count as equal.

    :param value: the greatest difference.
    :param relative: whether that is a fraction of the greater of the two numbers.
    """

    value: float = 0.0
    relative: bool = False

    def covers(self, one: float, other: float) -> bool:
        """Return whether two numbers count as equal.

        :param one: a number.
        :param other: another one.
        """
        one, other = float(one), float(other)
        scale = max(abs(one), abs(other)) if self.relative else 1.0
        difference = abs(one - other)
        return difference <= self.value * scale and math.isfinite(difference)


@dataclass(frozen=True)
class Question:
    """A whole comparison.

    :param sides: the two sides.
    :param judges_schema: whether different columns make a difference.
    :param keys: the columns that identify a row.
    :param infers_keys: whether to look for such a column if there are no keys.
    :param included: the columns to compare, ``None`` for all.
    :param excluded: the columns not to compare.
    :param renamed: pairs of the first side's name and the second side's name of a column.
    :param tolerance: for all columns of decimal or floating point numbers.
    :param tolerances: for columns of numbers by name.
    :param sample_ratio: the fraction of the keys to compare, from 0 to 1.
    :param sample_rows: the most keys to compare.
    :param sample_threshold: sample only if the larger side has at least this many rows.
    :param shows: whether to show the rows of the one side, instead of comparing two.
    :param delay: seconds to wait before the end, to simulate a slow comparison.
    """

    sides: list[Side]
    judges_schema: bool = True
    keys: list[str] = field(default_factory=list)
    infers_keys: bool = False
    included: list[str] | None = None
    excluded: list[str] = field(default_factory=list)
    renamed: list[list[str]] = field(default_factory=list)
    tolerance: Tolerance = Tolerance()
    tolerances: dict[str, Tolerance] = field(default_factory=dict)
    sample_ratio: float | None = None
    sample_rows: int | None = None
    sample_threshold: int = 0
    shows: bool = False
    delay: float = 0.0


def is_url(address: str) -> bool:
    """Return whether the address of a database is a PostgreSQL URL, not a path.

    :param address: the address.
    """
    return address.startswith(("postgresql://", "postgres://"))

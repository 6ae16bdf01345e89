"""The declaration of a comparison."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

STEPS = 4
"""Copying each side, judging the key, comparing the values."""


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
            ".".join(map(quoted, self.table))
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

    value: float
    relative: bool = False


@dataclass(frozen=True)
class Sampling:
    """The part of the keys that is compared: all keys, unless there is a limit.

    :param ratio: the fraction of the keys, from 0 to 1.
    :param max_rows: the most keys to compare.
    :param threshold: sample only if the larger side has at least this many rows.
    """

    ratio: float | None = None
    max_rows: int | None = None
    threshold: int = 0


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
    :param sampling: which part of the keys to compare.
    :param shows: how many rows of the one side to show, 0 to compare two sides.
    :param delay: seconds to wait before the end, to simulate a slow comparison.
    """

    sides: list[Side]
    judges_schema: bool = True
    keys: list[str] = field(default_factory=list)
    infers_keys: bool = False
    included: list[str] | None = None
    excluded: list[str] = field(default_factory=list)
    renamed: list[list[str]] = field(default_factory=list)
    tolerance: Tolerance = Tolerance(0.0)
    tolerances: dict[str, Tolerance] = field(default_factory=dict)
    sampling: Sampling = Sampling()
    shows: int = 0
    delay: float = 0.0

    def dump(self) -> str:
        """Return this as a line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def load(cls, text: str) -> Question:
        """Read a question that :meth:`dump` wrote.

        :param text: a line of JSON.
        """
        fields: dict[str, Any] = json.loads(text)
        fields["sides"] = [Side(**side) for side in fields["sides"]]
        fields["tolerance"] = Tolerance(**fields["tolerance"])
        fields["tolerances"] = {
            name: Tolerance(**tolerance) for name, tolerance in fields["tolerances"].items()
        }
        fields["sampling"] = Sampling(**fields["sampling"])
        return cls(**fields)


def is_url(address: str) -> bool:
    """Return whether the address of a database is a PostgreSQL URL, not a path.

    :param address: the address.
    """
    return address.startswith(("postgresql://", "postgres://"))


def quoted(name: str) -> str:
    """Quote a name for SQL.

    :param name: a table's or a column's name.
    """
    return '"' + name.replace('"', '""') + '"'

"""A column that both sides have."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from dev.comparison.question import Question
from dev.comparison.table import Column
from dev.comparison.workspace import ReadError

# From DuckDB 2 on, nulls alone have a type of their own.
_INTEGER = r'BOOLEAN|U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|"NULL"'
_NUMBER = rf"{_INTEGER}|FLOAT|DOUBLE|DECIMAL.*"

Side = dict[str, Column]
"""The columns of a side, by their names without case."""


@dataclass(frozen=True)
class Pair:
    """A column that both sides have, under the first side's name."""

    name: str
    first: Column
    second: Column

    @property
    def sides(self) -> tuple[str, str]:
        """The SQL of the values of both sides. DuckDB compares numbers of any two types."""
        is_alike = self.first.kind == self.second.kind or self._are(_NUMBER)
        cast = "" if is_alike else "::varchar"
        return self.first.field + cast, self.second.field + cast

    @property
    def has_two_types(self) -> bool:
        """Whether the two databases declare different types."""
        one, other = self.first.declared.upper(), self.second.declared.upper()
        return bool(one and other) and one != other

    def differs(self, question: Question) -> str:
        """Return the SQL of whether the values differ, which is never null."""
        differs = " is distinct from ".join(self.sides)
        most = question.get("diff_tolerance")
        if not most or self._are(_INTEGER) or not self._are(_NUMBER):
            return differs
        one, other = (f"{column.field}::double" for column in (self.first, self.second))
        gap = f"abs({one} - {other})"
        if question.get("tolerance_mode") == "relative":
            most = f"{most} * greatest(abs({one}), abs({other}))"
        return f"({differs} and not coalesce(isfinite({gap}) and {gap} <= {most}, false))"

    def _are(self, kinds: str) -> bool:
        return all(re.fullmatch(kinds, column.kind) for column in (self.first, self.second))


def named(question: Question, sides: Iterable[Iterable[Column]]) -> tuple[Side, Side, set[str]]:
    """Return the columns of both sides as the first names them, and which to compare."""
    one, other = ({column.name.casefold(): column for column in side} for side in sides)
    renamed = question.get("column_mapping") or ()
    included = question.get("include_columns") or ()
    listed = included or question.get("exclude_columns") or ()
    for names, columns in (
        ([first for first, _ in renamed], one),
        ([second for _, second in renamed], other),
        (listed, other | one),
    ):
        _require(names, columns)
    new = {second.casefold(): first.casefold() for first, second in renamed}
    other = {new.get(name, name): column for name, column in other.items()}
    found = {name.casefold() for name in listed}
    return one, other, found if included else (one.keys() | other.keys()) - found


def _require(names: Iterable[str], columns: Side) -> None:
    for name in names:
        if name.casefold() not in columns:
            there = ", ".join(column.name for column in columns.values())
            message = f"There is no column {name!r}. The columns are {there}"
            raise ReadError("ColumnNotFound", message)

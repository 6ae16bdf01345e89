"""The columns of the two sides, in pairs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from dev.comparison.question import Question
from dev.comparison.table import Column
from dev.comparison.workspace import ReadError

# From DuckDB 2 on, nulls alone have a type of their own.
_INTEGER = r'BOOLEAN|U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|"NULL"'
_NUMBER = rf"{_INTEGER}|FLOAT|DOUBLE|DECIMAL.*"


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


class Pairing:
    """The columns of two sides by their names, ignoring case."""

    def __init__(self, question: Question, sides: Sequence[Sequence[Column]]) -> None:
        one, other = ({column.name.casefold(): column for column in side} for side in sides)
        renamed = question.get("column_mapping") or ()
        included = question.get("include_columns")
        listed = included or question.get("exclude_columns") or ()
        _require((first for first, _ in renamed), one)
        _require((second for _, second in renamed), other)
        _require(listed, other | one)
        names = {second.casefold(): first.casefold() for first, second in renamed}
        other = {names.get(name, name): column for name, column in other.items()}
        self.pairs = {
            name: Pair(column.name, column, other[name])
            for name, column in one.items()
            if name in other
        }
        self._sides = one, other
        found = {name.casefold() for name in listed}
        self._wanted = found if included else (one.keys() | other.keys()) - found

    def values(self, key: Sequence[Pair]) -> list[Pair]:
        """Return the columns whose values are compared."""
        return [
            pair for name, pair in self.pairs.items() if name in self._wanted and pair not in key
        ]

    def schema(self, key: Sequence[Pair]) -> dict[str, Any]:
        """Return how the columns of the sides differ, as far as they are compared."""
        wanted = self._wanted | {pair.name.casefold() for pair in key}
        first, second = (
            {name: column.name for name, column in side.items() if name in wanted}
            for side in self._sides
        )
        orders = ([name for name in side if name in self.pairs] for side in (first, second))
        exclusive = [
            [side[name] for name in side if name not in self.pairs] for side in (first, second)
        ]
        differ = [
            pair.name for name, pair in self.pairs.items() if name in wanted and pair.has_two_types
        ]
        return {
            "column_counts": [len(first), len(second)],
            "column_reorders": sum(one != other for one, other in zip(*orders, strict=True)),
            "column_type_differs": differ,
            "column_type_mismatches": len(differ),
            "columns_mismatched": [len(names) for names in exclusive],
            "exclusive_columns": exclusive,
        }


def _require(names: Iterable[str], columns: dict[str, Column]) -> None:
    for name in names:
        if name.casefold() not in columns:
            there = ", ".join(column.name for column in columns.values())
            message = f"There is no column {name!r}. The columns are {there}"
            raise ReadError("ColumnNotFound", message)

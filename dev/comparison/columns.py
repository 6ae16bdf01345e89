"""Pair the columns of the two sides."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

from dev.comparison.question import Question, Tolerance
from dev.comparison.table import Column, ReadError

_NUMBERS = {bool, int, float, Decimal}
_INTEGERS = {bool, int}


@dataclass(frozen=True)
class Pair:
    """A column that both sides have.

    :param name: its name, that of the first side.
    :param first: the first side's column.
    :param second: the second side's column.
    """

    name: str
    first: Column
    second: Column

    @cached_property
    def kinds(self) -> set[type]:
        """The types of the values on both sides."""
        return {*map(type, self.first.values), *map(type, self.second.values)} - {type(None)}

    def comparable(self) -> tuple[Sequence[Any], Sequence[Any]]:
        """Return the values of both sides, converted to one type where they have several."""
        convert: Callable[[Any], Any] = str
        if self.kinds <= _NUMBERS and {float, Decimal} <= self.kinds:
            # 0.1 as a decimal number and as a float are not the same number.
            convert = float
        elif len(self.kinds) <= 1 or self.kinds <= _NUMBERS:
            return self.first.values, self.second.values
        first, second = (
            [None if value is None else convert(value) for value in column.values]
            for column in (self.first, self.second)
        )
        return first, second

    def difference(self, question: Question) -> Callable[[Any, Any], bool]:
        """Return what says whether two comparable values differ.

        :param question: the comparison, with the tolerances.
        :raises ReadError: if there is a tolerance, and something else than numbers.
        """
        tolerance = self._tolerance(question)

        def differs(one: Any, other: Any) -> bool:
            if one is other or one == other:
                return False
            return None in (one, other) or not tolerance.covers(one, other)

        return differs if tolerance.value else lambda one, other: not (one is other or one == other)

    def _tolerance(self, question: Question) -> Tolerance:
        for name, tolerance in question.tolerances.items():
            if name.casefold() == self.name.casefold():
                if not self.kinds <= _NUMBERS:
                    types = f"{self.first.declared} and {self.second.declared}"
                    message = f"{self.name} is {types}: only numbers have a tolerance"
                    raise ReadError("ToleranceError", message)
                return tolerance
        is_exact = self.kinds <= _INTEGERS or not self.kinds <= _NUMBERS
        return Tolerance() if is_exact else question.tolerance


class Pairing:
    """The columns of two sides by their names, ignoring case.

    :param question: the comparison.
    :param tables: the columns of the two sides.
    :raises ReadError: if a column in the question does not exist.
    """

    def __init__(self, question: Question, tables: list[list[Column]]) -> None:
        renamed = {second.casefold(): first.casefold() for first, second in question.renamed}
        one = {column.name.casefold(): column for column in tables[0]}
        other = {
            renamed.get(column.name.casefold(), column.name.casefold()): column
            for column in tables[1]
        }
        _require([first for first, _ in question.renamed], tables[0])
        _require([second for _, second in question.renamed], tables[1])
        named = [*(question.included or ()), *question.excluded, *question.tolerances]
        _require(named, [*tables[0], *tables[1]])
        self.pairs = {
            name: Pair(column.name, column, other[name])
            for name, column in one.items()
            if name in other
        }
        self._sides = one, other
        self._keys = {name.casefold() for name in question.keys}
        excluded = {name.casefold() for name in question.excluded}
        self._wanted = (
            (one.keys() | other.keys()) - excluded
            if question.included is None
            else {name.casefold() for name in question.included}
        )

    def values(self, keys: Sequence[Pair]) -> list[Pair]:
        """Return the columns whose values are compared.

        :param keys: the columns of the key.
        """
        names = {pair.name for pair in keys}
        return [
            pair
            for name, pair in self.pairs.items()
            if name in self._wanted and pair.name not in names
        ]

    def schema(self) -> dict[str, Any]:
        """Return how the sides' columns differ, ignoring those that are not compared."""
        wanted, sides = self._wanted | self._keys, self._sides
        first, second = ({name: side[name] for name in side if name in wanted} for side in sides)
        exclusive = [
            [column.name for name, column in first.items() if name not in second],
            [column.name for name, column in second.items() if name not in first],
        ]
        orders = ([name for name in side if name in self.pairs] for side in (first, second))
        differ = [
            pair.name
            for name, pair in self.pairs.items()
            if name in wanted and pair.first.declared.upper() != pair.second.declared.upper()
        ]
        return {
            "column_counts": [len(first), len(second)],
            "column_reorders": sum(one != other for one, other in zip(*orders, strict=True)),
            "column_type_differs": differ,
            "column_type_mismatches": len(differ),
            "columns_mismatched": [len(names) for names in exclusive],
            "exclusive_columns": exclusive,
        }


def _require(names: Iterable[str], columns: list[Column]) -> None:
    there = {column.name.casefold(): column.name for column in columns}
    for name in names:
        if name.casefold() not in there:
            message = f"There is no column {name!r}. The columns are {', '.join(there.values())}"
            raise ReadError("ColumnNotFound", message)

"""Pair the columns of the two sides."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from dev.comparison.question import Question
from dev.comparison.table import Column, ReadError, Table


@dataclass(frozen=True)
class Pair:
    """A column that both sides have.

    :param name: its name, that of the first side.
    :param columns: the column of each side.
    """

    name: str
    columns: tuple[Column, Column]

    @property
    def has_same_type(self) -> bool:
        """Whether both databases have the same name for the type."""
        first, second = self.columns
        return first.declared.upper() == second.declared.upper()


class Pairing:
    """The columns of two sides by their names, ignoring case.

    :param question: the comparison.
    :param tables: the two sides.
    :raises ReadError: if a column in the question does not exist.
    """

    def __init__(self, question: Question, tables: list[Table]) -> None:
        renamed = {second.casefold(): first.casefold() for first, second in question.renamed}
        self._sides: list[dict[str, Column]] = [
            {column.name.casefold(): column for column in tables[0].columns},
            {
                renamed.get(column.name.casefold(), column.name.casefold()): column
                for column in tables[1].columns
            },
        ]
        _require([first for first, _ in question.renamed], tables[:1])
        _require([second for _, second in question.renamed], tables[1:])
        _require([*(question.included or ()), *question.excluded, *question.tolerances], tables)
        self.pairs = {
            name: Pair(column.name, (column, self._sides[1][name]))
            for name, column in self._sides[0].items()
            if name in self._sides[1]
        }

    def pair(self, name: str) -> Pair | None:
        """Return a column that both sides have, ``None`` if one of them does not.

        :param name: the column's name.
        """
        return self.pairs.get(name.casefold())

    def values(self, question: Question, keys: Iterable[Pair]) -> list[Pair]:
        """Return the columns whose values are compared.

        :param question: the comparison.
        :param keys: the columns of the key.
        """
        keys = list(keys)
        wanted = self._wanted(question)
        return [pair for name, pair in self.pairs.items() if name in wanted and pair not in keys]

    def schema(self, question: Question) -> dict[str, Any]:
        """Return how the sides' columns differ, ignoring those that are not compared.

        :param question: the comparison.
        """
        wanted = self._wanted(question) | {name.casefold() for name in question.keys}
        first, second = (
            {name: column for name, column in side.items() if name in wanted}
            for side in self._sides
        )
        exclusive = [
            [column.name for name, column in first.items() if name not in second],
            [column.name for name, column in second.items() if name not in first],
        ]
        orders = ([name for name in side if name in self.pairs] for side in (first, second))
        differ = [
            pair.name
            for name, pair in self.pairs.items()
            if name in wanted and not pair.has_same_type
        ]
        return {
            "column_counts": [len(first), len(second)],
            "column_reorders": sum(one != other for one, other in zip(*orders, strict=True)),
            "column_type_differs": differ,
            "column_type_mismatches": len(differ),
            "columns_mismatched": [len(names) for names in exclusive],
            "exclusive_columns": exclusive,
        }

    def _wanted(self, question: Question) -> set[str]:
        if question.included is not None:
            return {name.casefold() for name in question.included}
        excluded = {name.casefold() for name in question.excluded}
        return (self._sides[0].keys() | self._sides[1].keys()) - excluded


def _require(names: Iterable[str], tables: list[Table]) -> None:
    there = {column.name.casefold(): column.name for table in tables for column in table.columns}
    for name in names:
        if name.casefold() not in there:
            message = f"There is no column {name!r}. The columns are {', '.join(there.values())}"
            raise ReadError("ColumnNotFound", message)

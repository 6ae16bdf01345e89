"""Compare the rows of both sides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from duckdb import DuckDBPyConnection

from dev.comparison import keys
from dev.comparison.columns import Pair
from dev.comparison.keys import KeyFigures
from dev.comparison.question import Question, Sampling, Tolerance
from dev.comparison.table import ReadError, Table

_INTEGERS = {
    f"{sign}{size}"
    for sign in ("", "U")
    for size in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
}
_ROWS_SHOWN = 20
_CHARACTERS_SHOWN = 200


@dataclass(frozen=True)
class Counts:
    """How many rows and values differ.

    :param removed: the keys that only the first side has.
    :param added: the keys that only the second side has.
    :param both: the keys that both have.
    :param different: how many of these have rows with different values.
    :param per_column: how many values differ in each column.
    """

    removed: int
    added: int
    both: int
    different: int
    per_column: dict[str, int]

    @property
    def match_ratio(self) -> float:
        """The ratio of keys whose rows are equal on both sides."""
        total = self.removed + self.added + self.both
        return (self.both - self.different) / total if total else 1.0


class Rows:
    """The rows of both sides, side by side.

    In SQL, ``a`` and ``b`` are the two sides, each with its key as ``k0``, ``k1`` and so on, and
    the values to compare as ``v0``, ``v1`` and so on.

    :param connection: DuckDB with both sides.
    :param question: the comparison.
    :param tables: the two sides.
    :param key: the columns of the key.
    :param values: the columns to compare.
    """

    def __init__(
        self,
        connection: DuckDBPyConnection,
        question: Question,
        tables: list[Table],
        key: list[Pair],
        values: list[Pair],
    ) -> None:
        self._connection = connection
        self._question = question
        self._tables = tables
        self._key = key
        self._values = values
        self._types = [
            {row[0]: row[1] for row in connection.execute(f"describe {table.name}").fetchall()}
            for table in tables
        ]
        self._keys = [f"k{place}" for place, _ in enumerate(key)]
        self._differences = [f"d{place}" for place, _ in enumerate(values)]
        self._any_difference = " or ".join(self._differences) or "false"
        if key:
            self._create_sides()

    def measure_keys(self) -> list[KeyFigures]:
        """Measure the quality of the key on each side; without a key, only count the rows."""
        if self._key:
            return [keys.measure(self._connection, side, self._keys) for side in ("a", "b")]
        return [KeyFigures(self._count(table.name)) for table in self._tables]

    def join(self, sampling: Sampling) -> bool:
        """Join the rows of both sides by their keys.

        :param sampling: which share of them.
        :return: whether some keys are left out.
        :raises ReadError: if a column that is to have a tolerance has no numbers.
        """
        is_sampled = self._sample(sampling)
        only = f" semi join sample using ({', '.join(self._keys)})" if is_sampled else ""
        same_key = " and ".join(f"a.{name} = b.{name}" for name in self._keys)
        selected = [
            *(f"coalesce(a.{name}, b.{name}) as {name}" for name in self._keys),
            "case when b.k0 is null then 'removed' when a.k0 is null then 'added'"
            " else 'both' end as how",
        ]
        for place, pair in enumerate(self._values):
            first, second = f"a.v{place}", f"b.v{place}"
            differs = self._difference(pair, first, second)
            selected += [f"{first} as a{place}", f"{second} as b{place}", f"{differs} as d{place}"]
        self._connection.execute(
            f"create view joined as select {', '.join(selected)}"
            f" from (select * from a{only}) as a full join (select * from b{only}) as b"
            f" on {same_key}"
        )
        return is_sampled

    def count(self) -> Counts:
        """Count the rows and values that differ, once they are joined."""
        conditions = [
            "how = 'removed'",
            "how = 'added'",
            "how = 'both'",
            f"how = 'both' and ({self._any_difference})",
            *(f"how = 'both' and {difference}" for difference in self._differences),
        ]
        counted = ", ".join(f"count(*) filter ({condition})" for condition in conditions)
        removed, added, both, different, *each = self._one(f"select {counted} from joined")
        names = (pair.name for pair in self._values)
        return Counts(removed, added, both, different, dict(zip(names, each, strict=True)))

    def first(self) -> list[dict[str, Any]]:
        """Return the first rows that differ, once they are joined, with readable values.

        :return: for each row ``how`` it differs, its ``key``, and its ``values`` on both sides.
        """
        pairs = [f"{side}{place}" for place, _ in enumerate(self._values) for side in "ab"]
        texts = (f"left({name}::varchar, {_CHARACTERS_SHOWN})" for name in (*self._keys, *pairs))
        found = self._connection.execute(
            f"select {', '.join(('how', *self._differences, *texts))} from joined"
            f" where how <> 'both' or ({self._any_difference})"
            f" order by {', '.join(self._keys)} limit {_ROWS_SHOWN}"
        ).fetchall()
        return [self._shown(row) for row in found]

    def _shown(self, row: tuple[Any, ...]) -> dict[str, Any]:
        how, *rest = row
        differ, rest = rest[: len(self._values)], rest[len(self._values) :]
        key, sides = rest[: len(self._key)], rest[len(self._key) :]
        values = zip(self._values, sides[::2], sides[1::2], differ, strict=True)
        return {
            "how": "different" if how == "both" else how,
            "key": dict(zip((pair.name for pair in self._key), key, strict=True)),
            "values": {
                pair.name: {"first": first, "second": second, "differs": differs}
                for pair, first, second, differs in values
            },
        }

    def _create_sides(self) -> None:
        for side, (view, table) in enumerate(zip("ab", self._tables, strict=True)):
            fields = [
                f"{self._comparable(pair, side)} as {letter}{place}"
                for letter, pairs in (("k", self._key), ("v", self._values))
                for place, pair in enumerate(pairs)
            ]
            self._connection.execute(
                f"create view {view} as select {', '.join(fields)} from {table.name}"
            )

    def _comparable(self, pair: Pair, side: int) -> str:
        """Return a column of a side, as a string if its type differs on the other side."""
        field = pair.columns[side].field
        types = self._types_of(pair)
        return field if types[0] == types[1] or all(map(_is_number, types)) else f"{field}::varchar"

    def _sample(self, sampling: Sampling) -> bool:
        """Choose the keys to compare: the same keys on both sides, and in every run."""
        if sampling.ratio is sampling.max_rows is None:
            return False
        key = ", ".join(self._keys)
        every = f"(select {key} from a union select {key} from b)"
        count = self._count(every)
        wanted = self._sample_size(sampling, count)
        texts = ", ".join(f"{name}::varchar" for name in self._keys)
        self._connection.execute(
            f"create table sample as select * from {every}"
            f" order by hash({texts}), {key} limit {wanted}"
        )
        return wanted < count

    def _sample_size(self, sampling: Sampling, count: int) -> int:
        if max(self._count("a"), self._count("b")) < sampling.threshold:
            return count
        wanted = count if sampling.ratio is None else round(count * sampling.ratio)
        return wanted if sampling.max_rows is None else min(wanted, sampling.max_rows)

    def _difference(self, pair: Pair, first: str, second: str) -> str:
        """Return the SQL condition that two values differ, which is never null."""
        tolerance = self._tolerance(pair)
        if not tolerance.value:
            return f"{first} is distinct from {second}"
        greatest = f"{tolerance.value!r}"
        if tolerance.relative:
            greatest += f" * greatest(abs({first}::double), abs({second}::double))"
        # Equal numbers may have no difference: that of two infinite numbers is NaN.
        return (
            f"({first} is distinct from {second}"
            f" and not coalesce(abs({first}::double - {second}::double) <= {greatest}, false))"
        )

    def _tolerance(self, pair: Pair) -> Tolerance:
        types = self._types_of(pair)
        are_numbers = all(map(_is_number, types))
        for name, tolerance in self._question.tolerances.items():
            if name.casefold() == pair.name.casefold():
                if not are_numbers:
                    message = f"{pair.name} is {' and '.join(types)}: only numbers have a tolerance"
                    raise ReadError("ToleranceError", message)
                return tolerance
        is_exact = not are_numbers or _INTEGERS.issuperset(types)
        return Tolerance(0.0) if is_exact else self._question.tolerance

    def _types_of(self, pair: Pair) -> tuple[str, ...]:
        sides = zip(self._types, pair.columns, strict=True)
        return tuple(types[column.field] for types, column in sides)

    def _count(self, relation: str) -> int:
        return int(self._one(f"select count(*) from {relation}")[0])

    def _one(self, statement: str) -> tuple[Any, ...]:
        return self._connection.execute(statement).fetchone() or ()


def _is_number(kind: str) -> bool:
    return kind in _INTEGERS or kind.startswith(("FLOAT", "DOUBLE", "DECIMAL"))

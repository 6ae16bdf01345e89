"""Compares the two sides, once both are in DuckDB."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import duckdb
from duckdb import DuckDBPyConnection

from dev.comparison import keys, source
from dev.comparison.columns import Pair, Pairing
from dev.comparison.keys import KeyFigures
from dev.comparison.question import STEPS, Question, Sampling, Tolerance
from dev.comparison.table import ReadError, Table

_INTEGERS = {
    f"{sign}{size}"
    for sign in ("", "U")
    for size in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
}
_ROWS_SHOWN = 20
_CHARACTERS_SHOWN = 200

Answer = dict[str, Any]


def compare(question: Question, step: Callable[[int], None]) -> Answer:
    """Compare two sides.

    :param question: what is to be compared.
    :param step: is told how many of the steps are done.
    :return: ``result``, ``diff_stats`` and ``summary_results`` as the API has them, ``pk_columns``
        and, as ``rows``, the first rows that differ.
    :raises ReadError: if a side can't be read.
    """
    connection = duckdb.connect()
    tables = []
    for place, side in enumerate(question.sides, 1):
        try:
            tables.append(source.copy(connection, side, f"side{place}"))
        except ReadError as error:
            message = f"Side {place}: {error}"
            raise ReadError(error.kind, message, error.is_retryable) from error
        step(place)
    pairing = Pairing(question, tables)
    key = keys.find(connection, question, tables, pairing)
    comparison = _Comparison(connection, question, tables, pairing, key)
    answer = comparison.answer(lambda: step(STEPS - 1))
    time.sleep(question.delay)
    return answer


class _Comparison:
    """The SQL of a comparison, and what it finds.

    :param connection: DuckDB with both sides.
    :param question: what is to be compared.
    :param tables: the two sides.
    :param pairing: their columns.
    :param key: the columns of the key.
    """

    def __init__(
        self,
        connection: DuckDBPyConnection,
        question: Question,
        tables: list[Table],
        pairing: Pairing,
        key: list[Pair],
    ) -> None:
        self._connection = connection
        self._question = question
        self._tables = tables
        self._key = key
        self._values = pairing.values(question, key)
        self._schema = pairing.schema(question)
        self._types = [
            {row[0]: row[1] for row in connection.execute(f"describe {table.name}").fetchall()}
            for table in tables
        ]
        self._keys = [f"k{place}" for place, _ in enumerate(key)]

    def answer(self, step: Callable[[], None]) -> Answer:
        """Return what is found.

        :param step: is told when the key has been judged.
        """
        rows = [self._count(table.name) for table in self._tables]
        if not self._key:
            figures = [KeyFigures(count, 0, 0) for count in rows]
            return self._answer("missing-pks" if any(rows) else "empty", figures)
        self._create_views()
        figures = [keys.measure(self._connection, view, self._keys) for view in ("a", "b")]
        step()
        if not any(rows):
            return self._answer("empty", figures)
        if any(side.is_bad for side in figures):
            return self._answer("bad-pks", figures)
        sampled = self._sample(self._question.sampling, max(rows))
        return self._compared(figures, sampled)

    def _compared(self, figures: list[KeyFigures], sampled: bool) -> Answer:
        differs = [f"v{place}" for place, _ in enumerate(self._values)]
        columns = ", ".join(f"count(*) filter (how = 'both' and {name})" for name in differs)
        some = " or ".join(differs) or "false"
        self._create_rows(sampled)
        removed, added, both, different, *counts = self._one(
            "select count(*) filter (how = 'removed'), count(*) filter (how = 'added'),"
            f" count(*) filter (how = 'both'), count(*) filter (how = 'both' and ({some}))"
            f"{', ' if columns else ''}{columns} from compared"
        )
        total = removed + added + both
        in_schema = self._schema_differences
        is_different = bool(removed or added or different or in_schema)
        stats = {
            "rows_removed": removed,
            "rows_added": added,
            "diff_rows_count": different,
            "match_ratio": (both - different) / total if total else 1.0,
            "sampled": sampled,
        }
        values = {
            "total_rows": both,
            "rows_with_differences": different,
            "total_values": both * len(counts),
            "values_with_differences": sum(counts),
            "compared_columns": len(counts),
            "columns_with_differences": sum(count > 0 for count in counts),
            "columns_diff_stats": [
                {
                    "column_name": pair.name,
                    "match": 100.0 * (both - count) / both if both else 100.0,
                    "values_different": count,
                }
                for pair, count in zip(self._values, counts, strict=True)
            ],
        }
        result = "different" if is_different else "identical"
        answer = self._answer(result, figures, [removed, added], stats, values)
        return answer | {"rows": self._rows(some)}

    def _answer(
        self,
        result: str,
        figures: list[KeyFigures],
        exclusives: list[int] | None = None,
        stats: dict[str, Any] | None = None,
        values: dict[str, Any] | None = None,
    ) -> Answer:
        summary: dict[str, Any] = {
            "pks": {
                "total_rows": [side.rows for side in figures],
                "nulls": [side.nulls for side in figures],
                "dupes": [side.dupes for side in figures] if self._key else [0, 0],
                "distincts": [side.distincts for side in figures],
                "exclusives": exclusives or [0, 0],
            },
            "values": values,
        }
        if self._question.judges_schema:
            summary["schema"] = self._schema
        return {
            "result": result,
            "diff_stats": {
                "version": "1",
                "rows_removed": None,
                "rows_added": None,
                "diff_rows_count": None,
                "match_ratio": None,
                "sampled": False,
                "diff_schema": float(self._schema_differences),
                "table_a_row_count": figures[0].rows,
                "table_b_row_count": figures[1].rows,
                **(stats or {}),
            },
            "summary_results": summary,
            "pk_columns": [pair.name for pair in self._key],
            "rows": [],
        }

    @property
    def _schema_differences(self) -> int:
        if not self._question.judges_schema:
            return 0
        exclusive: list[int] = self._schema["columns_mismatched"]
        return sum(exclusive) + int(self._schema["column_type_mismatches"])

    def _create_views(self) -> None:
        """Give both sides the same names for what is compared, and types that can be compared."""
        for side, (view, table) in enumerate(zip("ab", self._tables, strict=True)):
            fields = [
                f"{self._expression(pair, side)} as {letter}{place}"
                for letter, pairs in (("k", self._key), ("v", self._values))
                for place, pair in enumerate(pairs)
            ]
            self._connection.execute(
                f"create view {view} as select {', '.join(fields)} from {table.name}"
            )

    def _expression(self, pair: Pair, side: int) -> str:
        field = pair.columns[side].field
        first, second = self._types_of(pair)
        are_numbers = _is_number(first) and _is_number(second)
        return field if first == second or are_numbers else f"{field}::varchar"

    def _types_of(self, pair: Pair) -> tuple[str, str]:
        first, second = (
            types[column.field] for types, column in zip(self._types, pair.columns, strict=True)
        )
        return first, second

    def _sample(self, sampling: Sampling | None, rows: int) -> bool:
        """Choose the keys to compare: the same ones on both sides and each time."""
        if sampling is None or rows < sampling.threshold:
            return False
        key = ", ".join(self._keys)
        as_texts = ", ".join(f"{name}::varchar" for name in self._keys)
        every = f"(select {key} from a union select {key} from b)"
        count = self._count(every)
        wanted = round(count * sampling.ratio) if sampling.ratio is not None else count
        if sampling.max_rows is not None:
            wanted = min(wanted, sampling.max_rows)
        self._connection.execute(
            f"create table sample as select * from {every}"
            f" order by hash({as_texts}), {key} limit {wanted}"
        )
        return wanted < count

    def _create_rows(self, sampled: bool) -> None:
        """Create the view of all rows of both sides, side by side."""
        key = ", ".join(self._keys)
        only = f" semi join sample using ({key})" if sampled else ""
        same = " and ".join(f"a.{name} = b.{name}" for name in self._keys)
        keys_of_both = ", ".join(f"coalesce(a.{name}, b.{name}) as {name}" for name in self._keys)
        values = "".join(
            f", a.v{place} as a{place}, b.v{place} as b{place},"
            f" {self._differs(pair, f'a.v{place}', f'b.v{place}')} as v{place}"
            for place, pair in enumerate(self._values)
        )
        self._connection.execute(
            f"create view compared as select {keys_of_both}{values},"
            " case when b.k0 is null then 'removed' when a.k0 is null then 'added'"
            " else 'both' end as how"
            f" from (select * from a{only}) as a full join (select * from b{only}) as b on {same}"
        )

    def _differs(self, pair: Pair, first: str, second: str) -> str:
        """Return the condition that two values differ, which is never null."""
        tolerance = self._tolerance(pair)
        if tolerance is None:
            return f"{first} is distinct from {second}"
        greatest = f"{tolerance.value!r}"
        if tolerance.relative:
            greatest += f" * greatest(abs({first}::double), abs({second}::double))"
        # Of two numbers that are equal the difference need not be one: both may be infinite.
        return (
            f"({first} is distinct from {second}"
            f" and not coalesce(abs({first}::double - {second}::double) <= {greatest}, false))"
        )

    def _tolerance(self, pair: Pair) -> Tolerance | None:
        types = self._types_of(pair)
        are_numbers = all(map(_is_number, types))
        for name, tolerance in self._question.tolerances.items():
            if name.casefold() == pair.name.casefold():
                if not are_numbers:
                    message = f"{pair.name} is {' and '.join(types)}: only numbers have a tolerance"
                    raise ReadError("ToleranceError", message)
                return tolerance
        may_be_inexact = are_numbers and not all(kind in _INTEGERS for kind in types)
        return self._question.tolerance if may_be_inexact else None

    def _rows(self, some: str) -> list[dict[str, Any]]:
        """Return the first rows that differ, for people."""
        texts = ", ".join(
            f"left({name}::varchar, {_CHARACTERS_SHOWN})"
            for name in (
                *self._keys,
                *(f"{side}{place}" for place, _ in enumerate(self._values) for side in "ab"),
            )
        )
        flags = "".join(f", v{place}" for place, _ in enumerate(self._values))
        found = self._connection.execute(
            f"select how, {texts}{flags} from compared where how <> 'both' or ({some})"
            f" order by {', '.join(self._keys)} limit {_ROWS_SHOWN}"
        ).fetchall()
        return [self._row(row) for row in found]

    def _row(self, row: tuple[Any, ...]) -> dict[str, Any]:
        how, *rest = row
        key, pairs = rest[: len(self._key)], rest[len(self._key) :]
        count = 2 * len(self._values)
        pairs, flags = pairs[:count], pairs[count:]
        values = zip(self._values, pairs[::2], pairs[1::2], flags, strict=True)
        return {
            "how": "different" if how == "both" else how,
            "key": dict(zip((pair.name for pair in self._key), key, strict=True)),
            "values": {
                pair.name: {"first": first, "second": second, "differs": bool(flag)}
                for pair, first, second, flag in values
            },
        }

    def _count(self, relation: str) -> int:
        return int(self._one(f"select count(*) from {relation}")[0])

    def _one(self, statement: str) -> tuple[Any, ...]:
        row = self._connection.execute(statement).fetchone()
        return row or ()


def _is_number(kind: str) -> bool:
    return kind in _INTEGERS or kind.startswith(("FLOAT", "DOUBLE", "DECIMAL"))

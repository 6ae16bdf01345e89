"""Compare two sides, and return the result as the API does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import duckdb

from dev.comparison import keys, source
from dev.comparison.columns import Pairing
from dev.comparison.keys import KeyFigures
from dev.comparison.question import STEPS, Question
from dev.comparison.rows import Counts, Rows

Answer = dict[str, Any]


def compare(question: Question, step: Callable[[int], None]) -> Answer:
    """Compare two sides.

    :param question: the comparison.
    :param step: is called with the number of completed steps.
    :return: ``result``, ``diff_stats`` and ``summary_results`` as the API has them, ``pk_columns``
        and, as ``rows``, the first rows that differ.
    :raises ReadError: if a side cannot be read.
    """
    connection = duckdb.connect()
    tables = source.copy(connection, question.sides, step)
    pairing = Pairing(question, tables)
    key = keys.find(connection, question, tables, pairing)
    report = _Report(pairing.schema(question) if question.judges_schema else None)
    rows = Rows(connection, question, tables, key, pairing.values(question, key))
    figures = rows.measure_keys()
    step(STEPS - 1)
    time.sleep(question.delay)
    names = [pair.name for pair in key]
    if not any(side.rows for side in figures):
        return report.not_compared("empty", figures, names)
    if not key:
        return report.not_compared("missing-pks", figures, names)
    if any(side.is_bad for side in figures):
        return report.not_compared("bad-pks", figures, names)
    sampled = rows.join(question.sampling)
    return report.compared(figures, names, rows.count(), sampled) | {"rows": rows.first()}


class _Report:
    """Builds the answer with the API's names.

    :param schema: how the sides' columns differ, ``None`` if that is not judged.
    """

    def __init__(self, schema: dict[str, Any] | None) -> None:
        self._schema = schema
        self._schema_differences = (
            sum(schema["columns_mismatched"]) + schema["column_type_mismatches"] if schema else 0
        )

    def not_compared(self, result: str, figures: list[KeyFigures], key: list[str]) -> Answer:
        """Return the answer if the rows could not be compared.

        :param result: the API's name for the reason.
        :param figures: the quality of the key on each side.
        :param key: the names of its columns.
        """
        names = ("rows_removed", "rows_added", "diff_rows_count", "match_ratio")
        return self._answer(result, figures, key, dict.fromkeys(names), [0, 0], None)

    def compared(
        self, figures: list[KeyFigures], key: list[str], counts: Counts, sampled: bool
    ) -> Answer:
        """Return the answer if the rows were compared.

        :param figures: the quality of the key on each side.
        :param key: the names of its columns.
        :param counts: how many rows and values differ.
        :param sampled: whether only some keys were compared.
        """
        stats = {
            "rows_removed": counts.removed,
            "rows_added": counts.added,
            "diff_rows_count": counts.different,
            "match_ratio": counts.match_ratio,
            "sampled": sampled,
        }
        per_column = counts.per_column
        values = {
            "total_rows": counts.both,
            "rows_with_differences": counts.different,
            "total_values": counts.both * len(per_column),
            "values_with_differences": sum(per_column.values()),
            "compared_columns": len(per_column),
            "columns_with_differences": sum(count > 0 for count in per_column.values()),
            "columns_diff_stats": [
                {
                    "column_name": name,
                    "match": 100.0 * (counts.both - count) / counts.both if counts.both else 100.0,
                    "values_different": count,
                }
                for name, count in per_column.items()
            ],
        }
        is_different = counts.removed or counts.added or counts.different
        result = "different" if is_different or self._schema_differences else "identical"
        exclusives = [counts.removed, counts.added]
        return self._answer(result, figures, key, stats, exclusives, values)

    def _answer(
        self,
        result: str,
        figures: list[KeyFigures],
        key: list[str],
        stats: dict[str, Any],
        exclusives: list[int],
        values: dict[str, Any] | None,
    ) -> Answer:
        summary = {
            "pks": {
                "total_rows": [side.rows for side in figures],
                "nulls": [side.nulls for side in figures],
                "dupes": [side.dupes for side in figures],
                "distincts": [side.distincts for side in figures],
                "exclusives": exclusives,
            },
            "values": values,
        }
        return {
            "result": result,
            "diff_stats": {
                "version": "1",
                "sampled": False,
                "diff_schema": float(self._schema_differences),
                "table_a_row_count": figures[0].rows,
                "table_b_row_count": figures[1].rows,
                **stats,
            },
            "summary_results": summary | ({"schema": self._schema} if self._schema else {}),
            "pk_columns": key,
            "rows": [],
        }

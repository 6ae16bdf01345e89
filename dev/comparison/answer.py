"""Answer a question as the API does."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from dev.comparison.columns import Pair, Pairing
from dev.comparison.question import STEPS, Question, Side
from dev.comparison.rows import Keys, Rows, find_keys
from dev.comparison.table import Column, ReadError, read

Answer = dict[str, Any]

_UNMEASURED = dict.fromkeys(("rows_removed", "rows_added", "diff_rows_count", "match_ratio"))


def show(question: Question) -> Answer:
    """Return the rows of a side.

    :param question: a question with one side.
    :return: ``columns`` and ``rows`` as the API has them.
    :raises ReadError: if the side cannot be read.
    """
    columns = _read(question.sides[0], 1)
    names = [column.name for column in columns]
    rows = zip(*(map(_plain, column.values) for column in columns), strict=True)
    return {
        "columns": [
            {"name": column.name, "number": place, "type": column.declared}
            for place, column in enumerate(columns)
        ],
        "rows": [dict(zip(names, row, strict=True)) for row in rows],
    }


def compare(question: Question, step: Callable[[int], None]) -> Answer:
    """Compare two sides.

    :param question: the comparison.
    :param step: is called with the number of completed steps.
    :return: ``result``, ``diff_stats`` and ``summary_results`` as the API has them, ``pk_columns``
        and, as ``rows``, the first rows that differ.
    :raises ReadError: if a side cannot be read.
    """
    tables = []
    for place, side in enumerate(question.sides, 1):
        tables.append(_read(side, place))
        step(place)
    pairing = Pairing(question, tables)
    key = _key(question, pairing)
    counts = [Keys(len(columns[0].values) if columns else 0) for columns in tables]
    keys = find_keys(key) if key else (counts[0], counts[1])
    step(STEPS - 1)
    time.sleep(question.delay)
    schema = pairing.schema() if question.judges_schema else {}
    differing = sum(schema.get("columns_mismatched", ())) + schema.get("column_type_mismatches", 0)
    names = [pair.name for pair in key]
    rows = None
    if not any(side.rows for side in keys):
        result = "empty"
    elif not key:
        result = "missing-pks"
    elif any(side.is_bad for side in keys):
        result = "bad-pks"
    else:
        rows = Rows(question, keys, pairing.values(key))
        is_different = rows.removed or rows.added or rows.changed or differing
        result = "different" if is_different else "identical"
    return {
        "result": result,
        "diff_stats": {
            "version": "1",
            "sampled": rows is not None and rows.is_sampled,
            "diff_schema": float(differing),
            "table_a_row_count": keys[0].rows,
            "table_b_row_count": keys[1].rows,
            **(_UNMEASURED if rows is None else _stats(rows)),
        },
        "summary_results": {
            "pks": {
                "total_rows": [side.rows for side in keys],
                "nulls": [side.nulls for side in keys],
                "dupes": [side.dupes if key else 0 for side in keys],
                "distincts": [len(side.places) for side in keys],
                "exclusives": [len(rows.removed), len(rows.added)] if rows else [0, 0],
            },
            "values": None if rows is None else _values(rows),
            **({"schema": schema} if schema else {}),
        },
        "pk_columns": names,
        "rows": [] if rows is None else rows.first(names),
    }


def _read(side: Side, place: int) -> list[Column]:
    try:
        return read(side)
    except ReadError as error:
        raise ReadError(error.kind, f"Side {place}: {error}", error.is_retryable) from error


def _key(question: Question, pairing: Pairing) -> list[Pair]:
    """Return the columns of the key, none if a side lacks one of them."""
    if question.infers_keys and not question.keys:
        return next(([pair] for pair in pairing.pairs.values() if _identifies(pair)), [])
    found = [pairing.pairs.get(name.casefold()) for name in question.keys]
    return [pair for pair in found if pair is not None] if all(found) else []


def _identifies(pair: Pair) -> bool:
    sides = find_keys([pair])
    return any(side.rows for side in sides) and not any(side.is_bad for side in sides)


def _stats(rows: Rows) -> Answer:
    return {
        "rows_removed": len(rows.removed),
        "rows_added": len(rows.added),
        "diff_rows_count": len(rows.changed),
        "match_ratio": rows.match_ratio,
    }


def _values(rows: Rows) -> Answer:
    both = len(rows.both)
    counts = {name: len(keys) for name, keys in rows.different.items()}
    return {
        "total_rows": both,
        "rows_with_differences": len(rows.changed),
        "total_values": both * len(counts),
        "values_with_differences": sum(counts.values()),
        "compared_columns": len(counts),
        "columns_with_differences": sum(count > 0 for count in counts.values()),
        "columns_diff_stats": [
            {
                "column_name": name,
                "match": 100.0 * (both - count) / both if both else 100.0,
                "values_different": count,
            }
            for name, count in counts.items()
        ],
    }


def _plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)

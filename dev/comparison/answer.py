"""Answers a question."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from itertools import combinations
from typing import Any

from dev.comparison.columns import Pair, Pairing
from dev.comparison.question import STEPS, Question, select
from dev.comparison.rows import SIDES, Keys, count_keys, count_rows, first_rows, join
from dev.comparison.table import Column, read
from dev.comparison.workspace import ReadError, Workspace

Answer = dict[str, Any]

_NO_KEY = r"^(FLOAT|DOUBLE|BOOLEAN|BLOB)$|^TIMESTAMP|\[\d*\]$"
"""Types of columns that never are a key, unless it is given."""


def answer(question: Question, step: Callable[[int], None] = lambda number: None) -> Answer:
    """Compare two sides, or show the rows of one, and tell ``step`` how far it is.

    Of one side it returns ``columns`` and ``rows``; of two, what the API shows of a data diff, more
    ``figures``, and the first ``rows`` that differ.
    """
    addresses = [question[name] for name in ("address1", "address2") if name in question]
    space = Workspace(addresses)
    tables = []
    for place, address in enumerate(addresses, 1):
        try:
            tables.append(read(space, SIDES[place - 1], address, select(question, place)))
        except ReadError as error:
            raise ReadError(error.kind, f"Side {place}: {error}", error.is_retryable) from error
        step(place)
    if len(tables) == 1:
        return _show(space, tables[0])
    pairing = Pairing(question, tables)
    key = _key(space, question, pairing)
    keys = count_keys(space, key)
    step(STEPS - 1)
    time.sleep(question.get("delay", 0.0))
    found = _compare(space, question, pairing, key, keys)
    step(STEPS)
    return {**found, "pk_columns": [pair.name for pair in key]}


def _show(space: Workspace, columns: list[Column]) -> Answer:
    rows = space.run(f"select to_json({SIDES[0]}) from {SIDES[0]}")
    return {
        "columns": [
            {"name": column.name, "number": place, "type": column.declared or column.kind}
            for place, column in enumerate(columns)
        ],
        # JSON has no infinite numbers.
        "rows": [json.loads(row, parse_constant=str) for (row,) in rows],
    }


def _key(space: Workspace, question: Question, pairing: Pairing) -> list[Pair]:
    """Return the columns of the key, none if a side lacks one of them."""
    names = question.get("pk_columns") or ()
    if question.get("infer_pk") and not names:
        fit = [pair for pair in pairing.pairs.values() if not re.search(_NO_KEY, pair.first.kind)]
        each = (list(key) for size in (1, 2) for key in combinations(fit, size))
        return next((key for key in each if _identifies(count_keys(space, key))), [])
    found = [pairing.pairs.get(name.casefold()) for name in names]
    return [pair for pair in found if pair is not None] if all(found) else []


def _identifies(keys: list[Keys]) -> bool:
    return any(side.rows for side in keys) and not any(side.nulls or side.dupes for side in keys)


def _compare(
    space: Workspace, question: Question, pairing: Pairing, key: list[Pair], keys: list[Keys]
) -> Answer:
    is_within = question.get("data_source1_id") == question.get("data_source2_id")
    schema = pairing.schema(key) if is_within else {}
    differing = sum(schema.get("columns_mismatched", ())) + schema.get("column_type_mismatches", 0)
    both = removed = added = changed = ratio = None
    columns, rows = [], []
    if not any(side.rows for side in keys):
        result = "empty"
    elif not key:
        result = "missing-pks"
    elif not _identifies(keys):
        result = "bad-pks"
    else:
        values = pairing.values(key)
        join(space, question, key, values)
        total, removed, added, changed, *counts = count_rows(space, values)
        both = total - removed - added
        columns = [
            {
                "column_name": pair.name,
                "match": 100.0 * (both - count) / both if both else 100.0,
                "values_different": count,
            }
            for pair, count in zip(values, counts, strict=True)
        ]
        rows = first_rows(space, key, values)
        ratio = (both - changed) / total if total else 1.0
        is_different = removed or added or changed or differing
        result = "different" if is_different else "identical"
    return {
        "result": result,
        "diff_stats": {
            "version": "1",
            "sampled": False,
            "diff_schema": float(differing),
            "table_a_row_count": keys[0].rows,
            "table_b_row_count": keys[1].rows,
            "rows_removed": removed,
            "rows_added": added,
            "diff_rows_count": changed,
            "match_ratio": ratio,
        },
        "figures": {
            "nulls": [side.nulls for side in keys],
            "dupes": [side.dupes for side in keys],
            "distincts": [side.distinct for side in keys],
            "compared": both,
            "columns": columns,
            "schema": schema,
        },
        "rows": rows,
    }

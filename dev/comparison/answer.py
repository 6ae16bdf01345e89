"""Answers a question: one join of both sides in DuckDB."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

from dev.comparison.pair import Pair, Side, named
from dev.comparison.question import Question, select
from dev.comparison.table import Column, read
from dev.comparison.workspace import ReadError, Workspace

Answer = dict[str, Any]

SIDES = ("one", "other")
"""The tables of the two sides."""

_NO_KEY = r"^(FLOAT|DOUBLE|BOOLEAN|BLOB)$|^TIMESTAMP|\[\d*\]$"
"""Types of columns that never are a key, unless it is given."""
_ROWS_SHOWN = 20
_CHARACTERS_SHOWN = 200


class Keys(NamedTuple):
    """A side's rows, those with a null in their key, other keys, and rows that repeat one."""

    rows: int
    nulls: int
    distinct: int
    dupes: int


def answer(question: Question, space: Workspace | None = None) -> Answer:
    """Compare two sides, or show the rows of one.

    Of one side it returns ``columns`` and ``rows``; of two, what the API shows of a data diff, more
    ``figures``, and the first ``rows`` that differ.
    """
    space = space or Workspace(question)
    tables = []
    for place, address in enumerate(space.addresses, 1):
        try:
            tables.append(read(space, SIDES[place - 1], address, select(question, place)))
        except ReadError as error:
            raise ReadError(error.kind, f"Side {place}: {error}", error.is_retryable) from error
    return _compare(space, question, tables) if tables[1:] else _show(space, tables[0])


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


def _compare(space: Workspace, question: Question, tables: list[list[Column]]) -> Answer:
    first, second, wanted = named(question, tables)
    pairs = {
        name: Pair(one.name, one, second[name]) for name, one in first.items() if name in second
    }
    key = _key(space, question, pairs)
    wanted |= {pair.name.casefold() for pair in key}
    first, second = (
        {name: side[name] for name in side if name in wanted} for side in (first, second)
    )
    pairs = {name: pair for name, pair in pairs.items() if name in wanted}
    keys = [_count_keys(space, key, place) for place in (0, 1)]
    is_within = question.get("data_source1_id") == question.get("data_source2_id")
    schema = _schema(first, second, pairs) if is_within else {}
    differing = sum(schema.get("columns_mismatched", ())) + schema.get("column_type_mismatches", 0)
    both = removed = added = changed = ratio = None
    columns: list[Any] = []
    rows: list[Any] = []
    if not any(side.rows for side in keys):
        result = "empty"
    elif not key:
        result = "missing-pks"
    elif any(side.nulls or side.dupes for side in keys):
        result = "bad-pks"
    else:
        values = [pair for pair in pairs.values() if pair not in key]
        _join(space, question, key, values)
        total, removed, added, changed, *counts = _count_rows(space, values)
        both = total - removed - added
        columns = [
            {
                "column_name": pair.name,
                "match": 100.0 * (both - count) / both if both else 100.0,
                "values_different": count,
            }
            for pair, count in zip(values, counts, strict=True)
        ]
        rows = _first_rows(space, key, values)
        ratio = (both - changed) / total
        result = "different" if removed or added or changed or differing else "identical"
    return {
        "result": result,
        "pk_columns": [pair.name for pair in key],
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


def _key(space: Workspace, question: Question, pairs: dict[str, Pair]) -> list[Pair]:
    """Return the columns of the key, none if a side lacks one of them."""
    names = question.get("pk_columns") or ()
    if names or not question.get("infer_pk"):
        found = [pairs.get(name.casefold()) for name in names]
        return [pair for pair in found if pair is not None] if all(found) else []
    avoided = {
        name.casefold()
        for what in ("names", "types")
        for name in question.get(f"infer_pk_avoid_{what}") or ()
    }
    fit = [
        pair
        for name, pair in pairs.items()
        if not re.search(_NO_KEY, pair.first.kind)
        and avoided.isdisjoint({name, pair.first.declared.casefold()})
    ]
    for size in (1, 2):
        for key in combinations(fit, size):
            sides = [_count_keys(space, key, place) for place in (0, 1)]
            if any(side.rows for side in sides) and not any(
                side.nulls or side.dupes for side in sides
            ):
                return list(key)
    return []


def _count_keys(space: Workspace, key: Sequence[Pair], place: int) -> Keys:
    fields = [pair.sides[place] for pair in key]
    null = " or ".join(f"{field} is null" for field in fields) or "true"
    ((rows, nulls, distinct),) = space.run(
        f"select count(*), count(*) filter ({null}),"
        f" count(distinct ({', '.join(fields) or 'null'})) filter (not ({null}))"
        f" from {SIDES[place]}"
    )
    return Keys(rows, nulls, distinct, rows - nulls - distinct) if key else Keys(rows, 0, 0, 0)


def _schema(first: Side, second: Side, pairs: dict[str, Pair]) -> Answer:
    alone = [
        [column.name for name, column in side.items() if name not in pairs]
        for side in (first, second)
    ]
    differ = [pair.name for pair in pairs.values() if pair.has_two_types]
    return {
        "column_counts": [len(first), len(second)],
        "column_reorders": 0,
        "column_type_differs": differ,
        "column_type_mismatches": len(differ),
        "columns_mismatched": [len(names) for names in alone],
        "exclusive_columns": alone,
    }


def _join(
    space: Workspace, question: Question, key: Sequence[Pair], values: Sequence[Pair]
) -> None:
    """Make a table of the rows of both sides, whose keys identify them."""
    fields = [f"coalesce({', '.join(pair.sides)}) as k{place}" for place, pair in enumerate(key)]
    for place, pair in enumerate(values):
        one, other = pair.sides
        fields += [f"{one} as x{place}, {other} as y{place}, {pair.differs(question)} as d{place}"]
    differs = " or ".join(f"d{place}" for place, _ in enumerate(values)) or "false"
    one, other = key[0].sides
    how = f"when {other} is null then 'removed' when {one} is null then 'added'"
    fields += [f"case {how} when {differs} then 'different' end as how"]
    same = " and ".join(" = ".join(pair.sides) for pair in key)
    source = f"{SIDES[0]} full join {SIDES[1]} on {same}"
    space.run(f"create table joined as select {', '.join(fields)} from {source}")


def _count_rows(space: Workspace, values: Sequence[Pair]) -> tuple[int, ...]:
    """Return how many joined rows there are, removed, added, different, and in each column."""
    wanted = [
        *("true", "how = 'removed'", "how = 'added'", "how = 'different'"),
        *(f"how = 'different' and d{place}" for place, _ in enumerate(values)),
    ]
    counts = (f"count(*) filter ({condition})" for condition in wanted)
    return space.run(f"select {', '.join(counts)} from joined")[0]


def _first_rows(space: Workspace, key: Sequence[Pair], values: Sequence[Pair]) -> list[Answer]:
    """Return how the first rows differ, their keys, and their values on both sides as text."""

    def text(letter: str, place: int) -> str:
        return f"left({letter}{place}::varchar, {_CHARACTERS_SHOWN})"

    cells = [
        f"{{first: {text('x', place)}, second: {text('y', place)}, differs: d{place}}}"
        for place, _ in enumerate(values)
    ]
    keys = [text("k", place) for place, _ in enumerate(key)]
    order = ", ".join(f"k{place}" for place, _ in enumerate(key))
    found = space.run(
        f"select {', '.join(['how', *keys, *cells])} from joined where how is not null"
        f" order by {order} limit {_ROWS_SHOWN}"
    )
    return [
        {
            "how": how,
            "key": {pair.name: value for pair, value in zip(key, row, strict=False)},
            "values": {pair.name: cell for pair, cell in zip(values, row[len(key) :], strict=True)},
        }
        for how, *row in found
    ]

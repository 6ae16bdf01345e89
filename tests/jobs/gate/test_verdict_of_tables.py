"""A verdict says what is true of the tables, and one wrong figure never makes it say more.

Each case has two small tables, which are compared here, without the code under test. The answer of
the API is made of that, and judged; then one figure of the answer is changed, and it is judged
again.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pytest
from hypothesis import given, note, settings, strategies as st

from airflow_provider_datafold.jobs.gate.limits import Limits
from airflow_provider_datafold.jobs.gate.verdict import Outcome, judge

Table = dict[int, tuple[int, int]]
"""Rows of two values by their primary key."""

Path = tuple[Any, ...]
"""Where a figure is: in ``diff`` or ``results``, and then by names and places."""

_COLUMNS = 3


@dataclass(frozen=True)
class Tables:
    """Two tables, and how the service compares them.

    :param first: the first side.
    :param second: the second side.
    :param extra_columns: how many columns only the second side has.
    :param is_across: whether they are in two databases.
    :param sample: the keys that are compared, ``None`` for all.
    :param says_empty: whether the service says ``empty`` where there are no rows.
    :param reads_all: whether the service reads all rows of both databases, or only those that
        differ.
    """

    first: Table
    second: Table
    extra_columns: int
    is_across: bool
    sample: frozenset[int] | None
    says_empty: bool
    reads_all: bool

    @cached_property
    def sides(self) -> list[Table]:
        """The rows that are compared."""
        return [
            {key: row for key, row in table.items() if self.sample is None or key in self.sample}
            for table in (self.first, self.second)
        ]

    @property
    def removed(self) -> int:
        return len(self.sides[0].keys() - self.sides[1].keys())

    @property
    def added(self) -> int:
        return len(self.sides[1].keys() - self.sides[0].keys())

    @property
    def pairs(self) -> list[tuple[tuple[int, int], tuple[int, int]]]:
        first, second = self.sides
        return [(first[key], second[key]) for key in first.keys() & second.keys()]

    @property
    def read(self) -> list[tuple[tuple[int, int], tuple[int, int]]]:
        """The rows on both sides that the service compares by their values."""
        reads_all = self.reads_all or not self.is_across
        return [(a, b) for a, b in self.pairs if reads_all or a != b]

    @property
    def different(self) -> int:
        return sum(a != b for a, b in self.pairs)

    @property
    def values_different(self) -> int:
        return sum(x != y for a, b in self.pairs for x, y in zip(a, b, strict=True))

    @property
    def ratio(self) -> float:
        """Datafold's published match score."""
        first, second = map(len, self.sides)
        total = first * _COLUMNS + second * (_COLUMNS + self.extra_columns)
        exclusive = (self.removed + self.added) * _COLUMNS + second * self.extra_columns
        return (total - 2 * self.values_different - exclusive) / total if total else 0.0

    @property
    def has_rows(self) -> bool:
        return bool(self.first or self.second)

    @property
    def has_equal_rows(self) -> bool:
        return self.sides[0] == self.sides[1]

    @property
    def has_other_schema(self) -> bool:
        """Whether the schema differs as far as it is judged."""
        return bool(self.extra_columns) and not self.is_across

    @property
    def result(self) -> str:
        if not self.has_rows and self.says_empty:
            return "empty"
        is_equal = self.has_equal_rows and not self.has_other_schema
        return "identical" if is_equal else "different"

    def pass_with(self, limits: Limits, may_be_empty: bool) -> bool:
        """Say whether these tables may pass."""
        if not (self.has_rows or may_be_empty):
            return False
        if not self.has_rows and self.result != "different":
            return True
        if self.sample is not None:
            return self._sample_passes(limits)
        if self.result == "identical":
            return True
        return limits != Limits() and self._keeps(limits)

    def _sample_passes(self, limits: Limits) -> bool:
        rows = (limits.max_rows_added, limits.max_rows_removed, limits.max_rows_different)
        if any(limit is not None for limit in rows) or not self.read:
            return False
        if limits.min_match_ratio is None:
            return self.result == "identical" and len(self.first) == len(self.second)
        return self.result == "identical" or self._keeps(limits)

    def _keeps(self, limits: Limits) -> bool:
        counts = (
            (self.added, limits.max_rows_added),
            (self.removed, limits.max_rows_removed),
            (self.different, limits.max_rows_different),
        )
        has_ratio = limits.min_match_ratio is not None
        within = all(
            count <= (limit or 0) for count, limit in counts if limit is not None or not has_ratio
        )
        if limits.min_match_ratio is not None:
            within = within and bool(self.pairs) and self.ratio >= limits.min_match_ratio
        return within and (limits.allow_schema_changes or not self.has_other_schema)

    @property
    def answer(self) -> dict[str, Any]:
        """What the API says, by the contract: the data diff and its ``summary_results``."""
        rows = [len(self.first), len(self.second)]
        is_compared = self.result != "empty"
        compared = {
            "rows_added": self.added,
            "rows_removed": self.removed,
            "diff_rows_count": self.different,
            "match_ratio": self.ratio,
        }
        stats = {
            "version": "1",
            "errors": 0,
            "diff_null_pks": 0.0,
            "diff_duplicate_pks": 0.0,
            "diff_schema": 0.0 if self.is_across else float(self.extra_columns),
            "table_a_row_count": rows[0],
            "table_b_row_count": rows[1],
            "sampled": self.sample is not None,
            **(compared if is_compared else dict.fromkeys(compared)),
        }
        schema = {
            "columns_mismatched": [0, self.extra_columns],
            "column_type_mismatches": 0,
            "column_reorders": 0,
            "column_counts": [_COLUMNS, _COLUMNS + self.extra_columns],
        }
        diff = {
            "result": self.result,
            "kind": "cross_db" if self.is_across else "in_db",
            "pk_columns": ["id"],
            "sampling_ratio": None if self.sample is None else 0.5,
            "diff_stats": stats,
        }
        results = {
            "status": "success",
            "pks": {
                "total_rows": rows,
                "nulls": [0, 0],
                "dupes": [0, 0],
                "distincts": list(rows),
                "exclusives": [self.removed, self.added],
            },
            "values": {
                "total_rows": len(self.read),
                "rows_with_differences": self.different,
                "total_values": len(self.read) * (_COLUMNS - 1),
                "values_with_differences": self.values_different,
                "compared_columns": _COLUMNS - 1,
                "columns_with_differences": 0,
                "columns_diff_stats": [],
            },
        }
        return {"diff": diff, "results": results | ({} if self.is_across else {"schema": schema})}


def passes(answer: dict[str, Any], limits: Limits, may_be_empty: bool) -> bool:
    """Judge an answer as a gate does."""
    verdict = judge(answer["diff"], limits, may_be_empty=may_be_empty)
    if verdict.outcome is Outcome.UNCONFIRMED:
        results = answer["results"]
        verdict = judge(answer["diff"], limits, may_be_empty=may_be_empty, results=results)
    return verdict.outcome is Outcome.PASSES


def figures(answer: Any, path: Path = ()) -> Iterator[Path]:
    """Find each figure of an answer, even if it is null, and the word for the result."""
    if isinstance(answer, dict):
        for name, value in answer.items():
            yield from figures(value, (*path, name))
    elif isinstance(answer, list):
        for place, value in enumerate(answer):
            yield from figures(value, (*path, place))
    elif path[1] != "diff_stats" or path[-1] != "version":
        is_field_of_diff = path[0] == "diff" and len(path) == 2
        if path[-1] == "result" or not (is_field_of_diff or isinstance(answer, str)):
            yield path


def changed(answer: Any, path: Path, value: Any) -> Any:
    """Return an answer with another figure."""
    if not path:
        return value
    answer = copy.copy(answer)
    answer[path[0]] = changed(answer[path[0]], path[1:], value)
    return answer


def is_the_only_word(tables: Tables, limits: Limits, path: Path, value: Any) -> bool:
    """Say whether nothing else in an answer tells what a figure should be.

    Only these may deceive a verdict: a match ratio, of which Datafold does not say what it divides,
    if it has a limit and could be that of the values; whether all was compared; and how large the
    tables are of which there is a sample.
    """
    if path[-1] == "match_ratio" and limits.min_match_ratio is not None:
        if value == 1 and tables.values_different:
            return False
        # A sample across databases does not tell how many rows it has.
        is_countable = tables.pairs and not (tables.is_across and tables.sample is not None)
        cells = len(tables.pairs) * (_COLUMNS + tables.extra_columns)
        most = 1 - tables.values_different / cells if is_countable else 1.0
        return isinstance(value, (int, float)) and value <= most
    if path[-1] == "sampled":
        return value is False
    return tables.sample is not None and str(path[-1]).startswith("table_")


class Digits:
    """Makes choices of a number, because Hypothesis takes a millisecond for a few of its own."""

    def __init__(self, number: int) -> None:
        self._rest = number

    def choose(self, *values: Any) -> Any:
        self._rest, place = divmod(self._rest, len(values))
        return values[place]

    def row(self) -> tuple[int, int] | None:
        row: tuple[int, int] | None = self.choose(None, (0, 0), (0, 1), (1, 0), (1, 1))
        return row

    def table(self) -> Table:
        rows = ((key, self.row()) for key in range(4))
        return {key: row for key, row in rows if row is not None}

    def tables(self) -> Tables:
        first = self.choose(*[self.table()] * 5, {})
        # Equal and almost equal tables would be rare.
        second = self.choose(self.table, lambda: {**first}, lambda: {**first, 0: (0, 0)})()
        sample = {key for key in range(4) if self.choose(True, True, False)}
        return Tables(
            first,
            second,
            extra_columns=self.choose(0, 0, 1),
            is_across=self.choose(False, False, True),
            sample=self.choose(None, None, frozenset(sample)),
            says_empty=self.choose(False, True),
            reads_all=self.choose(False, True),
        )

    def limits(self, tables: Tables) -> Limits:
        """Choose limits that mostly are exactly kept, or exceeded by one."""
        facts = (tables.added, tables.removed, tables.different)
        counts = [self.choose(None, max(fact - 1, 0), fact, fact, fact + 1) for fact in facts]
        limits = Limits(
            *counts,
            min_match_ratio=self.choose(None, None, 0.0, 0.5, 0.75, 0.9, 1.0),
            allow_schema_changes=self.choose(False, True),
        )
        found: Limits = self.choose(limits, limits, limits, Limits())
        return found


CHANGES = 4
"""How many figures of an answer are changed, one at a time."""

VALUES = (None, 0, 1, 2, 3, 4, 5, -1, 0.5, 1.0, 10**9, float("inf"), float("nan"))


@settings(max_examples=500, derandomize=True, database=None, deadline=None)
@given(number=st.integers(0, 2**120))
def test_a_verdict_is_true_of_the_tables(number: int) -> None:
    check(number)


@pytest.mark.whole
@settings(max_examples=10_000, derandomize=True, database=None, deadline=None)
@given(number=st.integers(0, 2**120))
def test_a_verdict_is_true_of_many_tables(number: int) -> None:
    check(number)


def check(number: int) -> None:
    digits = Digits(number)
    tables, may_be_empty = digits.tables(), digits.choose(False, True)
    limits = digits.limits(tables)
    note(f"{tables}, {limits}, may_be_empty={may_be_empty}")
    answer = tables.answer
    is_right = tables.pass_with(limits, may_be_empty)
    assert passes(answer, limits, may_be_empty) is is_right
    # Tables without rows may be called empty, and a column that is allowed may be left out.
    columns = 0 if limits.allow_schema_changes else tables.extra_columns
    other = replace(tables, says_empty=True, extra_columns=columns)
    is_right = is_right or other.pass_with(limits, may_be_empty)
    if is_right:
        return
    for _ in range(CHANGES):
        path = digits.choose(*figures(answer))
        words = ("identical", "different", "empty")
        value = digits.choose(*(words if path[-1] == "result" else VALUES))
        note(f"{path} = {value}")
        if not is_the_only_word(tables, limits, path, value):
            assert not passes(changed(answer, path, value), limits, may_be_empty)

"""A verdict says what is true of the tables: of each honest answer, and never more for a wrong one.

Each case has two small tables, which are compared here, without the code under test. The answer of
the API is made of that, and judged. Then one figure of the answer is changed, which may never make
it pass; and it is said in the other ways in which an honest service may say it, which must not stop
it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pytest
from hypothesis import given, note, settings, strategies as st

from airflow_provider_datafold.jobs.gate.figures import Figures
from airflow_provider_datafold.jobs.gate.limits import Limits
from airflow_provider_datafold.jobs.gate.verdict import Outcome, judge

Table = dict[int, tuple[int, int]]
"""Rows of two values by their primary key."""

Path = tuple[Any, ...]
"""Where a figure is: in ``diff`` or ``results``, and then by names and places."""

_NAMES = ("amount", "status")
_COLUMNS = 1 + len(_NAMES)


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
    def values_different(self) -> dict[str, int]:
        return {
            name: sum(a[place] != b[place] for a, b in self.pairs)
            for place, name in enumerate(_NAMES)
        }

    @property
    def ratio(self) -> float:
        """Datafold's published match score."""
        first, second = map(len, self.sides)
        total = first * _COLUMNS + second * (_COLUMNS + self.extra_columns)
        exclusive = (self.removed + self.added) * _COLUMNS + second * self.extra_columns
        wrong = 2 * sum(self.values_different.values()) + exclusive
        return max(0, total - wrong) / total if total else 0.0

    @property
    def has_rows(self) -> bool:
        return bool(self.first or self.second)

    @property
    def has_equal_rows(self) -> bool:
        return self.sides[0] == self.sides[1]

    @property
    def has_other_schema(self) -> bool:
        """Whether the schema differs as far as the answer tells: across, only the ratio does."""
        is_told = not self.is_across or (self.has_equal_rows and bool(self.sides[1]))
        return bool(self.extra_columns) and is_told

    @property
    def result(self) -> str:
        if not self.has_rows and self.says_empty:
            return "empty"
        is_equal = self.has_equal_rows and (self.is_across or not self.extra_columns)
        return "identical" if is_equal else "different"

    def pass_with(self, limits: Limits, may_be_empty: bool) -> bool:
        """Say whether these tables may pass."""
        if self.result == "different" and limits == Limits():
            return False
        is_schema_right = limits.allow_schema_changes or not self.has_other_schema
        if not self.has_rows:
            return may_be_empty and is_schema_right
        counts = (limits.max_rows_added, limits.max_rows_removed, limits.max_rows_different)
        names_counts = (limits.max_values_different, *counts) != (None,) * 4
        needs_counts = names_counts or limits.min_match_ratio is None
        is_identical = self.result == "identical"
        if self.sample is not None and (names_counts if is_identical else needs_counts):
            return False
        if self.sample is not None and not self.read:
            return False
        return is_schema_right and self._has_ratio(limits) and (is_identical or self._keeps(limits))

    def _has_ratio(self, limits: Limits) -> bool:
        if limits.min_match_ratio is None:
            return True
        return bool(self.first and self.second) and self.ratio >= limits.min_match_ratio

    def _keeps(self, limits: Limits) -> bool:
        has_ratio, columns = limits.min_match_ratio is not None, limits.max_values_different
        counts = (
            (self.added, limits.max_rows_added, has_ratio),
            (self.removed, limits.max_rows_removed, has_ratio),
            (self.different, limits.max_rows_different, has_ratio or columns is not None),
        )
        if any(
            count > (limit or 0)
            for count, limit, is_free in counts
            if limit is not None or not is_free
        ):
            return False
        if columns is None:
            return True
        most = {name: columns.get(name, 0) for name in _NAMES}
        found = self.values_different
        return all(limit is None or found[name] <= limit for name, limit in most.items())

    @property
    def answer(self) -> dict[str, Any]:
        """What the API says, by the contract: the data diff and its ``summary_results``."""
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
            "table_a_row_count": len(self.first),
            "table_b_row_count": len(self.second),
            "sampled": self.sample is not None,
            **(compared if is_compared else dict.fromkeys(compared)),
        }
        differ = self.values_different
        rows = [len(side) for side in self.sides]
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
                "total_values": len(self.read) * len(_NAMES),
                "values_with_differences": sum(differ.values()),
                "compared_columns": len(_NAMES),
                "columns_with_differences": sum(map(bool, differ.values())),
                "columns_diff_stats": [
                    {"column_name": name, "match": 50.0, "values_different": count}
                    for name, count in differ.items()
                ],
            },
        }
        schema = {
            "columns_mismatched": [0, self.extra_columns],
            "column_type_mismatches": 0,
            "column_reorders": 0,
            "column_counts": [_COLUMNS, _COLUMNS + self.extra_columns],
            "column_type_differs": [],
            "exclusive_columns": [[], ["new"] * self.extra_columns],
        }
        return {"diff": diff, "results": results | ({} if self.is_across else {"schema": schema})}


def passes(answer: dict[str, Any], limits: Limits, may_be_empty: bool) -> bool:
    """Judge an answer as a gate does."""
    figures = Figures(answer["diff"], answer["results"], answer.get("sent", {}))
    return judge(figures, limits, may_be_empty=may_be_empty).outcome is Outcome.PASSES


def figures_of(answer: Any, path: Path = ()) -> Iterator[Path]:
    """Find each figure of an answer, even if it is null, and the word for the result."""
    if isinstance(answer, dict):
        for name, value in answer.items():
            yield from figures_of(value, (*path, name))
    elif isinstance(answer, list):
        for place, value in enumerate(answer):
            yield from figures_of(value, (*path, place))
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

    Only these may deceive a verdict: a match ratio that has a limit, or that alone tells of the
    schema; the rows that differ, of which the results may count those of one side, too; the values
    of a column, within the totals; whether all was compared; and how large the tables are of which
    there is a sample.
    """
    name = path[-1]
    if name == "match_ratio":
        return limits.min_match_ratio is not None or tables.is_across
    if name == "diff_rows_count":
        return tables.added + tables.removed > 0 and limits.max_values_different is None
    if name in ("values_different", "columns_with_differences"):
        return True
    if name == "sampled":
        return value is False
    return tables.sample is not None and str(name).startswith("table_")


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
        values = {
            name: self.choose(None, max(fact - 1, 0), fact, fact)
            for name, fact in tables.values_different.items()
        }
        limits = Limits(
            *counts,
            min_match_ratio=self.choose(None, None, 0.0, 0.5, 0.75, 0.9, 1.0),
            allow_schema_changes=self.choose(False, True),
            max_values_different=self.choose(None, None, values, {_NAMES[0]: values[_NAMES[0]]}),
        )
        found: Limits = self.choose(limits, limits, limits, Limits())
        return found


def said_otherwise(answer: dict[str, Any], tables: Tables, limits: Limits, digits: Digits) -> Any:
    """Say the same as an honest service may."""
    answer = copy.deepcopy(answer)
    diff, results = answer["diff"], answer["results"]
    stats = diff["diff_stats"]
    has_ratio = limits.min_match_ratio is not None and tables.result == "different"
    # What there is no other figure for, and no limit on.
    for name in ("errors", "diff_null_pks", "diff_duplicate_pks", "diff_schema"):
        stats[name] = digits.choose(None, stats[name])
    if not has_ratio:
        stats["match_ratio"] = digits.choose(None, stats["match_ratio"])
    if stats["match_ratio"] is not None:
        stats["match_ratio"] = digits.choose(round(stats["match_ratio"], 4), stats["match_ratio"])
    # The tables' counts: not taken, before a filter, or while somebody wrote.
    match digits.choose("same", "null", "filtered", "live"):
        case "null":
            stats |= {"table_a_row_count": None, "table_b_row_count": None}
        case "filtered":
            diff["filter1"] = diff["filter2"] = "day = 1"
            stats["table_a_row_count"] += digits.choose(0, 7)
            stats["table_b_row_count"] += digits.choose(0, 9)
        case "live" if tables.first and tables.second:
            stats["table_b_row_count"] += digits.choose(1, 9)
    # What was sent, and what the service shows besides.
    if digits.choose(False, True):
        answer["sent"] = {
            name: value
            for name, value in diff.items()
            if name.startswith(("pk", "filter", "sampling"))
        }
        shown = {
            "columns_to_compare": list(_NAMES),
            "sampling_tolerance": 0.001,
            "sampling_confidence": 99.0,
            "per_column_diff_limit": 10_000,
        }
        diff |= digits.choose(shown, {})
    elif tables.sample is None:
        diff |= digits.choose({"sampling_tolerance": 0.001, "sampling_confidence": 99.0}, {})
    stats["sampled"] = digits.choose(None, stats["sampled"])
    if tables.sample is None:
        # Only rows that differ are listed.
        listed = {"total_rows": tables.different}
        results["values"] |= digits.choose(listed, {})
    # The rows that differ include those of one side.
    alone = digits.choose(0, tables.added + tables.removed)
    if limits.max_values_different is None:
        results["values"]["rows_with_differences"] += alone if tables.result == "different" else 0
    needs_columns = limits.max_values_different is not None and tables.result == "different"
    ways = ("all", "status", "running", "no pks", "no values") if tables.has_rows else ("all",)
    match digits.choose(*ways):
        case "status" if not needs_columns:
            answer["results"] = {"status": "done"}
        case "running" if not needs_columns:
            answer["results"] = {"status": "running"}
        # Unless nothing else says that there are rows.
        case "no pks" if stats["table_a_row_count"] is not None:
            results["pks"] = None
        case "no values" if not needs_columns:
            results["values"] = None
        case _ if tables.result != "empty":
            # The results have them, too.
            for name in ("rows_added", "rows_removed"):
                stats[name] = digits.choose(None, stats[name])
    return answer


CHANGES = 4
"""How many figures of an answer are changed, one at a time, and how often it is said otherwise."""

VALUES = (None, 0, 1, 2, 3, 4, 5, -1, 0.5, 1.0, 10**9, float("inf"), float("nan"))


@settings(max_examples=500, derandomize=True, database=None, deadline=None)
@given(number=st.integers(0, 2**160))
def test_a_verdict_is_true_of_the_tables(number: int) -> None:
    check(number)


@pytest.mark.whole
@settings(max_examples=10_000, derandomize=True, database=None, deadline=None)
@given(number=st.integers(0, 2**160))
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
    for _ in range(CHANGES):
        if is_right:
            honest = said_otherwise(answer, tables, limits, digits)
            note(f"{honest}")
            assert passes(honest, limits, may_be_empty)
        elif not other.pass_with(limits, may_be_empty):
            path = digits.choose(*figures_of(answer))
            words = ("identical", "different", "empty")
            value = digits.choose(*(words if path[-1] == "result" else VALUES))
            note(f"{path} = {value}")
            if not is_the_only_word(tables, limits, path, value):
                assert not passes(changed(answer, path, value), limits, may_be_empty)

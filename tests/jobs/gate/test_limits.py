"""By how much two sides may differ: what is held against each limit, and what it lets pass."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_datafold.jobs.gate.verdict import Outcome, Verdict
from tests.evidence import EQUAL, columns as counted, evidence, of as judged_by

PASSES, DIFFERS, NOT_COMPARED = Outcome.PASSES, Outcome.DIFFERS, Outcome.NOT_COMPARED
ADDED, REMOVED, DIFFERENT, RATIO, SCHEMA = EQUAL
MOST_ADDED, MOST_REMOVED, MOST_DIFFERENT = (
    "max_rows_added",
    "max_rows_removed",
    "max_rows_different",
)
LEAST, ANY_SCHEMA, VALUES = "min_match_ratio", "allow_schema_changes", "max_values_different"


def judged(limits: dict[str, Any], stats: dict[str, Any], values: Any = None) -> Verdict:
    """The verdict with results that say no more of the rows and the schema than this."""
    totals = ("rows_with_differences", "values_with_differences", "columns_with_differences")
    untold = dict.fromkeys(totals)
    results = {"pks": None, "schema": None, "values": {**untold, **(values or {})}}
    return judged_by(evidence("different", stats, results), **limits)


@pytest.mark.parametrize(
    ("limits", "stats", "outcome", "reason"),
    [
        # Each limit: reached, and passed by one.
        ({MOST_ADDED: 3}, {ADDED: 3}, PASSES, "rows added 3 (at most 3)"),
        ({MOST_ADDED: 3}, {ADDED: 4}, DIFFERS, "rows added 4 (at most 3)"),
        ({MOST_REMOVED: 3}, {REMOVED: 4}, DIFFERS, "rows removed 4 (at most 3)"),
        ({MOST_DIFFERENT: 3}, {DIFFERENT: 4}, DIFFERS, "rows different 4 (at most 3)"),
        ({LEAST: 0.9}, {DIFFERENT: 9, RATIO: 0.9}, PASSES, "ratio 0.9 (at least 0.9)"),
        ({LEAST: 0.9}, {DIFFERENT: 9, RATIO: 0.89}, DIFFERS, "match ratio 0.89 (at least 0.9)"),
        ({LEAST: 0.5}, {DIFFERENT: 9, RATIO: 0.0}, DIFFERS, "match ratio 0 (at least 0.5)"),
        ({LEAST: 0}, {DIFFERENT: 9, RATIO: 0.0}, PASSES, "ratio 0 (at least 0)"),
        # With at least one limit, the others are 0.
        ({MOST_ADDED: 0}, {REMOVED: 1}, DIFFERS, "rows removed 1 (at most 0)"),
        ({MOST_ADDED: 9}, {DIFFERENT: 1}, DIFFERS, "rows different 1 (at most 0)"),
        ({MOST_REMOVED: 9}, {ADDED: 1}, DIFFERS, "rows added 1 (at most 0)"),
        ({ANY_SCHEMA: True}, {ADDED: 1}, DIFFERS, "rows added 1 (at most 0)"),
        # ... unless the ratio replaces them.
        (
            {LEAST: 0.9},
            {ADDED: 50, REMOVED: 50, DIFFERENT: 50, RATIO: 0.95},
            PASSES,
            "within the limits: match ratio 0.95 (at least 0.9), schema unchanged",
        ),
        (
            {LEAST: 0.9, MOST_ADDED: 9},
            {ADDED: 9, REMOVED: 50, RATIO: 0.95},
            PASSES,
            "rows added 9 (at most 9), match ratio 0.95 (at least 0.9)",
        ),
        # Only the figures beyond their limits are named.
        (
            {MOST_ADDED: 1, MOST_REMOVED: 1, MOST_DIFFERENT: 1},
            {ADDED: 2, REMOVED: 1, DIFFERENT: 3, SCHEMA: 0.5},
            DIFFERS,
            "rows added 2 (at most 1), rows different 3 (at most 1), schema changed",
        ),
        # The schema.
        ({LEAST: 0.5}, {SCHEMA: 1}, DIFFERS, "schema changed"),
        ({ANY_SCHEMA: True}, {SCHEMA: 0.5}, PASSES, "rows different 0 (at most 0)"),
        # What was not measured.
        ({MOST_ADDED: 1}, {ADDED: None}, NOT_COMPARED, "rows added"),
        ({MOST_ADDED: 1}, {REMOVED: None}, NOT_COMPARED, "rows removed"),
        ({MOST_ADDED: 1}, {DIFFERENT: None}, NOT_COMPARED, "rows different"),
        ({LEAST: 0.9}, {ADDED: 1, RATIO: None}, NOT_COMPARED, "match ratio"),
        ({LEAST: 0.9}, dict.fromkeys((ADDED, REMOVED, DIFFERENT)), PASSES, "match ratio 1 (at"),
    ],
)
def test_each_limit(
    limits: dict[str, Any], stats: dict[str, Any], outcome: Outcome, reason: str
) -> None:
    found = judged(limits, stats)
    assert found.outcome is outcome
    assert reason in found.reason
    if outcome is DIFFERS:
        # What is within its limit is not named.
        assert found.reason == reason
    if outcome is NOT_COMPARED:
        assert found.reason == f"Datafold did not measure what there is a limit for: {reason}"


# The values of single columns: only what all counts prove passes.

COUNTS = {"amount": 5, "loaded_at": 8, "name": 0}
ALL = {"amount": 5, "loaded_at": None}
UNKNOWN = "Datafold did not measure what there is a limit for: values different in "


def of(
    limits: dict[str, Any],
    columns: Any = COUNTS,
    *,
    stats: Any = None,
    others: Any = None,
    **values: Any,
) -> Verdict:
    """The verdict with the counts of columns, whose totals are right unless they are given."""
    found = counted(**columns) if isinstance(columns, dict) else {"columns_diff_stats": columns}
    return judged(
        {VALUES: limits, **(others or {})},
        {DIFFERENT: 8, RATIO: 0.95, **(stats or {})},
        {"total_rows": 100, **found, **values},
    )


def test_columns_within_their_limits_pass() -> None:
    found = of(ALL)
    assert found.outcome is PASSES
    assert dict(found.assertions) == {
        "rows_added <= 0": True,
        "rows_removed <= 0": True,
        "values_different <= 5 in 'amount'": True,
        "values_different = 0 in other columns": True,
        "diff_schema = 0": True,
    }
    assert "values different in 'amount' 5 (at most 5)" in found.reason


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"amount": 4, "loaded_at": None}, "'amount' 5 (at most 4)"),
        ({"amount": 5}, "other columns 8 (at most 0)"),
        ({}, "other columns 13 (at most 0)"),
        ({"amount": 5, "LOADED_AT": None}, "other columns 8 (at most 0)"),
    ],
)
def test_a_column_beyond_its_limit_differs(limits: dict[str, Any], words: str) -> None:
    found = of(limits)
    assert found == Verdict(DIFFERS, f"values different in {words}")
    assert False in dict(found.assertions).values()


UNTOLD = Verdict(NOT_COMPARED, f"{UNKNOWN}'amount', values different in each column")


@pytest.mark.parametrize(
    "columns", [None, [{"column_name": "amount", "values_different": None}], ["odd"]], ids=repr
)
def test_columns_that_were_not_counted_never_pass(columns: Any) -> None:
    # Nor with totals that fit.
    found = of(ALL, columns, values_with_differences=8, columns_with_differences=1)
    assert found == UNTOLD
    assert not dict(found.assertions)["values_different <= 5 in 'amount'"]


@pytest.mark.parametrize(
    ("stats", "values"),
    [
        ({}, {"columns_with_differences": 3}),
        ({}, {"columns_with_differences": None}),
        # More rows differ than values: in each of them one does.
        ({}, {"rows_with_differences": 14}),
        ({DIFFERENT: 14}, {}),
    ],
    ids=repr,
)
def test_fewer_columns_than_differ_never_pass(stats: Any, values: Any) -> None:
    found = of(ALL, stats=stats, **values)
    assert found.outcome is NOT_COMPARED
    assert found.reason.startswith(UNKNOWN)


def test_rows_of_one_side_have_no_values_that_differ() -> None:
    stats = {DIFFERENT: 14, ADDED: 1}
    assert of(ALL, stats=stats, others={MOST_ADDED: 1}).outcome is PASSES


@pytest.mark.parametrize(("name", "hint"), [("AMOUNT", " (did you mean 'amount'?)"), ("z", "")])
def test_a_limit_on_a_column_that_was_not_compared_never_passes(name: str, hint: str) -> None:
    others = {"amount": None, "loaded_at": None}
    assert of({name: 5, **others}) == Verdict(NOT_COMPARED, f"{UNKNOWN}{name!r}{hint}")
    # Any number is no limit.
    assert of({name: None, **others}).outcome is PASSES


def test_rows_that_do_not_differ_need_no_values() -> None:
    for different, outcome in ((0, PASSES), (3, NOT_COMPARED), (None, NOT_COMPARED)):
        found = evidence("different", {ADDED: 3, DIFFERENT: different}, {"values": None})
        limits = {VALUES: ALL, MOST_ADDED: 3}
        assert judged_by(found, **limits).outcome is outcome

"""What a gate makes of the results of a data diff, rule by rule."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_datafold.jobs.gate.limits import Limits
from airflow_provider_datafold.jobs.gate.verdict import Outcome, Verdict, judge

PASSES, DIFFERS = Outcome.PASSES, Outcome.DIFFERS
NOT_COMPARED = Outcome.NOT_COMPARED

EQUAL: dict[str, Any] = {
    "rows_added": 0,
    "rows_removed": 0,
    "diff_rows_count": 0,
    "match_ratio": 1.0,
    "diff_schema": 0.0,
}
_ACROSS = " (across databases the schema is not judged)"


def diff(result: Any = "different", kind: str = "in_db", **stats: Any) -> dict[str, Any]:
    return {"result": result, "kind": kind, "diff_stats": EQUAL | stats}


def judged(found: dict[str, Any], limits: Limits, **sections: Any) -> Verdict:
    """The verdict with results that say no more than these, and how many rows were compared."""
    results = {"status": "success", "values": {"total_rows": 500}, **sections}
    return judge(found, limits, results=results)


@pytest.mark.parametrize(
    ("result", "outcome", "reason"),
    [
        ("identical", PASSES, "identical"),
        ("empty", Outcome.EMPTY, "there are no rows to compare"),
        ("error", Outcome.FAILED, "the comparison failed"),
        ("missing-pks", NOT_COMPARED, "a side lacks primary key columns"),
        ("bad-pks", NOT_COMPARED, "primary keys are null or not unique"),
        (None, NOT_COMPARED, "Datafold gives no result"),
        ("partly", NOT_COMPARED, "the result is 'partly'"),
        ("Identical", NOT_COMPARED, "the result is 'Identical'"),
        (7, NOT_COMPARED, "the result is 7"),
        (["identical"], NOT_COMPARED, "the result is ['identical']"),
        ("", NOT_COMPARED, "the result is ''"),
    ],
)
@pytest.mark.parametrize(
    "limits", [Limits(), Limits(max_rows_added=9), Limits(allow_schema_changes=True)], ids=repr
)
def test_each_result(result: Any, outcome: Outcome, reason: str, limits: Limits) -> None:
    assert judge(diff(result, sampled=False), limits) == Verdict(outcome, reason)


@pytest.mark.parametrize(
    ("found", "limits", "assertions"),
    [
        (diff("identical"), Limits(), {"identical": True}),
        (
            diff(diff_schema=1, table_a_row_count=0, table_b_row_count=0),
            Limits(max_rows_added=1),
            {"compared": False},
        ),
        (diff("different"), Limits(), {"identical": False}),
        (diff("empty"), Limits(), {"compared": False}),
        (diff("bad-pks"), Limits(), {"compared": False}),
        (diff("error"), Limits(), {}),
        (diff("identical", rows_added=1), Limits(), {"compared": False}),
        (diff("identical", sampled=True), Limits(), {"identical in a sample": True}),
        (
            diff(match_ratio=0.95, sampled=True),
            Limits(min_match_ratio=0.9),
            {"match_ratio >= 0.9 in a sample": True, "diff_schema = 0 in a sample": True},
        ),
        (diff(rows_added=1, sampled=True), Limits(max_rows_added=1), {"compared": False}),
        (diff(rows_added=1, diff_null_pks=1), Limits(max_rows_added=1), {"compared": False}),
        (
            diff(rows_added=1, rows_removed=3, diff_rows_count=None),
            Limits(max_rows_added=1, max_rows_removed=2),
            {
                "rows_added <= 1": True,
                "rows_removed <= 2": False,
                "diff_rows_count <= 0": False,
                "diff_schema = 0": True,
            },
        ),
        (
            diff(match_ratio=0.95),
            Limits(min_match_ratio=0.9),
            {"match_ratio >= 0.9": True, "diff_schema = 0": True},
        ),
        (
            diff(match_ratio=0.95, diff_schema=1),
            Limits(min_match_ratio=0.9),
            {"match_ratio >= 0.9": True, "diff_schema = 0": False},
        ),
        (
            diff(rows_added=1, match_ratio=None),
            Limits(min_match_ratio=0, allow_schema_changes=True),
            {"match_ratio >= 0": False},
        ),
    ],
)
def test_what_openlineage_is_told(
    found: dict[str, Any], limits: Limits, assertions: dict[str, bool]
) -> None:
    assert dict(judged(found, limits).assertions) == assertions


def test_nothing_is_asserted_before_the_results_agree() -> None:
    found = judge(diff(rows_added=1), Limits(max_rows_added=1))
    assert (found.outcome, dict(found.assertions)) == (Outcome.UNCONFIRMED, {"compared": False})


def test_an_unknown_result_is_cut() -> None:
    assert len(judge(diff("x" * 10_000), Limits()).reason) < 200


def test_without_limits_nothing_may_differ() -> None:
    assert judge(diff(rows_added=3, match_ratio=0.95), Limits()) == Verdict(
        DIFFERS, "rows added 3, rows removed 0, rows different 0, match ratio 0.95"
    )


def test_figures_that_were_not_measured_are_said_to_be_so() -> None:
    assert judge({"result": "different", "diff_stats": None}, Limits()).reason == (
        "rows added not measured, rows removed not measured, rows different not measured, "
        "match ratio not measured"
    )


@pytest.mark.parametrize(
    ("limits", "stats", "outcome", "reason"),
    [
        # Each limit: reached, and passed by one.
        ({"max_rows_added": 3}, {"rows_added": 3}, PASSES, "rows added 3 (at most 3)"),
        ({"max_rows_added": 3}, {"rows_added": 4}, DIFFERS, "rows added 4 (at most 3)"),
        (
            {"max_rows_added": 3},
            {"rows_added": 12345678},
            DIFFERS,
            "rows added 12345678 (at most 3)",
        ),
        ({"max_rows_removed": 3}, {"rows_removed": 3}, PASSES, "rows removed 3 (at most 3)"),
        ({"max_rows_removed": 3}, {"rows_removed": 4}, DIFFERS, "rows removed 4 (at most 3)"),
        ({"max_rows_different": 3}, {"diff_rows_count": 3}, PASSES, "different 3 (at most 3)"),
        (
            {"max_rows_different": 3},
            {"diff_rows_count": 4},
            DIFFERS,
            "rows different 4 (at most 3)",
        ),
        ({"min_match_ratio": 0.9}, {"match_ratio": 0.9}, PASSES, "ratio 0.9 (at least 0.9)"),
        (
            {"min_match_ratio": 0.9},
            {"match_ratio": 0.89},
            DIFFERS,
            "match ratio 0.89 (at least 0.9)",
        ),
        (
            {"min_match_ratio": 0.5},
            {"match_ratio": 0.0},
            DIFFERS,
            "match ratio 0 (at least 0.5)",
        ),
        (
            {"min_match_ratio": 1},
            {"rows_added": 1, "match_ratio": 1},
            PASSES,
            "ratio 1 (at least 1)",
        ),
        ({"min_match_ratio": 0}, {"match_ratio": 0.0}, PASSES, "ratio 0 (at least 0)"),
        # With at least one limit, the others are 0.
        ({"max_rows_added": 0}, {"rows_removed": 1}, DIFFERS, "rows removed 1 (at most 0)"),
        ({"max_rows_added": 9}, {"diff_rows_count": 1}, DIFFERS, "rows different 1 (at most 0)"),
        ({"max_rows_removed": 9}, {"rows_added": 1}, DIFFERS, "rows added 1 (at most 0)"),
        ({"allow_schema_changes": True}, {"rows_added": 1}, DIFFERS, "rows added 1 (at most 0)"),
        (
            {"max_rows_added": 9},
            {"rows_added": 9},
            PASSES,
            "rows added 9 (at most 9), rows removed 0 (at most 0)",
        ),
        # ... unless the ratio replaces them.
        (
            {"min_match_ratio": 0.9},
            {"rows_added": 50, "rows_removed": 50, "diff_rows_count": 50, "match_ratio": 0.95},
            PASSES,
            "within the limits: match ratio 0.95 (at least 0.9), schema unchanged",
        ),
        (
            {"min_match_ratio": 0.9, "max_rows_added": 9},
            {"rows_added": 10, "match_ratio": 0.95},
            DIFFERS,
            "rows added 10 (at most 9)",
        ),
        (
            {"min_match_ratio": 0.9, "max_rows_added": 9},
            {"rows_added": 9, "rows_removed": 50, "match_ratio": 0.95},
            PASSES,
            "rows added 9 (at most 9), match ratio 0.95 (at least 0.9)",
        ),
        # Only the figures beyond their limits are named.
        (
            {"max_rows_added": 1, "max_rows_removed": 1, "max_rows_different": 1},
            {"rows_added": 2, "rows_removed": 1, "diff_rows_count": 3, "diff_schema": 0.5},
            DIFFERS,
            "rows added 2 (at most 1), rows different 3 (at most 1), schema changed",
        ),
        # The schema.
        ({"max_rows_added": 1}, {"diff_schema": 0.5}, DIFFERS, "schema changed"),
        ({"min_match_ratio": 0.5}, {"diff_schema": 1}, DIFFERS, "schema changed"),
        (
            {"allow_schema_changes": True},
            {"diff_schema": 0.5},
            PASSES,
            "rows different 0 (at most 0)",
        ),
        (
            {"max_rows_added": 1, "allow_schema_changes": True},
            {"rows_added": 1, "diff_schema": None},
            PASSES,
            "rows added 1 (at most 1)",
        ),
        # What was not measured.
        ({"max_rows_added": 1}, {"rows_added": None}, NOT_COMPARED, "limit for: rows added"),
        ({"max_rows_added": 1}, {"rows_removed": None}, NOT_COMPARED, "limit for: rows removed"),
        (
            {"max_rows_added": 1},
            {"diff_rows_count": None},
            NOT_COMPARED,
            "limit for: rows different",
        ),
        ({"max_rows_added": 1}, {"diff_schema": None}, NOT_COMPARED, "limit for: schema"),
        (
            {"min_match_ratio": 0.9},
            {"rows_added": 1, "match_ratio": None},
            NOT_COMPARED,
            "limit for: match ratio",
        ),
        (
            {"min_match_ratio": 0.9},
            {"rows_added": None, "rows_removed": None, "diff_rows_count": None},
            PASSES,
            "match ratio 1 (at least 0.9)",
        ),
        (
            {"max_rows_added": 1, "min_match_ratio": 0.9},
            {"rows_added": 5, "match_ratio": None},
            NOT_COMPARED,
            "limit for: match ratio",
        ),
    ],
)
def test_each_limit(
    limits: dict[str, Any], stats: dict[str, Any], outcome: Outcome, reason: str
) -> None:
    found = judged(diff(**stats), Limits(**limits))
    assert found.outcome is outcome
    assert reason in found.reason
    if outcome is DIFFERS:
        # What is within its limit is not named.
        assert found.reason == reason
    if outcome is NOT_COMPARED:
        assert found.reason == f"Datafold did not measure what there is a {reason}"


@pytest.mark.parametrize(
    ("limits", "stats", "expected"),
    [
        ({}, {"rows_added": 3}, (DIFFERS, "match ratio 1" + _ACROSS)),
        ({}, {"diff_schema": 0.5}, (DIFFERS, "match ratio 1" + _ACROSS)),
        ({"max_rows_added": 3}, {"rows_added": 3}, (PASSES, "(at most 0)" + _ACROSS)),
        ({"max_rows_added": 3}, {"diff_schema": 0.5}, (PASSES, "(at most 0)" + _ACROSS)),
        ({"max_rows_added": 3}, {"rows_added": 4}, (DIFFERS, "(at most 3)" + _ACROSS)),
        ({"max_rows_added": 3}, {"diff_schema": None}, (PASSES, "(at most 0)" + _ACROSS)),
    ],
)
def test_across_databases_the_schema_is_not_judged(
    limits: dict[str, Any], stats: dict[str, Any], expected: tuple[Outcome, str]
) -> None:
    found = judged(diff(kind="cross_db", **stats), Limits(**limits))
    assert found.outcome is expected[0]
    assert found.reason.endswith(expected[1])
    assert "schema changed" not in found.reason


def test_a_changed_schema_is_said_without_limits_too() -> None:
    assert judge(diff(diff_schema=0.5), Limits()).reason.endswith(", schema changed")


@pytest.mark.parametrize(
    ("limits", "given"),
    [
        (Limits(), False),
        (Limits(max_rows_added=0), True),
        (Limits(min_match_ratio=0.0), True),
        (Limits(allow_schema_changes=True), True),
    ],
)
def test_a_limit_of_zero_is_one(limits: Limits, given: bool) -> None:
    assert limits.are_given is given

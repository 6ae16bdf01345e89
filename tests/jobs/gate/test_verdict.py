"""What a gate makes of the result of a data diff; test_limits.py has the limits."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_datafold.jobs.gate.limits import Limits
from airflow_provider_datafold.jobs.gate.verdict import Outcome, Verdict, judge
from tests.jobs.gate.test_limits import EQUAL

NOT_COMPARED = Outcome.NOT_COMPARED


def diff(result: Any = "different", **stats: Any) -> dict[str, Any]:
    return {"result": result, "kind": "in_db", "diff_stats": EQUAL | stats}


@pytest.mark.parametrize(
    ("result", "outcome", "reason"),
    [
        ("identical", Outcome.PASSES, "identical"),
        ("empty", Outcome.EMPTY, "there are no rows to compare"),
        ("error", Outcome.FAILED, "the comparison failed"),
        ("missing-pks", NOT_COMPARED, "a side lacks primary key columns"),
        ("bad-pks", NOT_COMPARED, "primary keys are null or not unique"),
        (None, NOT_COMPARED, "Datafold gives no result"),
        *(
            (result, NOT_COMPARED, f"the result is {result!r}")
            for result in ("partly", "Identical", 7, ["identical"], "")
        ),
    ],
)
@pytest.mark.parametrize(
    "limits", [Limits(), Limits(max_rows_added=9), Limits(allow_schema_changes=True)], ids=repr
)
def test_each_result(result: Any, outcome: Outcome, reason: str, limits: Limits) -> None:
    assert judge(diff(result, sampled=False), limits) == Verdict(outcome, reason)


COMPARED_NOTHING = {"compared": False}


@pytest.mark.parametrize(
    ("found", "limits", "assertions"),
    [
        (diff("identical"), {}, {"identical": True}),
        (diff("different"), {}, {"identical": False}),
        (diff("empty"), {}, COMPARED_NOTHING),
        (diff("bad-pks"), {}, COMPARED_NOTHING),
        (diff("error"), {}, {}),
        (diff("identical", rows_added=1), {}, COMPARED_NOTHING),
        (diff("identical", sampled=True), {}, {"identical in a sample": True}),
        (diff(rows_added=1, sampled=True), {"max_rows_added": 1}, COMPARED_NOTHING),
        (diff(rows_added=1, diff_null_pks=1), {"max_rows_added": 1}, COMPARED_NOTHING),
        (
            diff(diff_schema=1, table_a_row_count=0, table_b_row_count=0),
            {"max_rows_added": 1},
            COMPARED_NOTHING,
        ),
        (
            diff(match_ratio=0.95, sampled=True),
            {"min_match_ratio": 0.9},
            {"match_ratio >= 0.9 in a sample": True, "diff_schema = 0 in a sample": True},
        ),
        (
            diff(rows_added=1, rows_removed=3, diff_rows_count=None),
            {"max_rows_added": 1, "max_rows_removed": 2},
            {
                "rows_added <= 1": True,
                "rows_removed <= 2": False,
                "diff_rows_count <= 0": False,
                "diff_schema = 0": True,
            },
        ),
        (
            diff(match_ratio=0.95, diff_schema=1),
            {"min_match_ratio": 0.9},
            {"match_ratio >= 0.9": True, "diff_schema = 0": False},
        ),
        (
            diff(rows_added=1, match_ratio=None),
            {"min_match_ratio": 0, "allow_schema_changes": True},
            {"match_ratio >= 0": False},
        ),
    ],
)
def test_what_openlineage_is_told(
    found: dict[str, Any], limits: dict[str, Any], assertions: dict[str, bool]
) -> None:
    results = {"status": "success", "values": {"total_rows": 500}}
    assert dict(judge(found, Limits(**limits), results=results).assertions) == assertions


def test_nothing_is_asserted_before_the_results_agree() -> None:
    found = judge(diff(rows_added=1), Limits(max_rows_added=1))
    assert (found.outcome, dict(found.assertions)) == (Outcome.UNCONFIRMED, COMPARED_NOTHING)


def test_an_unknown_result_is_cut() -> None:
    assert len(judge(diff("x" * 10_000), Limits()).reason) < 200


def test_without_limits_nothing_may_differ() -> None:
    reason = "rows added 3, rows removed 0, rows different 0, match ratio 0.95"
    found = judge(diff(rows_added=3, match_ratio=0.95), Limits())
    assert found == Verdict(Outcome.DIFFERS, reason)
    changed = judge(diff(rows_added=3, match_ratio=0.95, diff_schema=0.5), Limits())
    assert changed.reason == f"{reason}, schema changed"


def test_figures_that_were_not_measured_are_said_to_be_so() -> None:
    assert judge({"result": "different", "diff_stats": None}, Limits()).reason == (
        "rows added not measured, rows removed not measured, rows different not measured, "
        "match ratio not measured"
    )

"""What is odd about a data diff: it is said, and decides nothing."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_datafold.jobs.gate.doubts import doubts
from tests.evidence import COUNTED, GROWN, STATUS_ONLY, columns, evidence

FIRST, SECOND = "rows on the first side", "rows on the second side"
TYPES = {"column_type_differs": ["amount", "at"], "column_type_mismatches": 2}
GROWN_RESULTS = {"pks": {"exclusives": [0, 5]}}


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (
            evidence("identical", {**COUNTED, "table_b_row_count": 101}),
            f"the counts do not add up: {FIRST} 100, {SECOND} 101",
        ),
        (
            evidence("different", {**GROWN, "table_b_row_count": 104}, GROWN_RESULTS),
            f"the counts do not add up: {FIRST} 100, {SECOND} 104, rows added 5, rows removed 0",
        ),
        (
            evidence("different", COUNTED),
            "the result is 'different', but no difference was counted",
        ),
        (
            evidence("different", GROWN, {"pks": {"exclusives": [0, 4]}}),
            "rows added 5, rows added in the results 4",
        ),
        (
            evidence("different", {"rows_removed": 1}),
            "rows removed 1, rows removed in the results 0",
        ),
        (
            evidence("different", {"diff_rows_count": 1}),
            "rows different 1, rows different in the results 0",
        ),
        *(
            (
                evidence("different", {"diff_schema": 1}, {"values": {**columns(a=3), total: 7}}),
                f"{name} 7, but {count} by the counts of each column",
            )
            for total, name, count in (
                ("values_with_differences", "values different", 3),
                ("columns_with_differences", "columns with differences", 1),
            )
        ),
        *(
            (
                evidence(result, {"diff_schema": changes}, {"schema": TYPES}, kind="cross_db"),
                "the two databases have other types for 'amount', 'at'",
            )
            for result, changes in (("identical", 0), ("different", 2))
        ),
        (
            evidence("identical", results=STATUS_ONLY),
            "its detailed results have only the status 'success', so only its own figures decide",
        ),
        (
            evidence("identical", results={"status": "running"}),
            "its detailed results have only the status 'running', so only its own figures decide",
        ),
        (
            evidence("identical", results={"status": None}),
            "its detailed results could not be read, so only its own figures decide",
        ),
    ],
)
def test_what_is_odd(found: Any, words: str) -> None:
    assert doubts(found) == [words]


LIVE = {**COUNTED, "table_b_row_count": 101}


@pytest.mark.parametrize(
    "found",
    [
        evidence("identical"),
        evidence("identical", COUNTED),
        evidence("identical", LIVE, sent={"filter1": "x"}),
        evidence("identical", {**LIVE, "sampled": True}),
        evidence("identical", {**LIVE, "diff_null_pks": 1}),
        evidence("different", GROWN, GROWN_RESULTS),
        evidence("different", {**COUNTED, "diff_schema": 1}),
        evidence("different", {**GROWN, "rows_removed": None}, {"pks": {"exclusives": None}}),
        # What was not compared has no figures that could disagree.
        evidence("bad-pks", LIVE, STATUS_ONLY),
        evidence("empty", results=STATUS_ONLY),
        evidence("identical", LIVE, {"status": "failed"}),
    ],
)
def test_what_is_not(found: Any) -> None:
    assert doubts(found) == []

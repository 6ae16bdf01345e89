"""What stops a load, and what does not; test_limits.py has the limits."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_datafold.jobs.gate.verdict import Outcome, Verdict
from tests.evidence import COUNTED, GROWN, STATUS_ONLY, columns, evidence, of

PASSES, DIFFERS, EMPTY = Outcome.PASSES, Outcome.DIFFERS, Outcome.EMPTY
NOT_COMPARED = Outcome.NOT_COMPARED
IDENTICAL = Verdict(PASSES, "identical")
NO_ROWS = {"table_a_row_count": 0, "table_b_row_count": 0, "match_ratio": 0.0}
NO_ROWS_READ: dict[str, Any] = {"pks": {"total_rows": [0, 0]}, "values": {"total_rows": 0}}
COUNTS: dict[str, Any] = dict.fromkeys(
    ("max_rows_added", "max_rows_removed", "max_rows_different"), 1000
)
RATIO = {"min_match_ratio": 0.5}
FIRST_LOAD = {"table_a_row_count": 0, "table_b_row_count": None}
MOST_DIFFERENT = "max_rows_different"
UNCOUNTED = {"pks": {"total_rows": None}}
FIRST, SECOND = "rows on the first side", "rows on the second side"


def not_compared(verdict: Verdict) -> str:
    assert verdict.outcome is NOT_COMPARED
    assert verdict.assertions == (("compared", False),)
    return verdict.reason


@pytest.mark.parametrize(
    ("result", "outcome", "reason"),
    [
        ("identical", PASSES, "identical"),
        ("error", Outcome.FAILED, "the comparison failed"),
        ("missing-pks", NOT_COMPARED, "a side lacks primary key columns"),
        ("bad-pks", NOT_COMPARED, "primary keys are null or not unique"),
        (None, NOT_COMPARED, "Datafold gives no result"),
        ("Identical", NOT_COMPARED, "the result is 'Identical'"),
        (["identical"], NOT_COMPARED, "the result is ['identical']"),
    ],
)
def test_each_result(result: Any, outcome: Outcome, reason: str) -> None:
    for limits in ({}, COUNTS, RATIO):
        assert of(evidence(result), **limits) == Verdict(outcome, reason)


@pytest.mark.parametrize(
    ("stats", "results", "words"),
    [
        ({"errors": 5}, {}, "errors 5"),
        ({"rows_added": 5}, {}, "rows added 5"),
        ({"rows_removed": 5}, {}, "rows removed 5"),
        ({"diff_rows_count": 5}, {}, "rows different 5"),
        ({}, {"pks": {"exclusives": [0, 1]}}, "rows added in the results 1"),
        ({}, {"pks": {"exclusives": [1, 0]}}, "rows removed in the results 1"),
        ({}, {"values": {"rows_with_differences": 3}}, "rows different in the results 3"),
        ({}, {"values": {"values_with_differences": 3}}, "values different 3"),
        ({**COUNTED, "table_b_row_count": 0}, UNCOUNTED, f"{FIRST} 100, {SECOND} 0"),
        ({**COUNTED, "table_a_row_count": 0}, UNCOUNTED, f"{FIRST} 0, {SECOND} 100"),
        (
            COUNTED,
            {"pks": {"total_rows": [100, 0]}},
            f"{FIRST} in the results 100, {SECOND} in the results 0",
        ),
        ({}, {"values": {"columns_with_differences": 1}}, "columns with differences 1"),
    ],
)
def test_identical_has_no_difference(stats: Any, results: Any, words: str) -> None:
    reason = not_compared(of(evidence("identical", stats, results), **RATIO))
    assert reason == f"Datafold's answer contradicts itself: the result is 'identical', but {words}"


@pytest.mark.parametrize("result", ["identical", "different", "empty"])
@pytest.mark.parametrize(
    ("stats", "results", "words"),
    [
        ({"rows_added": -1}, {}, "rows added is -1"),
        ({"rows_removed": float("nan")}, {}, "rows removed is nan"),
        ({"diff_rows_count": "0"}, {}, "rows different is '0'"),
        ({"match_ratio": -0.1}, {}, "match ratio is -0.1"),
        ({}, {"pks": {"exclusives": [True, 0]}}, "rows removed in the results is True"),
        (
            {},
            {"values": {"columns_diff_stats": [{"column_name": "amount", "values_different": -1}]}},
            "values different in 'amount' is -1",
        ),
    ],
    ids=repr,
)
def test_a_figure_that_cannot_be(stats: Any, results: Any, words: str, result: str) -> None:
    for limits in (COUNTS, RATIO):
        reason = not_compared(of(evidence(result, stats, results), may_be_empty=True, **limits))
        assert reason == f"Datafold's answer contradicts itself: {words}"


@pytest.mark.parametrize("result", ["identical", "different"])
def test_results_that_failed_stop(result: str) -> None:
    reason = not_compared(of(evidence(result, GROWN, {"status": "failed"}), **COUNTS))
    assert reason.endswith(f"the result is '{result}', but the status of its results is 'failed'")


def test_a_ratio_above_one_stops_only_where_it_has_a_limit() -> None:
    found = evidence("different", {**GROWN, "match_ratio": 1.01})
    assert "match ratio 1.01" in not_compared(of(found, **RATIO))
    assert of(found, **COUNTS).outcome is PASSES


# What an honest service may say of good data.


@pytest.mark.parametrize(
    "found",
    [
        evidence("identical"),
        evidence("identical", diff_stats=None),
        evidence("identical", results=STATUS_ONLY),
        evidence("identical", results={"status": "running"}),
        evidence("identical", results={"values": None, "schema": None}),
        evidence("identical", results={"pks": "odd", "values": [1]}),
        # Counted before the filter.
        *(
            evidence("identical", {**COUNTED, "table_b_row_count": 120}, sent={name: "x"})
            for name in ("filter1", "filter2", "time_interval_end", "time_travel_point1")
        ),
        evidence("identical", {**COUNTED, "table_a_row_count": 0}, filter2="x"),
        # Written to between the counts and the comparison.
        evidence("identical", {**COUNTED, "table_b_row_count": 101}),
        # Rounding, and no more.
        evidence("identical", {"match_ratio": 0.9999999}),
        # Results may list only the rows that differ.
        evidence("identical", COUNTED, {"values": {"total_rows": 0}}),
        # Nothing but keys.
        evidence(
            "identical",
            results={"values": {"compared_columns": 0}, "schema": {"column_counts": [1, 1]}},
        ),
        evidence("identical", results={"values": {"compared_columns": 0}}, include_columns=["id"]),
    ],
)
def test_good_data_is_identical(found: Any) -> None:
    assert of(found) == IDENTICAL


@pytest.mark.parametrize(
    ("found", "limits"),
    [
        (evidence("different", {**GROWN, "table_b_row_count": 120}), COUNTS),
        # A first load has one empty side.
        (evidence("different", {**GROWN, **FIRST_LOAD}, STATUS_ONLY), COUNTS),
        # The rows that differ may include those of one side.
        (evidence("different", {**GROWN, "diff_rows_count": 5}), {**COUNTS, MOST_DIFFERENT: 5}),
        # Across databases, nobody may measure the schema.
        (evidence("different", {**GROWN, "diff_schema": 0}, STATUS_ONLY, kind="cross_db"), COUNTS),
        # Where rows or keys are not one to one, the ratio says nothing of the schema.
        (evidence("different", {"match_ratio": 0.98, "rows_added": 1}), COUNTS),
        (evidence("different", {"match_ratio": 0.98, "diff_duplicate_pks": 1}), RATIO),
    ],
    ids=["filter", "first load", "rows", "schema", "ratio", "keys"],
)
def test_good_data_is_within_its_limits(found: Any, limits: Any) -> None:
    assert of(found, **limits).outcome is PASSES


# Both answers count.

VALUES = {"rows_with_differences": 8, "values_with_differences": 9}


@pytest.mark.parametrize(
    ("stats", "results", "limits", "reason"),
    [
        ({"rows_added": 5}, {"pks": {"exclusives": [0, 6]}}, 5, "rows added 6 (at most 5)"),
        ({"rows_added": 5}, {"pks": {"exclusives": [0, 1]}}, 4, "rows added 5 (at most 4)"),
        # It may count the rows of one side, too.
        ({"rows_added": 5}, {"values": VALUES}, 6, None),
        ({"rows_added": 3}, {"values": VALUES}, 4, "rows different 5 (at most 4)"),
        # One answer may have none.
        ({"rows_added": None}, {"pks": {"exclusives": [0, 5]}}, 4, "rows added 5 (at most 4)"),
        ({"rows_removed": None}, {"pks": {"exclusives": [5, 0]}}, 4, "rows removed 5 (at most 4)"),
        ({"diff_rows_count": None}, {"values": VALUES}, 4, "rows different 8 (at most 4)"),
    ],
)
def test_limits_hold_for_the_higher_count(
    stats: Any, results: Any, limits: int, reason: str | None
) -> None:
    found = of(evidence("different", stats, results), **dict.fromkeys(COUNTS, limits))
    if reason:
        assert found == Verdict(DIFFERS, reason)
    else:
        assert found.outcome is PASSES


# The schema.

LOST = {"columns_mismatched": [1, 0], "exclusive_columns": [["old"], []]}


@pytest.mark.parametrize("result", ["identical", "different"])
@pytest.mark.parametrize(
    ("stats", "results", "more"),
    [
        ({"diff_schema": 1}, {}, {}),
        ({}, {"schema": LOST}, {}),
        ({"diff_schema": None}, {"schema": {"column_type_mismatches": 2}}, {}),
        # Of the score's cells, half are in columns of one side.
        ({"match_ratio": 0.5}, STATUS_ONLY, {"kind": "cross_db"}),
        ({"match_ratio": 0.9999}, {}, {}),
        # What the service shows was not chosen.
        ({"diff_schema": 1}, {}, {"columns_to_compare": ["a"], "sent": {"table1": ["A"]}}),
        # Another column was left out.
        ({"diff_schema": 1}, {"schema": LOST}, {"sent": {"exclude_columns": ["new"]}}),
        ({"diff_schema": 1}, {"schema": LOST}, {"sent": {"include_columns": ["Old"]}}),
        ({}, {"schema": {"column_type_differs": ["a"]}}, {"column_mapping": [["a", "b"]]}),
        # Beside columns to include, those to exclude are ignored.
        ({}, {"schema": LOST}, {"include_columns": ["old"], "exclude_columns": ["old"]}),
    ],
    ids=repr,
)
def test_a_changed_schema_is_a_difference(stats: Any, results: Any, more: Any, result: str) -> None:
    found = evidence(result, stats, results, **more)
    verdict = of(found, max_rows_added=9)
    assert verdict == Verdict(DIFFERS, "schema changed")
    assert ("diff_schema = 0", False) in verdict.assertions
    assert of(found).outcome is DIFFERS
    assert of(found, allow_schema_changes=True).outcome is PASSES


@pytest.mark.parametrize("result", ["identical", "different"])
def test_other_types_in_another_database_are_no_difference(result: str) -> None:
    types = {"column_type_differs": ["a"], "column_type_mismatches": 1}
    for schema, changes, outcome in ((types, 1, PASSES), ({**types, **LOST}, 2, DIFFERS)):
        stats = {"diff_schema": changes}
        found = evidence(result, stats, {"schema": schema}, kind="cross_db")
        assert of(found, max_rows_added=9).outcome is outcome
    # Within one they are.
    found = evidence(result, {"diff_schema": 1}, {"schema": types})
    assert of(found, max_rows_added=9).outcome is DIFFERS


@pytest.mark.parametrize(
    "more",
    [
        {"sent": {"exclude_columns": ["OLD"]}},
        {"sent": {"include_columns": ["a"]}},
        {"sent": {"columns_to_compare": ["a"]}},
        {"sent": {"column_mapping": [["old", "new"]]}},
        {"column_mapping": [["old", "new"], None]},
        # A sensor's.
        {"exclude_columns": ["old"]},
    ],
    ids=repr,
)
@pytest.mark.parametrize("results", [{"schema": LOST}, STATUS_ONLY], ids=["named", "unnamed"])
def test_columns_that_were_left_out_may_be_on_one_side(results: Any, more: Any) -> None:
    found = evidence("identical", {"diff_schema": 1, "match_ratio": 0.9}, results, **more)
    assert of(found) == IDENTICAL


def test_a_ratio_holds_for_what_is_identical() -> None:
    limits = {"min_match_ratio": 0.99, "allow_schema_changes": True}
    lower = of(evidence("identical", {"match_ratio": 0.98}), **limits)
    assert lower == Verdict(DIFFERS, "match ratio 0.98 (at least 0.99)")
    for ratio in (0.99, 0.9899999, None):
        assert of(evidence("identical", {"match_ratio": ratio}), **limits) == IDENTICAL


# Nothing was compared.


@pytest.mark.parametrize("result", ["identical", "empty", "different"])
@pytest.mark.parametrize(
    ("stats", "results"),
    [
        (NO_ROWS, {"pks": {"total_rows": None}}),
        ({}, NO_ROWS_READ),
        ({}, {**UNCOUNTED, "values": {"total_rows": 0}}),
    ],
)
def test_no_rows_are_empty(stats: Any, results: Any, result: str) -> None:
    found = evidence(result, {**stats, "diff_schema": 1}, results)
    reason = "there are no rows to compare"
    limits = {"allow_schema_changes": True}
    verdict = of(found, **limits)
    assert (verdict, verdict.assertions) == (Verdict(EMPTY, reason), (("compared", False),))
    assert of(found, may_be_empty=True, **limits) == Verdict(PASSES, reason)
    # Whether a schema may change does not matter to what is empty.
    assert of(evidence("identical", {**stats, "diff_schema": 1}, results)).outcome is EMPTY


def test_an_equal_score_of_nothing_is_empty() -> None:
    found = evidence("identical", {"match_ratio": 0.0}, STATUS_ONLY, filter1="x")
    assert of(found, **RATIO).outcome is EMPTY
    assert of(found, **RATIO, may_be_empty=True).outcome is PASSES


def test_tables_without_rows_may_differ_in_their_schema() -> None:
    found = evidence("different", {**NO_ROWS, "diff_schema": 1}, NO_ROWS_READ)
    verdict = of(found, may_be_empty=True, max_rows_added=9)
    assert verdict == Verdict(DIFFERS, "schema changed")


def test_empty_may_have_counts_from_before_the_filter() -> None:
    unread = {"pks": None, "values": None}
    assert of(evidence("empty", COUNTED, unread, sent={"filter1": "x"})).outcome is EMPTY
    assert of(evidence("identical", COUNTED, NO_ROWS_READ, sent={"filter1": "x"})).outcome is EMPTY


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (evidence("empty", COUNTED, STATUS_ONLY), f"the result is 'empty', but {FIRST} 100"),
        (
            evidence("empty", {**NO_ROWS, "rows_added": 1}),
            "Datafold's answer contradicts itself: the result is 'empty', but rows added 1",
        ),
        (evidence("empty"), f"the result is 'empty', but {FIRST} in the results 100"),
        (evidence("identical", COUNTED, NO_ROWS_READ), f"no row was counted, but {FIRST} 100"),
        (
            evidence("identical", COUNTED, {"values": {"compared_columns": 0}}),
            f"no column was compared, but {FIRST} in the results 100",
        ),
    ],
)
def test_rows_that_were_not_compared_are_not_empty(found: Any, words: str) -> None:
    assert not_compared(of(found, may_be_empty=True)) == words


# Keys, samples, searches that end early.

BAD_KEYS = "some primary keys are null or duplicated, so the counts of rows say nothing"


@pytest.mark.parametrize(
    ("stats", "pks"),
    [
        ({"diff_duplicate_pks": 1.0}, {}),
        ({"diff_null_pks": 0.01}, {}),
        *(({}, {keys: sides}) for keys in ("dupes", "nulls") for sides in ([0, 1], [1, 0])),
    ],
    ids=repr,
)
def test_bad_keys_count_no_rows(stats: Any, pks: Any) -> None:
    found = evidence("different", {**GROWN, **stats}, {"pks": pks})
    for limits in (COUNTS, {**RATIO, "max_rows_added": 9}):
        assert not_compared(of(found, **limits)) == BAD_KEYS
    assert of(found, **RATIO).outcome is PASSES
    # Without limits it is a difference, whatever its keys.
    assert of(found).outcome is DIFFERS
    equal = evidence("identical", stats, {"pks": pks})
    assert not_compared(of(equal)) == BAD_KEYS
    assert of(equal, **RATIO).outcome is PASSES


SAMPLED = {"sampled": True}
NO_COUNTS = (
    "only a sample was compared, which says nothing about how many rows of the tables differ: use "
    "min_match_ratio as the only limit, or do not sample"
)
ASKED: list[dict[str, Any]] = [
    {"sampling_ratio": 0.05},
    {"sampling_max_rows": 500},
    {"sampling_tolerance": 0.001},
    {"sampling_confidence": 99},
]
ESTIMATED = {
    "columns_diff_stats": [{"column_name": "a", "values_different_estimate": {"value": 5}}]
}


def samples(result: str, **results: Any) -> list[Any]:
    """How a sample is known: by the figures, by what was sent, or by what a sensor is shown."""
    return [
        evidence(result, {**GROWN, **SAMPLED} if result == "different" else SAMPLED, results),
        *(evidence(result, results=results, sent=fields) for fields in ASKED),
        *(evidence(result, results=results, **fields) for fields in ASKED[:2]),
        evidence(result, results={**results, "values": {**results.get("values", {}), **ESTIMATED}}),
    ]


def test_a_sample_has_no_counts() -> None:
    for found in samples("different"):
        for limits in (COUNTS, {**RATIO, "max_rows_removed": 0}, {"allow_schema_changes": True}):
            assert not_compared(of(found, **limits)) == NO_COUNTS
        assert of(found, **RATIO).reason.endswith(", in a sample of 100 rows")
    for found in samples("identical"):
        assert not_compared(of(found, max_rows_added=9)) == NO_COUNTS
        assert of(found, **RATIO) == of(found)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [(1, "identical, in a sample of 1 row"), (None, "identical, in a sample")],
)
def test_a_sample_that_is_identical_passes(rows: int | None, reason: str) -> None:
    for found in samples("identical", values={"total_rows": rows}):
        verdict = of(found)
        assert verdict == Verdict(PASSES, reason)
        assert ("identical in a sample", True) in verdict.assertions


def test_a_sample_without_rows_proves_nothing() -> None:
    for result, limits in (("identical", {}), ("different", RATIO)):
        for found in samples(result, values={"total_rows": 0}):
            verdict = of(found, may_be_empty=True, **limits)
            assert not_compared(verdict) == "only a sample was compared, and it holds no rows"


@pytest.mark.parametrize(
    "found",
    [
        evidence("identical", {"sampled": False}, sent=ASKED[0]),
        evidence("identical", sampling_threshold=5),
        # The service shows its defaults.
        evidence("identical", sent={"table1": ["A"]}, sampling_tolerance=0.001),
        evidence("identical", sent={"table1": ["A"]}, sampling_max_rows=10**9),
    ],
)
def test_what_is_no_sample(found: Any) -> None:
    assert of(found, max_rows_added=9) == IDENTICAL


def test_a_sample_that_differs_is_said_to_be_one() -> None:
    found = evidence("different", {**GROWN, **SAMPLED})
    for limits in ({}, {"min_match_ratio": 0.95}):
        assert of(found, **limits).reason.endswith(" (only a sample was compared)")


CUT = (
    "the search for differences may have ended early, so there may be more: leave out "
    "per_column_diff_limit and download_limit"
)


@pytest.mark.parametrize(
    ("results", "fields"),
    [
        ({"values": columns(a=5, b=2)}, {"per_column_diff_limit": 5}),
        (STATUS_ONLY, {"per_column_diff_limit": 5}),
        ({"values": columns(a=5)}, {"download_limit": 100}),
        # The column with most differences may not be told.
        ({"values": {**columns(a=2), "columns_with_differences": 2}}, {"per_column_diff_limit": 5}),
    ],
    ids=repr,
)
def test_a_search_that_ended_early_proves_nothing(results: Any, fields: Any) -> None:
    stats = {"diff_rows_count": 5, "match_ratio": 0.9}
    for asked, limits in (({"sent": fields}, COUNTS), (fields, RATIO)):
        found = evidence("different", stats, results, kind="cross_db", **asked)
        assert not_compared(of(found, **limits)) == CUT
        assert of(found).outcome is DIFFERS
    equal = evidence("identical", results={}, kind="cross_db", sent=fields)
    assert of(equal, **COUNTS) == IDENTICAL


@pytest.mark.parametrize(
    ("results", "more"),
    [
        ({"values": columns(a=5, b=2)}, {"kind": "cross_db", "per_column_diff_limit": 6}),
        (STATUS_ONLY, {"kind": "cross_db", "per_column_diff_limit": 6}),
        ({"values": columns(a=5)}, {"per_column_diff_limit": 5, "download_limit": 5}),
        ({"values": columns(a=5)}, {"kind": "cross_db", "download_limit": 201}),
    ],
    ids=["below the limit", "without columns", "one database", "no more rows than the limit"],
)
def test_a_search_that_reached_its_end_counts(results: Any, more: Any) -> None:
    stats = {**COUNTED, "diff_rows_count": 5, "match_ratio": 0.9}
    found = evidence("different", stats, results, **more)
    assert of(found, **COUNTS).outcome is PASSES


def test_a_ratio_of_one_side_says_nothing() -> None:
    stats = {"rows_added": 100, "table_a_row_count": 0, "table_b_row_count": 100}
    found = evidence("different", stats, UNCOUNTED)
    reason = not_compared(of(found, min_match_ratio=0.0))
    assert reason == "no row is on both sides, so the match ratio says nothing"
    assert of(found, **COUNTS).outcome is PASSES


# Words.


@pytest.mark.parametrize(
    ("found", "limits", "assertions"),
    [
        (evidence("identical"), {}, {"identical": True, "diff_schema = 0": True}),
        (evidence("identical"), {"allow_schema_changes": True}, {"identical": True}),
        (evidence("different"), {}, {"identical": False}),
        (evidence("error"), {}, {}),
        (
            evidence("different", {**SAMPLED, "match_ratio": 0.95, "rows_added": 1}),
            RATIO,
            {"match_ratio >= 0.5 in a sample": True, "diff_schema = 0 in a sample": True},
        ),
        (
            evidence(
                "different",
                {"rows_added": 1, "rows_removed": 3, "diff_rows_count": None},
                {"values": None},
            ),
            {"max_rows_added": 1, "max_rows_removed": 2},
            {
                "rows_added <= 1": True,
                "rows_removed <= 2": False,
                "diff_rows_count <= 0": False,
                "diff_schema = 0": True,
            },
        ),
    ],
)
def test_what_is_asserted(found: Any, limits: Any, assertions: Any) -> None:
    assert dict(of(found, **limits).assertions) == assertions


def test_a_difference_without_limits_names_its_figures() -> None:
    reason = "rows added 3, rows removed 0, rows different 0, match ratio 0.95"
    stats = {"rows_added": 3, "match_ratio": 0.95}
    assert of(evidence("different", stats)) == Verdict(DIFFERS, reason)
    changed = of(evidence("different", {**stats, "diff_schema": 0.5}))
    assert changed.reason == f"{reason}, schema changed"
    unmeasured = of(evidence("different", diff_stats=None, results=STATUS_ONLY))
    assert unmeasured.reason == (
        "rows added not measured, rows removed not measured, rows different not measured, "
        "match ratio not measured"
    )

"""A verdict believes no answer that contradicts itself, and no count of a sample."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_datafold.jobs.gate.limits import Limits
from airflow_provider_datafold.jobs.gate.verdict import Outcome, Verdict, judge

STATS: dict[str, Any] = {
    "version": "1",
    "rows_added": 0,
    "rows_removed": 0,
    "diff_rows_count": 0,
    "match_ratio": 1.0,
    "diff_schema": 0.0,
    "table_a_row_count": 100,
    "table_b_row_count": 100,
    "errors": None,
    "sampled": False,
}
EQUAL_RESULTS = {"pks": {"exclusives": [0, 0]}}
GROWN = {"rows_added": 5, "table_b_row_count": 105, "match_ratio": 0.9}
RESULTS: dict[str, dict[str, Any]] = {
    "pks": {"exclusives": [0, 5], "dupes": [0, 0], "nulls": [0, 0]},
    "values": {
        "total_rows": 100,
        "rows_with_differences": 0,
        "values_with_differences": 0,
        "compared_columns": 3,
        "columns_diff_stats": [{"column_name": "a", "values_different_estimate": None}, "odd"],
    },
    "schema": {
        "columns_mismatched": [0, 0],
        "column_type_mismatches": 0,
        "column_counts": [4, 4],
    },
}
"""What the results say of GROWN."""


def diff(result: Any, /, stats: Any = None, **fields: Any) -> dict[str, Any]:
    found = {"result": result, "kind": "in_db", "pk_columns": ["id"], **fields}
    return {**found, "diff_stats": STATS | (stats or {})}


def results(**sections: Any) -> dict[str, Any]:
    """The results of GROWN with other figures; a section may be null."""
    changed = {
        name: {**RESULTS.get(name, {}), **section} if isinstance(section, dict) else section
        for name, section in sections.items()
    }
    return {"status": "success", **RESULTS, **changed}


def of(found: dict[str, Any], said: Any = None, **limits: Any) -> Verdict:
    """The verdict, with the results if they are needed."""
    verdict = judge(found, Limits(**limits), may_be_empty=True)
    if verdict.outcome is not Outcome.UNCONFIRMED:
        return verdict
    return judge(found, Limits(**limits), may_be_empty=True, results=results(**(said or {})))


def contradiction(verdict: Verdict) -> str:
    assert verdict.outcome is Outcome.NOT_COMPARED
    assert set(verdict.assertions) == {("compared", False)}
    said = "Datafold's answer contradicts itself: "
    assert verdict.reason.startswith(said)
    return verdict.reason.removeprefix(said)


COUNT, AMOUNT = "a whole number, 0 or more", "a number, 0 or more"
INFINITE, NAN = float("inf"), float("nan")


@pytest.mark.parametrize(
    ("stats", "words"),
    [
        ({"rows_added": -1}, f"rows added is -1, but must be {COUNT}"),
        ({"rows_removed": -1}, f"rows removed is -1, but must be {COUNT}"),
        ({"diff_rows_count": -1}, f"rows different is -1, but must be {COUNT}"),
        ({"table_a_row_count": -1}, f"rows on the first side is -1, but must be {COUNT}"),
        ({"table_b_row_count": 0.5}, f"rows on the second side is 0.5, but must be {COUNT}"),
        ({"errors": -1}, f"errors is -1, but must be {COUNT}"),
        ({"match_ratio": 1.01}, "match ratio is 1.01, but must be a number from 0 to 1"),
        ({"match_ratio": 95}, "match ratio is 95, but must be a number from 0 to 1"),
        ({"match_ratio": -0.1}, "match ratio is -0.1, but must be a number from 0 to 1"),
        ({"match_ratio": NAN}, "match ratio is nan, but must be a number from 0 to 1"),
        ({"diff_schema": INFINITE}, f"schema differences is inf, but must be {AMOUNT}"),
        ({"diff_null_pks": NAN}, f"null primary keys is nan, but must be {AMOUNT}"),
        ({"diff_duplicate_pks": -0.1}, f"doubled primary keys is -0.1, but must be {AMOUNT}"),
        ({"diff_pks": -INFINITE}, f"diff_pks is -inf, but must be {AMOUNT}"),
        ({"diff_rows": -1}, f"diff_rows is -1, but must be {AMOUNT}"),
        ({"diff_rows_number": -1}, f"diff_rows_number is -1, but must be {AMOUNT}"),
        ({"diff_values": -1}, f"diff_values is -1, but must be {AMOUNT}"),
        ({"rows_added": True}, f"rows added is True, but must be {COUNT}"),
        ({"rows_added": "0"}, f"rows added is '0', but must be {COUNT}"),
        ({"rows_added": NAN}, f"rows added is nan, but must be {COUNT}"),
        ({"rows_added": 2**63}, f"rows added is 9223372036854775808, but must be {COUNT}"),
        (
            {"rows_added": 10**5000},
            f"rows added is an integer of thousands of digits, but must be {COUNT}",
        ),
        ({"sampled": "no"}, "sampled is 'no', but must be true or false"),
    ],
)
@pytest.mark.parametrize("result", ["identical", "different", "empty"])
@pytest.mark.parametrize("limits", [{}, {"max_rows_added": 9}, {"min_match_ratio": 0.0}], ids=repr)
def test_a_figure_that_cannot_be(result: str, stats: Any, words: str, limits: Any) -> None:
    assert contradiction(of(diff(result, stats), **limits)) == words


@pytest.mark.parametrize("stats", ["x", [1], 0])
def test_figures_that_are_no_object(stats: Any) -> None:
    found = {"result": "identical", "kind": "in_db", "diff_stats": stats}
    assert contradiction(of(found)).startswith("diff_stats is ")


@pytest.mark.parametrize("result", ["identical", "different", "empty"])
@pytest.mark.parametrize("limits", [{}, {"min_match_ratio": 0.0}], ids=repr)
def test_an_answer_with_errors(result: str, limits: Any) -> None:
    found = contradiction(of(diff(result, {"errors": 12}), **limits))
    assert found == f"the result is '{result}', but errors 12"
    assert of(diff("identical", {"errors": 0}), **limits).outcome is Outcome.PASSES


IDENTICAL_BUT: list[tuple[dict[str, Any], str]] = [
    ({"rows_added": 5}, "rows added 5"),
    ({"rows_removed": 5}, "rows removed 5"),
    ({"diff_rows_count": 5}, "rows different 5"),
    ({"table_b_row_count": 0}, "rows on the first side 100, rows on the second side 0"),
    ({"table_a_row_count": 0}, "rows on the first side 0, rows on the second side 100"),
    ({"diff_schema": 1}, "schema differences 1"),
    ({"match_ratio": 0.99}, "match ratio 0.99"),
]


@pytest.mark.parametrize(("stats", "words"), IDENTICAL_BUT, ids=repr)
@pytest.mark.parametrize(
    "limits",
    [{}, {"max_rows_added": 500, "max_rows_removed": 500}, {"min_match_ratio": 0}],
    ids=repr,
)
def test_identical_agrees_with_every_figure(stats: Any, words: str, limits: Any) -> None:
    found = contradiction(of(diff("identical", stats), **limits))
    assert found == f"the result is 'identical', but {words}"


@pytest.mark.parametrize(
    ("found", "limits"),
    [
        (diff("identical"), {}),
        ({"result": "identical", "diff_stats": None}, {}),
        (diff("identical", dict.fromkeys(STATS)), {}),
        (diff("identical", {"table_a_row_count": None}), {}),
        (diff("identical", {"diff_schema": 1, "match_ratio": 0.9}), {"allow_schema_changes": True}),
        # Across databases Datafold does not measure it.
        (diff("identical", {"diff_schema": 1}, kind="cross_db"), {}),
        # A column that only one side has lowers the ratio, and nothing else tells of it.
        (diff("identical", {"match_ratio": 0.9}, kind="cross_db"), {}),
        # Datafold publishes no meaning of these.
        (diff("identical", {"diff_rows": 1, "diff_pks": 1}), {}),
    ],
    ids=repr,
)
def test_what_was_not_measured_contradicts_nothing(found: Any, limits: Any) -> None:
    assert of(found, EQUAL_RESULTS, **limits) == Verdict(Outcome.PASSES, "identical")


def test_a_ratio_across_databases_needs_the_counts() -> None:
    found = diff("identical", {"match_ratio": 0.9, "rows_added": None}, kind="cross_db")
    assert contradiction(of(found)) == "the result is 'identical', but match ratio 0.9"


@pytest.mark.parametrize("stats", [{"sampled": None}, {}], ids=repr)
def test_identical_needs_the_results_unless_all_was_compared(stats: Any) -> None:
    found = diff("identical", stats)
    if not stats:
        del found["diff_stats"]["sampled"]
    assert judge(found, Limits()).outcome is Outcome.UNCONFIRMED
    assert judge(diff("identical"), Limits()).outcome is Outcome.PASSES
    estimated = [{"column_name": "a", "values_different_estimate": {"estimate": 120}}]
    values = {"total_rows": 32, "columns_diff_stats": estimated}
    said = {**EQUAL_RESULTS, "values": values}
    assert of(found, said).reason == "identical, in a sample of 32 rows"
    assert of(found, said, max_rows_added=0) == Verdict(Outcome.NOT_COMPARED, NO_COUNTS)
    assert of(found, EQUAL_RESULTS, max_rows_added=0) == Verdict(Outcome.PASSES, "identical")


def test_that_stored_tables_are_sampled_says_nothing_of_the_comparison() -> None:
    stored = {"diff": [{"data_source_id": 1, "path": ["T"], "is_sampled": True}]}
    said = {**EQUAL_RESULTS, "materialized_results": stored}
    found = diff("identical", {"sampled": None})
    assert of(found, said) == Verdict(Outcome.PASSES, "identical")


NO_ROWS = {"table_a_row_count": 0, "table_b_row_count": 0, "match_ratio": 0.0}


@pytest.mark.parametrize(
    "stats", [NO_ROWS, {"table_a_row_count": 0, "table_b_row_count": None}], ids=repr
)
@pytest.mark.parametrize("result", ["identical", "empty"])
@pytest.mark.parametrize("limits", [{}, {"min_match_ratio": 0}], ids=repr)
def test_identical_without_rows_is_empty(result: str, stats: Any, limits: Any) -> None:
    found = diff(result, stats)
    reason = "there are no rows to compare"
    assert judge(found, Limits(**limits)) == Verdict(Outcome.EMPTY, reason)
    assert judge(found, Limits(**limits), may_be_empty=True) == Verdict(Outcome.PASSES, reason)


def test_different_tables_without_rows_are_empty() -> None:
    # Their columns differ, which is allowed.
    found, limits = diff("different", {**NO_ROWS, "diff_schema": 1}), {"allow_schema_changes": True}
    assert judge(found, Limits(**limits)).outcome is Outcome.EMPTY
    said = {"pks": {"exclusives": [0, 0]}, "values": None, "schema": None}
    verdict = of(found, said, **limits)
    assert verdict.outcome is Outcome.PASSES
    # Nothing was compared, so nothing is asserted.
    assert verdict.assertions == (("compared", False),)


@pytest.mark.parametrize(
    ("stats", "words"),
    [
        ({"table_a_row_count": 100}, "rows on the first side 100"),
        ({"table_b_row_count": 100}, "rows on the second side 100"),
        ({"rows_added": 1}, "rows added 1"),
        ({"rows_removed": 1}, "rows removed 1"),
        ({"diff_rows_count": 1}, "rows different 1"),
        ({"diff_null_pks": 1}, "null primary keys 1"),
    ],
    ids=repr,
)
def test_what_has_rows_is_not_empty(stats: Any, words: str) -> None:
    found = contradiction(of(diff("empty", {**NO_ROWS, **stats})))
    assert found == f"the result is 'empty', but {words}"


GENEROUS = dict.fromkeys(("max_rows_added", "max_rows_removed", "max_rows_different"), 1000)


@pytest.mark.parametrize(
    ("stats", "words"),
    [
        (
            {"table_b_row_count": 200, "diff_rows_count": 1},
            "rows on the second side 200, but rows on the first side 100, rows added 0, "
            "rows removed 0, which makes 100",
        ),
        (
            {"rows_added": 5, "rows_removed": 2, "table_b_row_count": 104},
            "rows on the second side 104, but rows on the first side 100, rows added 5, "
            "rows removed 2, which makes 103",
        ),
        ({"rows_removed": 101}, "rows removed 101, but rows on the first side 100"),
        ({"rows_added": 101}, "rows added 101, but rows on the second side 100"),
        (
            {"rows_removed": 90, "table_b_row_count": 10, "diff_rows_count": 101},
            "rows different 101, but rows on both sides 10 by the other counts",
        ),
        (
            {"rows_removed": 90, "table_b_row_count": None, "diff_rows_count": 101},
            "rows different 101, but rows on both sides 10 by the other counts",
        ),
        (
            {},
            "the result is 'different', but rows added 0, rows removed 0, rows different 0, "
            "schema differences 0",
        ),
        (
            {"match_ratio": 0.95},
            "the result is 'different', but rows added 0, rows removed 0, rows different 0, "
            "schema differences 0",
        ),
    ],
    ids=repr,
)
def test_the_counts_of_different_tables_add_up(stats: Any, words: str) -> None:
    assert contradiction(of(diff("different", stats), **GENEROUS)) == words


@pytest.mark.parametrize(
    ("found", "limits"),
    [
        (diff("different", GROWN), GENEROUS),
        (diff("different", {**GROWN, "table_b_row_count": None}), GENEROUS),
        # Whether the rows different include those of one side is published nowhere.
        (
            diff("different", {"rows_removed": 90, "table_b_row_count": 10, "diff_rows_count": 99}),
            GENEROUS,
        ),
        (diff("different", {**GROWN, "rows_removed": None}), {"max_rows_added": 5}),
        (diff("different", {"diff_schema": 1}), {"allow_schema_changes": True}),
        (diff("different", {"diff_schema": None}), {"allow_schema_changes": True}),
        (diff("different", kind="cross_db"), GENEROUS),
        (diff("different", {"match_ratio": 0.95}), {"min_match_ratio": 0.9}),
    ],
    ids=repr,
)
def test_a_difference_that_can_be(found: Any, limits: Any) -> None:
    said = {
        "pks": {"exclusives": None},
        "values": {"total_rows": None, "values_with_differences": None},
    }
    unmeasured = found["diff_stats"]["rows_removed"] is None
    wanted = Outcome.NOT_COMPARED if unmeasured else Outcome.PASSES
    verdict = of(found, said, **limits)
    assert verdict.outcome is wanted
    assert not unmeasured or "did not measure" in verdict.reason


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"pks": {"exclusives": [0, 6]}}, "rows added 5, but rows added in the results 6"),
        ({"pks": {"exclusives": [1, 5]}}, "rows removed 0, but rows removed in the results 1"),
        (
            {"values": {"rows_with_differences": 3, "values_with_differences": 3}},
            "rows different 0, but rows different in the results 3",
        ),
        (
            {"values": {"rows_with_differences": None, "values_with_differences": 3}},
            "rows different 0, but values different 3",
        ),
        (
            {"values": {"total_rows": 99}},
            "rows compared 99, but rows on the first side 100, rows on the second side 105, "
            "rows added 5, rows removed 0",
        ),
        (
            {"schema": {"columns_mismatched": [0, 1]}},
            "schema differences 0, but columns only on the second side 1",
        ),
        (
            {"schema": {"exclusive_columns": [[], ["new"]]}},
            "schema differences 0, but columns named only on the second side 1",
        ),
        (
            {"schema": {"column_type_differs": ["a", "b"]}},
            "schema differences 0, but columns named with another type 2",
        ),
        (
            {"values": {"columns_diff_stats": [{"column_name": "a", "values_different": 900}]}},
            "values different 0, but 900 of them in the column 'a'",
        ),
        ({"values": [1]}, "values is [1], but must be an object"),
        ({"pks": "x"}, "pks is 'x', but must be an object"),
        ({"schema": 5}, "schema is 5, but must be an object"),
        ({"pks": {"exclusives": {"a": 500}}}, "exclusives is {'a': 500}, but must be a list"),
        ({"pks": {"dupes": 0}}, "dupes is 0, but must be a list"),
        ({"pks": {"nulls": "0"}}, "nulls is '0', but must be a list"),
        ({"values": {"columns_diff_stats": {}}}, "columns_diff_stats is {}, but must be a list"),
        ({"schema": {"exclusive_columns": {}}}, "exclusive_columns is {}, but must be a list"),
        (
            {"schema": {"exclusive_columns": [[], "new"]}},
            f"columns named only on the second side is 'new', but must be {COUNT}",
        ),
        ({"schema": {"column_type_differs": ""}}, "column_type_differs is '', but must be a list"),
        (
            {"schema": {"column_type_mismatches": 2}},
            "schema differences 0, but columns of another type 2",
        ),
        (
            {"status": "failed"},
            "the result is 'different', but the status of its results is 'failed'",
        ),
        (
            {"pks": {"exclusives": [-1, 5]}},
            f"rows removed in the results is -1, but must be {COUNT}",
        ),
    ],
    ids=repr,
)
def test_the_results_have_to_agree(said: Any, words: str) -> None:
    found = diff("different", GROWN)
    assert of(found, **GENEROUS).outcome is Outcome.PASSES
    assert contradiction(of(found, said, **GENEROUS)) == words


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (
            {"exclusive_columns": [["old"], []]},
            "columns only on the first side 0, but columns named only on the first side 1",
        ),
        (
            {"column_type_differs": ["a"]},
            "columns of another type 0, but columns named with another type 1",
        ),
    ],
    ids=repr,
)
@pytest.mark.parametrize("result", ["identical", "different"])
def test_columns_that_are_named_are_counted(schema: Any, words: str, result: str) -> None:
    unmeasured = {"diff_schema": None, "sampled": None}
    equal = EQUAL_RESULTS if result == "identical" else {}
    found = diff(result, {**(GROWN if result == "different" else {}), **unmeasured})
    limits = {"min_match_ratio": 0.5}
    verdict = judge(found, Limits(**limits), results=results(**{**equal, "schema": schema}))
    assert contradiction(verdict) == words
    allowed = Limits(**limits, allow_schema_changes=True)
    verdict = judge(found, allowed, results=results(**{**equal, "schema": schema}))
    assert verdict.outcome is Outcome.PASSES


@pytest.mark.parametrize(
    ("claimed", "said"),
    [
        # Only those that differ in a value are in the results.
        ({"diff_rows_count": 8}, {"rows_with_differences": 5, "values_with_differences": 5}),
        ({"diff_rows_count": 5}, {"rows_with_differences": 4, "values_with_differences": 9}),
    ],
    ids=repr,
)
def test_a_claim_of_more_rows_is_only_stricter(claimed: Any, said: Any) -> None:
    found = diff("different", {**GROWN, **claimed})
    said = {"pks": {"exclusives": [0, 3]}, "values": said}
    assert of(found, said, **GENEROUS).outcome is Outcome.PASSES
    assert of(found, said, max_rows_added=3, max_rows_different=9).outcome is Outcome.DIFFERS
    assert of(found, said, max_rows_added=5, max_rows_different=4).outcome is Outcome.DIFFERS


@pytest.mark.parametrize("status", [None, "running", "pending", "processing", "queued", "error", 7])
def test_results_that_are_not_final_say_nothing(status: Any) -> None:
    said = results(status=status, pks={"exclusives": [0, 99]})
    verdict = judge(diff("different", GROWN), Limits(**GENEROUS), results=said)
    assert verdict.outcome is Outcome.UNCONFIRMED


@pytest.mark.parametrize("status", ["done", "success"])
@pytest.mark.parametrize("said", [{}, {"dependencies": []}, {"pks": None, "values": None}])
def test_results_without_rows_confirm_nothing(status: str, said: Any) -> None:
    found, limits = diff("different", GROWN), Limits(**GENEROUS)
    verdict = judge(found, limits, results={"status": status, **said})
    assert verdict.outcome is Outcome.UNCONFIRMED
    for section in ("pks", "values"):
        verdict = judge(found, limits, results={"status": status, **said, section: {}})
        assert verdict.outcome is Outcome.PASSES


def test_a_row_that_differs_has_a_value_that_does() -> None:
    found = diff("different", {"diff_rows_count": 5})
    said = {"rows_with_differences": 5, "values_with_differences": 4}
    assert contradiction(
        of(found, {"pks": {"exclusives": [0, 0]}, "values": said}, **GENEROUS)
    ) == ("rows different 5, but values different 4")


def test_no_more_rows_differ_than_were_compared() -> None:
    found = diff("different", {"diff_rows_count": 5, "table_a_row_count": None})
    said = {
        "pks": None,
        "values": {"total_rows": 4, "rows_with_differences": 5, "values_with_differences": 9},
    }
    assert (
        contradiction(of(found, said, min_match_ratio=0.0))
        == "rows different 5, but rows compared 4"
    )


@pytest.mark.parametrize(
    ("found", "said"),
    [
        # Whether the schema counts columns that are not compared is published nowhere.
        (
            diff("different", GROWN, exclude_columns=["a"]),
            {"schema": {"columns_mismatched": [1, 0]}},
        ),
        # Checksums leave out the rows that are equal.
        (diff("different", GROWN, algorithm="hash"), {"values": {"total_rows": 1}}),
        (diff("different", GROWN, kind="cross_db"), {"values": {"total_rows": 1}}),
        (diff("different", GROWN), {"values": None, "pks": {"exclusives": None}, "schema": None}),
    ],
    ids=["columns", "checksums", "across databases", "nothing"],
)
def test_results_that_agree(found: Any, said: Any) -> None:
    verdict = judge(found, Limits(**GENEROUS), results=results(**said))
    assert verdict.outcome is Outcome.PASSES


BAD_KEYS = "some primary keys are null or doubled, so the counts of rows say nothing"


@pytest.mark.parametrize(
    ("stats", "said"),
    [
        ({"diff_duplicate_pks": 1.0}, {}),
        ({"diff_null_pks": 0.01}, {}),
        ({}, {"dupes": [0, 1]}),
        ({}, {"dupes": [1, 0]}),
        ({}, {"nulls": [0, 1]}),
        ({}, {"nulls": [1, 0]}),
    ],
    ids=repr,
)
def test_bad_keys_count_no_rows(stats: Any, said: Any) -> None:
    found, pks = diff("different", {**GROWN, **stats}), {"pks": said}
    assert of(found, pks, **GENEROUS) == Verdict(Outcome.NOT_COMPARED, BAD_KEYS)
    both = {"min_match_ratio": 0.5, "max_rows_added": 9}
    assert of(found, pks, **both) == Verdict(Outcome.NOT_COMPARED, BAD_KEYS)
    assert of(found, pks, min_match_ratio=0.5).outcome is Outcome.PASSES
    # Without limits it is a difference, whatever its keys.
    assert of(found, pks).outcome is Outcome.DIFFERS


def test_what_is_identical_by_bad_keys_was_not_compared() -> None:
    found = diff("identical", {"diff_duplicate_pks": 0.1})
    assert of(found) == of(found, max_rows_added=1) == Verdict(Outcome.NOT_COMPARED, BAD_KEYS)
    assert of(found, min_match_ratio=0.9).outcome is Outcome.PASSES


# The match ratio.


@pytest.mark.parametrize(
    ("stats", "said"),
    [
        ({"rows_removed": 100, "table_b_row_count": 0}, {"total_rows": None}),
        ({"rows_removed": 100, "table_b_row_count": None}, {"total_rows": None}),
        ({"rows_removed": None, "table_b_row_count": 0}, {"total_rows": None}),
        (
            {"rows_added": 1, "table_a_row_count": None, "table_b_row_count": None},
            {"total_rows": 0},
        ),
    ],
    ids=repr,
)
def test_a_ratio_of_no_rows_is_none(stats: Any, said: Any) -> None:
    verdict = of(
        diff("different", stats), {"pks": {"exclusives": []}, "values": said}, min_match_ratio=0.9
    )
    reason = "no row is on both sides, so the match ratio says nothing"
    assert verdict == Verdict(Outcome.NOT_COMPARED, reason)


@pytest.mark.parametrize(
    ("ratio", "passes"), [(0.9, False), (0.877, False), (0.8755, True), (0.875, True)]
)
def test_a_ratio_is_not_above_that_of_all_values(ratio: float, passes: bool) -> None:
    # Of 100 rows with 4 columns, 50 values differ.
    found = diff("different", {"diff_rows_count": 50, "match_ratio": ratio})
    values = {"rows_with_differences": 50, "values_with_differences": 50}
    said = {"pks": {"exclusives": [0, 0]}, "values": values}
    verdict = of(found, said, min_match_ratio=0.5)
    if passes:
        assert verdict.outcome is Outcome.PASSES
        # A limit is not rounded.
        assert of(found, said, min_match_ratio=0.875).outcome is Outcome.PASSES
        nearer = of(found, said, min_match_ratio=0.8751)
        assert nearer.outcome is Outcome.DIFFERS
        by_values = "" if ratio == 0.875 else " by the values different"
        assert nearer.reason == f"match ratio 0.875{by_values} (at least 0.8751)"
    else:
        assert contradiction(verdict) == (
            f"match ratio {ratio:g}, but values different 50, rows compared 100, columns compared 3"
        )


@pytest.mark.parametrize("fields", [{}, {"pk_columns": None}, {"kind": "cross_db"}], ids=repr)
def test_where_values_differ_the_ratio_is_below_one(fields: Any) -> None:
    found = diff("different", {"diff_rows_count": 4}, **fields)
    values = {"rows_with_differences": 4, "values_with_differences": 4}
    said = {"pks": {"exclusives": [0, 0]}, "values": values}
    for least in (0.5, 1.0):
        verdict = of(found, said, min_match_ratio=least)
        assert contradiction(verdict) == "match ratio 1, but values different 4"


@pytest.mark.parametrize("fields", [{"kind": "cross_db"}, {"algorithm": "hash_v2_alpha"}], ids=repr)
@pytest.mark.parametrize(
    ("stats", "said"),
    [
        (
            {"diff_rows_count": 50, "match_ratio": 0.9875},
            {"total_rows": 60, "rows_with_differences": 50, "values_with_differences": 50},
        ),
        ({"rows_added": 3, "table_b_row_count": 1003, "match_ratio": 0.997}, {"total_rows": 0}),
        # Some read only the rows that differ, others all.
        (
            {"diff_rows_count": 50, "match_ratio": 0.9875},
            {"total_rows": 1000, "rows_with_differences": 50, "values_with_differences": 50},
        ),
    ],
    ids=repr,
)
def test_rows_that_were_read_are_not_all_rows(fields: Any, stats: Any, said: Any) -> None:
    rows = {"table_a_row_count": 1000, "table_b_row_count": 1000}
    found = diff("different", {**rows, **stats}, **fields)
    pks = {"exclusives": [0, stats.get("rows_added", 0)]}
    verdict = of(found, {"pks": pks, "values": said}, min_match_ratio=0.98)
    assert verdict.outcome is Outcome.PASSES
    # The tables' own counts hold.
    if said.get("values_with_differences"):
        high = diff("different", {**rows, **stats, "match_ratio": 0.99}, **fields)
        verdict = of(high, {"pks": pks, "values": said}, min_match_ratio=0.98)
        assert contradiction(verdict) == (
            "match ratio 0.99, but values different 50, rows on the first side 1000, "
            "rows on the second side 1000, rows added 0, rows removed 0, columns compared 3"
        )
    none = {**rows, "table_b_row_count": 0, "rows_removed": 1000, "match_ratio": 0.99}
    verdict = of(
        diff("different", none, **fields),
        {"pks": {"exclusives": [1000, 0]}, "values": {"total_rows": 0}},
        min_match_ratio=0.98,
    )
    assert "no row is on both sides" in verdict.reason


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"pk_columns": None}, {}),
        ({}, {"values": {"compared_columns": None}}),
        ({}, {"schema": {"column_counts": [400, 400]}}),
    ],
    ids=repr,
)
def test_a_ratio_may_count_columns_that_are_not_known(fields: Any, said: Any) -> None:
    found = diff("different", {"diff_rows_count": 50, "match_ratio": 0.999}, **fields)
    values = {"rows_with_differences": 50, "values_with_differences": 50, **said.get("values", {})}
    verdict = of(
        found, {"pks": {"exclusives": [0, 0]}, **said, "values": values}, min_match_ratio=0.5
    )
    assert verdict.outcome is Outcome.PASSES


# Samples.

SAMPLED = {"sampled": True}
ASKED = {"sampled": None}
NO_COUNTS = (
    "only a sample was compared, which says nothing about how many rows of the tables differ: use "
    "min_match_ratio as the only limit, or do not sample"
)
FIELDS: list[dict[str, Any]] = [
    {"sampling_ratio": 0.05},
    {"sampling_max_rows": 500},
    {"sampling_tolerance": 0.001},
    {"sampling_confidence": 99},
]


def samples() -> list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]:
    """How a sample is known: by the figures, by what was asked for, or by what was sent."""
    by_diff = [(ASKED, fields, {}) for fields in FIELDS]
    by_body = [(ASKED, {}, fields) for fields in FIELDS]
    return [(SAMPLED, {}, {}), *by_diff, *by_body]


@pytest.mark.parametrize(("stats", "fields", "sent"), samples(), ids=repr)
def test_a_sample_has_no_counts(stats: Any, fields: Any, sent: Any) -> None:
    for result, figures in (("different", {"diff_rows_count": 32}), ("identical", {})):
        found = diff(result, {**figures, **stats}, **fields)
        verdict = judge(found, Limits(max_rows_different=50), sent=sent)
        assert verdict == Verdict(Outcome.NOT_COMPARED, NO_COUNTS)
    both = Limits(max_rows_removed=0, min_match_ratio=0.5)
    assert judge(found, both, sent=sent) == Verdict(Outcome.NOT_COMPARED, NO_COUNTS)


def test_limits_that_are_not_given_are_no_counts_of_a_sample_either() -> None:
    allowed = {"allow_schema_changes": True}
    found = diff("different", {"diff_rows_count": 1, **SAMPLED})
    assert of(found, **allowed) == Verdict(Outcome.NOT_COMPARED, NO_COUNTS)
    assert of(diff("identical", SAMPLED), **allowed).outcome is Outcome.NOT_COMPARED


@pytest.mark.parametrize(
    ("stats", "fields"),
    [
        ({"sampled": False}, {"sampling_ratio": 0.05}),
        ({"sampled": None}, {"sampling_threshold": 5}),
        ({"sampled": None}, {}),
    ],
    ids=repr,
)
def test_what_was_not_sampled(stats: Any, fields: Any) -> None:
    assert of(diff("identical", stats, **fields), EQUAL_RESULTS).reason == "identical"
    assert of(diff("different", {**GROWN, **stats}, **fields), **GENEROUS).outcome is Outcome.PASSES


def test_an_estimate_gives_a_sample_away() -> None:
    column = {"column_name": "a", "values_different_estimate": {"value": 5}}
    said = {"values": {"columns_diff_stats": [column]}}
    verdict = of(diff("different", GROWN), said, **GENEROUS)
    assert verdict == Verdict(Outcome.NOT_COMPARED, NO_COUNTS)


EQUAL_SAMPLE = {"pks": {"exclusives": [0, 0]}, "values": {"total_rows": 32}}


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (32, "identical, in a sample of 32 rows"),
        (1, "identical, in a sample of 1 row"),
        (0, "only a sample was compared, and it holds no rows"),
        (None, "only a sample was compared, and Datafold does not say of how many rows"),
    ],
)
@pytest.mark.parametrize(("stats", "fields", "sent"), samples(), ids=repr)
def test_a_sample_passes_if_it_holds_rows(
    rows: int | None, reason: str, stats: Any, fields: Any, sent: Any
) -> None:
    found = diff("identical", stats, **fields)
    assert judge(found, Limits(), sent=sent).outcome is Outcome.UNCONFIRMED
    said = results(**EQUAL_SAMPLE | {"values": {"total_rows": rows}})
    verdict = judge(found, Limits(), sent=sent, results=said)
    assert verdict == Verdict(Outcome.PASSES if rows else Outcome.NOT_COMPARED, reason)


def test_rows_that_were_compared_have_values() -> None:
    said = {**EQUAL_SAMPLE, "values": {"total_rows": 32, "total_values": 0}}
    found = diff("identical", SAMPLED)
    assert contradiction(of(found, said)) == "rows compared 32, but values compared 0"
    keys_only = {**EQUAL_SAMPLE, "values": {**said["values"], "compared_columns": 0}}
    assert of(found, keys_only).outcome is Outcome.PASSES


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"values": {"rows_with_differences": 3}}, "rows different in the results 3"),
        ({"values": {"values_with_differences": 3}}, "values different 3"),
        ({"pks": {"exclusives": [0, 1]}}, "rows added in the results 1"),
    ],
    ids=repr,
)
def test_the_results_of_an_identical_sample_have_to_agree(said: Any, words: str) -> None:
    found = diff("identical", SAMPLED)
    verdict = of(found, {**EQUAL_SAMPLE, **said})
    assert contradiction(verdict) == f"the result is 'identical', but {words}"


def test_a_sample_with_a_ratio() -> None:
    limit = {"min_match_ratio": 0.9}
    found = diff("different", {"match_ratio": 0.95, "diff_rows_count": 900, **SAMPLED})
    within = "within the limits: match ratio 0.95 (at least 0.9), schema unchanged"
    verdict = of(found, EQUAL_SAMPLE, **limit)
    assert verdict == Verdict(Outcome.PASSES, f"{within}, in a sample of 32 rows")
    empty = of(found, {**EQUAL_SAMPLE, "values": {"total_rows": 0}}, **limit)
    assert empty.outcome is Outcome.NOT_COMPARED
    # The tables' counts are those of the whole tables, of which the sample may miss the difference.
    grown = diff("identical", {"table_b_row_count": 101, **SAMPLED})
    assert of(grown, EQUAL_SAMPLE, **limit).outcome is Outcome.PASSES
    assert "rows on the second side 101" in contradiction(of(grown, EQUAL_SAMPLE))


def test_a_sample_that_differs_is_said_to_be_one() -> None:
    said = of(diff("different", {"rows_added": 3, **SAMPLED}))
    assert said.outcome is Outcome.DIFFERS
    assert said.reason.endswith(", match ratio 1 (only a sample was compared)")
    said = of(diff("different", {"match_ratio": 0.5, **SAMPLED}), min_match_ratio=0.9)
    assert said.reason == "match ratio 0.5 (at least 0.9) (only a sample was compared)"
